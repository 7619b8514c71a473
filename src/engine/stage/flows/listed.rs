//! `NODES.md` beside what the engine knows: each kind of node stands there once, and none that is not known.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::compile::flowise;
use crate::engine::flow::kinds::KINDS;
use crate::engine::{agentflow, sequential};

const PAGE: &str = include_str!("../../NODES.md");
/// Kinds that tests bring along.
const OF_TESTS: &[&str] = &["twoDocuments", "stubModel", "stubEmbeddings", "testModel", "panickingModel"];
/// What is drawn, and nothing else.
const NOTES: &[&str] = &["stickyNote", "stickyNoteAgentflow"];

/// The types in the tables of a part of the page, with how often each is there.
fn listed(part: &str) -> BTreeMap<&str, usize> {
    let mut listed = BTreeMap::new();
    for row in part.lines().filter_map(|line| line.strip_prefix("| ")) {
        let types = row.split(" | ").nth(1).unwrap_or_default();
        // What stands between two marks.
        for name in types.split('`').skip(1).step_by(2) {
            *listed.entry(name).or_default() += 1;
        }
    }
    listed
}

/// Whether the name is that of a node of Flowise's first versions, which did half of what another kind does.
fn is_half_of(name: &str, other: &str) -> bool {
    let half = name.to_lowercase().strip_prefix(&other.to_lowercase()).map(str::to_owned);
    half.is_some_and(|half| matches!(&*half, "upsert" | "existing" | "index" | "existingindex" | "existingcollection"))
}

#[test]
fn every_kind_of_node_is_listed_once() {
    let (runs, refused) = PAGE.split_once("\n## What does not run\n").unwrap();
    let (runs, refused) = (listed(runs), listed(refused));
    let twice: Vec<&str> = runs
        .iter()
        .chain(&refused)
        .filter(|(name, count)| **count > 1 || runs.contains_key(*name) && refused.contains_key(*name))
        .map(|(name, _)| *name)
        .collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");

    let first: BTreeSet<&str> = KINDS.names().flatten().copied().filter(|name| !OF_TESTS.contains(name)).collect();
    let later = agentflow::names().chain(sequential::names()).chain(NOTES.iter().copied());
    let known: BTreeSet<&str> = first.iter().copied().chain(later).collect();
    let is_listed = |name: &str| runs.contains_key(name) || runs.keys().any(|other| is_half_of(name, other));
    let forgotten: Vec<&&str> = known.iter().filter(|name| !is_listed(name)).collect();
    assert!(forgotten.is_empty(), "known and not in the page: {forgotten:?}");
    let unknown: Vec<&&str> = runs.keys().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "in the page and not known: {unknown:?}");
    let runs_after_all: Vec<&&str> = refused.keys().filter(|name| known.contains(**name)).collect();
    assert!(runs_after_all.is_empty(), "they run: {runs_after_all:?}");
    let of_flowise: Vec<&str> =
        flowise::kinds().filter(|name| !is_listed(name) && !refused.contains_key(name)).collect();
    assert!(of_flowise.is_empty(), "Flowise's, and nowhere in the page: {of_flowise:?}");
}

#[test]
fn names_belong_to_one_kind_each() {
    let mut seen = BTreeSet::new();
    let twice: Vec<&str> = KINDS.names().flatten().copied().filter(|name| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
