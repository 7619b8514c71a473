use std::path::Path;

use proptest::prelude::*;

use super::super::{KeyStore, reader::KeyReader};
use super::*;
use crate::config::yaml::{self, ItemSink as _};

/// As it is read here, and as YAML.
fn both(text: &str) -> (Option<KeyStore>, Option<KeyStore>) {
    let path = Path::new("keys.yaml");
    let (mut plain, mut problems) = (KeyReader::new(path, None, None), Vec::new());
    let read = read(text.as_bytes(), |index, item| {
        plain.take(index, Some(item), &mut problems);
        problems.is_empty()
    });
    let mut reader = KeyReader::new(path, None, None);
    let as_yaml = yaml::each_item(path, text, "keys", &mut reader);
    (read.map(|()| plain.into_store()), as_yaml.ok().map(|()| reader.into_store()))
}

fn are_alike(one: &KeyStore, other: &KeyStore) -> bool {
    let lines = |store: &KeyStore| (0..store.keys().len()).map(|index| store.line(index)).collect::<Vec<_>>();
    one.keys() == other.keys() && lines(one) == lines(other)
}

fn digest(number: usize) -> String {
    format!("{number:060x}beef")
}

#[test]
fn what_programs_write_is_read_here() {
    let (a, b, c) = (digest(1), digest(2), digest(3));
    for text in [
        format!("keys:\n  - {{ id: a, sha256: {a}, plan: lab }}\n  - {{id: b-1.x, sha256: {b}}}\n"),
        format!("# all\n\nkeys:\n- id: a\n  sha256: {a}\n  # one\n  enabled: false\n\n- sha256: {b}\n  id: b"),
        format!(
            "keys:\n    - id: a\n      sha256: {a}\n    - {{ id: b, sha256: {b}, enabled: true }}\n    - id: c\n      sha256: {c}\n      plan: x\n"
        ),
    ] {
        let (plain, as_yaml) = both(&text);
        let (plain, as_yaml) = (plain.expect(&text), as_yaml.expect(&text));
        assert!(are_alike(&plain, &as_yaml) && !plain.keys().is_empty(), "{text}");
    }
}

#[test]
fn whatever_might_mean_something_else_is_left_to_the_reader_of_yaml() {
    let a = digest(1);
    let number = format!("{:064}", 1);
    for item in [
        format!("- {{ id: yes, sha256: {a} }}"),
        format!("- {{ id: 12, sha256: {a} }}"),
        format!("- {{ id: \"a\", sha256: {a} }}"),
        format!("- {{ id: a, sha256: {number} }}"),
        format!("- {{ id: a, sha256: {} }}", number.replace("01", "e1")),
        format!("- {{ id: a, sha256: 0b{} }}", "1".repeat(62)),
        format!("- {{ id: a, id: b, sha256: {a} }}"),
        format!("- {{ id: a, sha256: {a}, }}"),
        format!("- {{ id: a, sha256: {a}, vars: {{}} }}"),
        format!("- {{ id: a, sha256: {a} }} # one"),
        format!("- id: a\n   sha256: {a}"),
        format!("- id: a\n  sha256: {a}\n - id: b"),
        format!("- id: a\n  sha256: {a}\n  plan: ~"),
        format!("- id: a\r\n  sha256: {a}"),
        format!("- id: a\n  sha256: {a}\nother: 1"),
        format!("-\n  id: a\n  sha256: {a}"),
        format!("- &k\n  id: a\n  sha256: {a}"),
        format!("- id: a\n  sha256: {a}\n- id: a\n  sha256: {}", digest(2)),
        "[]".to_owned(),
    ] {
        assert!(both(&format!("keys:\n{item}\n")).0.is_none(), "{item}");
    }
    assert!(both("").0.is_none() && both("keys: []\n").0.is_none() && both("---\nkeys:\n").0.is_none());
}

proptest! {
    /// Pieces of keys files in any order: what is read here means the same as YAML.
    #[test]
    fn what_is_read_here_is_the_same_as_yaml(
        pieces in prop::collection::vec(
            (prop::sample::select(vec![
                "keys:\n", "- ", "  - ", "    ", "  ", "{ ", " }", ", ", "\n", "id: ", "sha256: ", "plan: ", "enabled: ", "# x\n",
            ]), 0..7_usize, 0..40_usize),
            0..24,
        ),
    ) {
        let mut text = String::from("keys:\n");
        for (piece, value, number) in pieces {
            text.push_str(piece);
            if piece.ends_with(": ") {
                let value = match value {
                    0 | 1 => digest(number),
                    2 => "true".to_owned(),
                    3 => number.to_string(),
                    _ => format!("k{number}"),
                };
                text.push_str(&value);
            }
        }
        let (plain, as_yaml) = both(&text);
        if let Some(plain) = plain {
            let as_yaml = as_yaml.ok_or_else(|| TestCaseError::fail(text.clone()))?;
            prop_assert!(are_alike(&plain, &as_yaml), "{}", text);
        }
    }
}
