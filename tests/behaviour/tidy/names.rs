//! A type's name is its own: who searches for it finds it, and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::imports::{code, name};
use super::{files, source};

/// What declares a type.
const DECLARES: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

/// The type that a line declares. Those of a trait, and what they are in an `impl`, are no types of the project.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe");
    // `pub(in a::b)` has a space in it.
    let kind = words.by_ref().find(|word| !word.ends_with(')'))?;
    let is_associated = kind == "type" && line.starts_with(' ');
    let name = words.next().filter(|_| DECLARES.contains(&kind) && !is_associated)?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().filter(|name| !name.is_empty())
}

/// Names of our own that are taken as others: `path as other`.
fn renamed(code: &str) -> Vec<String> {
    let uses = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
    let own = uses.filter(|path| ["crate", "super", "self"].iter().any(|root| path.starts_with(root)));
    let items = own.flat_map(|path| path.split([',', '{', '}']));
    let others = items.filter(|item| item.contains(" as ") && !item.trim_end().ends_with(" as _"));
    others.map(|item| item.trim().to_owned()).collect()
}

#[test]
fn a_name_means_one_type() {
    let code = code(&source(), &files(&source()));
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (module, text) in &code {
        for declared in text.lines().filter_map(declared) {
            places.entry(declared).or_default().push(name(module));
        }
    }
    assert!(places.len() > 500, "the reader has read something");
    let mut told = String::new();
    for (declared, modules) in places.iter().filter(|(_, modules)| modules.len() > 1) {
        let _ = write!(told, "\n{declared}: {}", modules.join(", "));
    }
    assert!(told.is_empty(), "say in their names what tells these apart:{told}");
}

/// Pictures of things for which the trade has words.
const PICTURES: [&str; 16] = [
    "workshop", "face", "ways", "standing", "upkeep", "shelf", "tongue", "door", "pulse", "estate", "errand", "vitals",
    "book", "keeper", "told", "later",
];

/// `RequestId` and `request_id` as `request`, `id`.
fn words(name: &str) -> Vec<String> {
    let parts = name.split('_').flat_map(|part| {
        let begins = part.char_indices().filter(|(at, letter)| *at == 0 || letter.is_uppercase()).map(|(at, _)| at);
        let begins: Vec<usize> = begins.chain([part.len()]).collect();
        begins.windows(2).map(|at| part[at[0]..at[1]].to_lowercase()).collect::<Vec<_>>()
    });
    parts.collect()
}

#[test]
fn types_and_files_bear_the_words_of_the_trade() {
    let code = code(&source(), &files(&source()));
    for (module, text) in &code {
        let file = module.iter().map(String::as_str);
        for known in text.lines().filter_map(declared).chain(file) {
            let pictured = words(known).into_iter().find(|word| PICTURES.contains(&word.as_str()));
            assert_eq!(pictured, None, "{known}, in {}", name(module));
        }
    }
}

#[test]
fn nothing_of_our_own_goes_by_another_name() {
    let code = code(&source(), &files(&source()));
    let renamed: Vec<String> = code
        .iter()
        .flat_map(|(module, text)| renamed(text).into_iter().map(|item| format!("{}: {item}", name(module))))
        .collect();
    assert!(renamed.is_empty(), "\n{}", renamed.join("\n"));
}

#[test]
fn the_reader_of_declarations_sees_all_spellings() {
    for (line, expected) in [
        ("struct A;", Some("A")),
        ("pub(crate) struct B<T>(T);", Some("B")),
        ("pub(in crate::x) enum C {", Some("C")),
        ("    pub(crate) struct D<F> {", Some("D")),
        ("pub trait E: Sync {", Some("E")),
        ("type F<'a> = &'a str;", Some("F")),
        ("    type Item = u8;", None),
        ("let kind = 1;", None),
        ("fn f() -> x::Struct {}", None),
        ("", None),
    ] {
        assert_eq!(declared(line), expected, "{line}");
    }
    let code = "use crate::a::{b as c, D as _};\nuse std::fmt as f;\nuse super::g as h;";
    assert_eq!(renamed(code), ["b as c", "super::g as h"]);
}
