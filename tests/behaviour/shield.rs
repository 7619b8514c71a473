//! The page that names every rule (deploy/shield/README.md) and the source agree, both ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flowgate::tables;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cells of the table under that heading, row by row.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in backquotes and looks like the name of a rule.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    cell.split('`').skip(1).step_by(2).filter(is_name)
}

fn page() -> String {
    fs::read_to_string(root().join("deploy/shield/README.md")).unwrap()
}

#[test]
fn the_page_lists_every_rule_in_its_own_words_and_no_other() {
    let listed = table(&page(), "Every rule");
    let rules: Vec<_> = tables::rules().map(|rule| vec![format!("`{}`", rule.name), rule.refuses.to_owned()]).collect();
    assert!(rules.len() > 30, "{rules:?}");
    for (row, rule) in listed.iter().zip(&rules) {
        assert_eq!(row, rule);
    }
    assert_eq!(listed.len(), rules.len());
}

#[test]
fn every_row_says_what_closes_it_by_rules_that_exist_and_which_test_shows_it() {
    let rules: BTreeSet<_> = tables::rules().map(|rule| rule.name).collect();
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
            assert!(rules.contains(rule), "{surface}: there is no rule {rule}");
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
