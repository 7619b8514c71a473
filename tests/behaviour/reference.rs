//! What integrators are told and the gateway's tables agree, both ways.

use std::fs;
use std::path::{Path, PathBuf};

use flowgate::tables;

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_built = ["target", "node_modules", ".git"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_built {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Rows of the one table with that head, on whatever page, each as its cells.
fn table(head: &str) -> Vec<Vec<String>> {
    let texts = pages(Path::new(env!("CARGO_MANIFEST_DIR"))).into_iter().map(|page| fs::read_to_string(page).unwrap());
    let found: Vec<_> = texts.filter_map(|text| text.split_once(head).map(|(_, rest)| rest.to_owned())).collect();
    let [rest] = found.as_slice() else { panic!("{} tables with the head {head:?}", found.len()) };
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn every_code_is_listed_with_its_status_and_no_other() {
    let mut listed: Vec<_> = table("\n| status | code | when |")
        .iter()
        .map(|row| (row[0].parse::<u16>().unwrap(), row[1].trim_matches('`').to_owned()))
        .collect();
    listed.sort_unstable();
    // One code may stand for several things, each with a row.
    listed.dedup();
    let mut codes: Vec<_> = tables::codes().map(|(status, code)| (status, code.to_owned())).collect();
    codes.sort_unstable();
    assert_eq!(listed, codes);
}

#[test]
fn every_route_is_listed_with_who_may_call_it_and_no_other() {
    let mut listed = Vec::new();
    for row in table("\n| request | who | answer |") {
        for request in row[0].split('`').skip(1).step_by(2).filter(|request| request.contains(' ')) {
            let (method, path) = request.split_once(' ').unwrap();
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
            listed.push((method.to_owned(), path, row[1].clone()));
        }
    }
    for route in tables::routes() {
        let found = listed.iter().position(|(method, path, _)| method == route.method && path == route.path);
        let (.., who) = listed.remove(found.unwrap_or_else(|| panic!("{route:?}")));
        // Whoever got a handle has been a caller.
        assert!(who.starts_with(route.callers) || route.path.ends_with("/{handle}"), "{route:?}: {who}");
    }
    assert_eq!(listed, []);
}
