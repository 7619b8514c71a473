//! The page that names every rule (deploy/shield/README.md) and the source agree, both ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a rule's name stands behind where a request is refused.
const MAKERS: [&str; 4] = ["Invalid(", "refuse(", "invalid(", "Cell::new("];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// The string that code starts with, if it is the name of a rule.
fn name(code: &str) -> Option<&str> {
    let (name, _) = code.trim_start().strip_prefix('"')?.split_once('"')?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(name)
}

/// The rules that the source refuses by.
fn rules_of_the_source() -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    // The engine refuses flows when they are loaded, by their inputs, and no request.
    let is_engine = |path: &PathBuf| path.starts_with(root().join("src/engine"));
    for path in sources(&root().join("src")).into_iter().filter(|path| !is_engine(path)) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for maker in MAKERS {
            rules.extend(code.split(maker).skip(1).filter_map(name).map(str::to_owned));
        }
        // Variants of refusals, and reasons that are listed, name their rule in a function of that name.
        for function in code.split("fn rule(").skip(1) {
            let body = function.split("\n    }").next().unwrap_or_default();
            for arm in body.split("=>").skip(1) {
                rules.extend(name(arm.trim_start().trim_start_matches("Some(")).map(str::to_owned));
            }
        }
    }
    rules
}

/// Cells of the table under that heading, row by row.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in backquotes and looks like the name of a rule.
fn quoted(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).filter(|word| name(&format!("\"{word}\"")).is_some()).map(str::to_owned)
}

fn page() -> String {
    fs::read_to_string(root().join("deploy/shield/README.md")).unwrap()
}

#[test]
fn the_page_names_every_rule_of_the_source_and_no_other() {
    let listed: Vec<String> =
        table(&page(), "Every rule").iter().flat_map(|row| quoted(&row[0]).collect::<Vec<_>>()).collect();
    let named: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), named.len(), "a rule stands in the list twice");
    assert!(named.len() > 30, "{named:?}");
    let rules = rules_of_the_source();
    let missing: Vec<_> = rules.difference(&named).collect();
    let invented: Vec<_> = named.difference(&rules).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not on the page: {missing:?}; not in the source: {invented:?}");
}

#[test]
fn every_row_says_what_closes_it_by_rules_that_exist_and_which_test_shows_it() {
    let rules = rules_of_the_source();
    let rows = table(&page(), "By surface");
    assert!(rows.len() > 20);
    let tests: String = ["attacks.mjs", "chats.mjs", "browser.mjs"]
        .iter()
        .map(|file| fs::read_to_string(root().join("tests/flowise").join(file)).unwrap())
        .collect();
    for row in rows {
        let [surface, known, fixed, closed, test] = row.as_slice() else { panic!("five cells: {row:?}") };
        for cell in [surface, known, fixed, closed, test] {
            assert!(!cell.is_empty(), "{row:?}");
        }
        for rule in quoted(closed) {
            assert!(rules.contains(&rule), "{surface}: there is no rule {rule}");
        }
        for quote in test.split('"').skip(1).step_by(2) {
            let part = quote.trim_end_matches('…').trim();
            assert!(tests.contains(part) || tests.contains(&part.replace('\'', "\\'")), "{surface}: no test {quote:?}");
        }
        for file in test.split('`').skip(1).step_by(2) {
            let known =
                ["tests/behaviour", "tests/flowise"].iter().any(|folder| root().join(folder).join(file).exists());
            assert!(known, "{surface}: there is no {file}");
        }
    }
}
