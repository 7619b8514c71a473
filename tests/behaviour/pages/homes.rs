//! Every field, metric, code and rule stands in one table of one page, and no table names one that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flowgate::tables;

use super::{pages, prose, root};

/// The structs that a configuration is read into: what stands in the head of the table of their fields, and what is
/// written before each name there.
const SECTIONS: [(&str, &str, &str); 24] = [
    ("Sections", "field", ""),
    ("AdminSection", "field", "admin."),
    ("LogSection", "field", "log."),
    ("StateSection", "field", "state."),
    ("ValkeySection", "field of `state.valkey`", ""),
    ("OnLossSection", "field of `state.valkey`", "on_loss."),
    ("OtlpSection", "field of `telemetry.otlp`", ""),
    ("ServerSection", "field of `server`", ""),
    ("TlsSection", "field of `server`", "tls."),
    ("ExtAuthSection", "field of `server`", "ext_auth."),
    ("ExtAuthHeadersSection", "field of `server`", "ext_auth.headers."),
    ("FlowiseSection", "field of `flowise`", ""),
    ("HealthCheckSection", "field of `health`", ""),
    ("EngineSection", "field of `engine`", ""),
    ("EngineLimitsSection", "field of `engine.limits`", ""),
    ("ScriptsSection", "field of `engine.scripts`", ""),
    ("McpServerSection", "field of a server", ""),
    ("PlanSection", "field of a plan", ""),
    ("AuthFailuresSection", "field of `auth_failures`", ""),
    ("CorsSection", "field of `cors`", ""),
    ("ChatflowSection", "field of a chatflow", ""),
    ("IdentitySection", "field of `identity`", ""),
    // Its one field is the section `otlp`.
    ("TelemetrySection", "", ""),
    // Its two fields are the sections `flowise` and `engine`.
    ("UpstreamSection", "", ""),
];

/// Cells of tables, by the head of their column, with the page: those of the first column, and of any called `code`.
type Cells = BTreeMap<String, Vec<(String, PathBuf)>>;

fn cells() -> Cells {
    let mut found = Cells::new();
    for (page, text) in pages() {
        let mut head: Option<Vec<String>> = None;
        for (_, line) in prose(&text) {
            let Some(row) = line.strip_prefix('|') else {
                head = None;
                continue;
            };
            let row: Vec<String> = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            let Some(head) = &head else {
                head = Some(row);
                continue;
            };
            for (at, (column, cell)) in head.iter().zip(&row).enumerate() {
                if (at == 0 || column == "code") && !cell.starts_with("---") {
                    found.entry(column.clone()).or_default().push((cell.clone(), page.clone()));
                }
            }
        }
    }
    found
}

/// The names in backquotes that a column has, each of them once.
fn named(cells: &Cells, column: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (cell, page) in cells.get(column).into_iter().flatten() {
        for name in cell.split('`').skip(1).step_by(2) {
            assert!(names.insert(name.to_owned()), "{}: {column}: {name} stands in two rows", page.display());
        }
    }
    names
}

/// A table of the gateway and the pages' columns of it, both ways.
fn compare(what: &str, there: &BTreeSet<String>, told: &BTreeSet<String>) {
    let missing: Vec<_> = there.difference(told).collect();
    let invented: Vec<_> = told.difference(there).collect();
    assert!(
        there.len() > 2 && missing.is_empty() && invented.is_empty(),
        "{what}: no page has {missing:?}; there is no {invented:?}"
    );
}

/// Fields of the structs in a file, as they are written there, with their types.
fn structs(file: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut found = BTreeMap::new();
    for part in text.split("struct ").skip(1) {
        let Some((name, fields)) = part.split_once(" {\n") else { continue };
        let fields = fields.lines().take_while(|line| *line != "}");
        let fields = fields.filter_map(|line| line.trim().trim_start_matches("pub(super) ").split_once(": "));
        let fields = fields.filter(|(field, _)| {
            field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        });
        found.insert(name.to_owned(), fields.map(|(field, kind)| (field.to_owned(), kind.to_owned())).collect());
    }
    found
}

#[test]
fn every_field_of_the_configuration_stands_in_one_table() {
    let (cells, structs) = (cells(), structs("src/config/file.rs"));
    let mut fields: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (section, column, prefix) in SECTIONS {
        for (field, kind) in structs.get(section).expect(section) {
            // What is a section itself has a table of its own.
            let is_section = SECTIONS.iter().any(|(section, ..)| kind.contains(section));
            if !is_section || ["field of `engine`", "field of `flowise`"].contains(&column) {
                fields.entry(column).or_default().insert(format!("{prefix}{field}"));
            }
        }
    }
    let known: BTreeSet<&str> = SECTIONS.iter().map(|(section, ..)| *section).collect();
    for (section, fields) in &structs {
        let has_fields = fields.iter().any(|(_, kind)| kind.starts_with("Field"));
        assert!(!has_fields || known.contains(section.as_str()), "say in which table the fields of {section} stand");
    }
    for (column, fields) in fields.iter().filter(|(column, _)| !column.is_empty()) {
        compare(column, fields, &named(&cells, column));
    }
}

#[test]
fn every_field_of_a_key_stands_in_one_table() {
    let item = structs("src/keys/file/reader.rs").remove("KeyItem").unwrap();
    compare("field of a key", &item.into_iter().map(|(field, _)| field).collect(), &named(&cells(), "field of a key"));
}

#[test]
fn every_metric_stands_in_one_table() {
    let mut metrics = BTreeSet::new();
    let mut folders = vec![root().join("src/telemetry")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let is_name = |word: &&str| word.strip_prefix("flowgate_").is_some_and(is_snake);
            metrics.extend(text.split('"').filter(is_name).map(str::to_owned));
        }
    }
    let told = named(&cells(), "metric").into_iter().filter(|name| name != "process_*").collect();
    compare("metric", &metrics, &told);
}

fn is_snake(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn every_code_of_an_error_stands_in_the_table_of_one_page() {
    let cells = cells();
    let rows = cells.get("code").expect("a table with a column of codes");
    let pages: BTreeSet<&Path> = rows.iter().map(|(_, page)| page.as_path()).collect();
    assert_eq!(pages.len(), 1, "{pages:?}");
    // One code may have a row for each thing that it means.
    let told = rows.iter().map(|(cell, _)| cell.trim_matches('`').to_owned()).collect();
    compare("code", &tables::codes().map(|(_, code)| code.to_owned()).collect(), &told);
}

#[test]
fn every_rule_stands_in_one_table() {
    let rules = tables::rules().map(|rule| rule.name.to_owned()).collect();
    compare("rule", &rules, &named(&cells(), "Rule"));
}

#[test]
fn every_part_of_the_source_stands_in_the_architecture() {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap());
    let name =
        |entry: fs::DirEntry| entry.file_name().into_string().unwrap() + if entry.path().is_dir() { "/" } else { "" };
    let is_part = |name: &String| !["README.md", "lib.rs"].contains(&name.as_str());
    compare("`src/`", &entries.map(name).filter(is_part).collect(), &named(&cells(), "`src/`"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    let names = names.filter(|name| !name.starts_with('#')).collect();
    compare("crate", &names, &named(&cells(), "crate"));
}
