//! Whole flows, each asked a question on the stage: those of `tests/flows`, and, with `FLOWGATE_FLOWS=FOLDER`, whatever
//! exports lie there, of which it prints what became of each.

mod emptied;
mod given;
mod listed;
mod own;
mod verdict;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::verdict::Verdict;

/// Files of a folder that may be flows, in order, folders in it included.
fn exports(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(exports(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Prints all of them, and how many there are of each.
fn printed(verdicts: &[(String, Verdict)]) {
    for (name, verdict) in verdicts {
        println!("{verdict:<9} {name}{}", verdict.why());
    }
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, verdict)| is(verdict)).count();
    let (all, answered) = (verdicts.len(), count(|verdict| matches!(verdict, Verdict::Answers(_))));
    let (refused, lacking) = (
        count(|verdict| matches!(verdict, Verdict::Refused(_))),
        count(|verdict| matches!(verdict, Verdict::Lacks(_))),
    );
    println!("{} of {all} load, {answered} answer, {lacking} want a setting first", all - refused);
}

#[test]
fn flows_of_a_folder_are_asked() {
    let Some(folder) = std::env::var_os("FLOWGATE_FLOWS") else { return };
    let folder = PathBuf::from(folder);
    let stage = super::open();
    let only = std::env::var("ONLY").unwrap_or_default();
    let files = exports(&folder).into_iter().filter(|path| path.display().to_string().contains(&only));
    let verdicts: Vec<(String, Verdict)> = files
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let verdict = asked(&text, Some(&path.with_extension("")), stage);
            (name, verdict)
        })
        .collect();
    printed(&verdicts);
}

/// Whatever happens, a flow is one of many.
fn asked(text: &str, folder: Option<&Path>, stage: SocketAddr) -> Verdict {
    let asked = std::panic::catch_unwind(|| verdict::of(text, folder, stage));
    asked.unwrap_or_else(|panic| {
        let words =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Verdict::Fails(format!("panic: {}", words.unwrap_or_default()))
    })
}

/// The text of a node's input, or of the field of a node that stands in one.
fn each_field(value: &mut Value, change: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                change(name, field);
                each_field(field, change);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_field(item, change)),
        _ => {}
    }
}
