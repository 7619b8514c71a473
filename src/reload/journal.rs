//! The last reloads, for people who look: when, what has changed, and what was rejected and why.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Chatflow, Config, ConfigPart};
use crate::keys::changes::KeyChanges;
use crate::policy::Held;

/// Reloads that are remembered, and sentences of each.
const MOST: usize = 20;
const MOST_SENTENCES: usize = 50;
/// Files that are named.
const MOST_FILES: usize = 500;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ReloadJournal(Mutex<JournalPages>);

#[derive(Debug, Default)]
struct JournalPages {
    reloads: VecDeque<ReloadEntry>,
    held: Vec<HeldPart>,
    files: Vec<WatchedPath>,
    /// Of keys, which are taken over before all else.
    pending: Vec<String>,
}

/// One reload.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReloadEntry {
    pub(crate) time: String,
    /// `accepted`, `rejected`, or `partly`.
    pub(crate) result: &'static str,
    /// Kinds of files that were taken over.
    pub(crate) files: Vec<&'static str>,
    pub(crate) changes: Vec<String>,
    pub(crate) problems: Vec<HeldPart>,
}

/// What is on disk and not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeldPart {
    pub(crate) file: &'static str,
    /// With file, line and field.
    pub(crate) problem: String,
}

/// A file that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WatchedPath {
    kind: &'static str,
    path: String,
}

impl ReloadJournal {
    /// The last reloads, the newest first.
    pub(crate) fn reloads(&self) -> Vec<ReloadEntry> {
        self.pages().reloads.iter().rev().cloned().collect()
    }

    /// What is on disk and not in force.
    pub(crate) fn held(&self) -> Vec<HeldPart> {
        self.pages().held.clone()
    }

    /// Files that are watched.
    pub(crate) fn files(&self) -> Vec<WatchedPath> {
        self.pages().files.clone()
    }

    pub(super) fn follow<'a>(&self, files: impl Iterator<Item = &'a (ConfigPart, PathBuf)>) {
        let place =
            |(part, path): &(ConfigPart, PathBuf)| WatchedPath { kind: part.name(), path: path.display().to_string() };
        self.pages().files = files.take(MOST_FILES).map(place).collect();
    }

    /// Keys that have changed; told with the next reload.
    pub(super) fn note_keys(&self, changes: &KeyChanges) {
        let told = [("added", &changes.added), ("changed", &changes.changed), ("revoked", &changes.revoked)];
        let sentences = told.into_iter().filter_map(|(what, ids)| Some(format!("keys {what}: {}", ids.told()?)));
        let mut pages = self.pages();
        pages.pending.extend(sentences);
        pages.pending.truncate(MOST_SENTENCES);
    }

    /// A reload has ended: what it took over, and what is held back since.
    pub(super) fn settle(&self, accepted: Vec<&'static str>, mut changes: Vec<String>, held: &[Held]) {
        let mut pages = self.pages();
        changes.append(&mut pages.pending);
        changes.truncate(MOST_SENTENCES);
        pages.held = held.iter().take(MOST_SENTENCES).map(HeldPart::of).collect();
        let result = match (held.is_empty(), accepted.is_empty()) {
            (true, _) => "accepted",
            (false, true) => "rejected",
            (false, false) => "partly",
        };
        if pages.reloads.len() >= MOST {
            pages.reloads.pop_front();
        }
        let entry = ReloadEntry {
            time: format!("{:.3}", Timestamp::now()),
            result,
            files: accepted,
            changes,
            problems: pages.held.clone(),
        };
        pages.reloads.push_back(entry);
    }

    fn pages(&self) -> MutexGuard<'_, JournalPages> {
        // A panic under the lock leaves pages of which each is good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldPart {
    fn of(held: &Held) -> Self {
        Self { file: held.part.name(), problem: held.problem.to_string() }
    }
}

/// What a configuration says otherwise than the one before, by name; never a value.
pub(super) fn changes(before: &Config, after: &Config) -> Vec<String> {
    let mut told = Vec::new();
    let all =
        |config: &Config| config.chatflows.iter().chain(&config.wildcard).cloned().collect::<Vec<Arc<Chatflow>>>();
    let mut tell = |what: &str, (added, removed, changed): NamedChanges| {
        for (how, names) in [("added", added), ("removed", removed), ("changed", changed)] {
            if !names.is_empty() {
                told.push(format!("{what} {how}: {}", names.into_iter().collect::<Vec<_>>().join(", ")));
            }
        }
    };
    let (chatflows_before, chatflows_after) = (all(before), all(after));
    tell("chatflows", between(&chatflows_before, &chatflows_after, |chatflow| &chatflow.name));
    tell("plans", between(&before.plans, &after.plans, |plan| &plan.name));
    tell("upstreams", between(&before.upstreams, &after.upstreams, |upstream| &upstream.name));
    for (section, is_same) in [
        ("server", before.server == after.server),
        ("admin", before.admin == after.admin),
        ("log", before.log == after.log),
        ("cors", before.cors == after.cors),
        ("auth_failures", before.auth_failures == after.auth_failures),
        ("session_secret", before.session_secret == after.session_secret),
        ("state", (&before.valkey, &before.state_dir) == (&after.valkey, &after.state_dir)),
        ("keys_file", before.keys_file == after.keys_file),
    ] {
        if !is_same {
            told.push(format!("{section} changed"));
        }
    }
    told
}

/// Names that were added, removed and changed.
type NamedChanges = (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>);

fn between<T: PartialEq>(before: &[T], after: &[T], name: impl Fn(&T) -> &Arc<str>) -> NamedChanges {
    let find = |all: &[T], wanted: &str| all.iter().position(|item| **name(item) == *wanted);
    let mut changes = NamedChanges::default();
    for item in after {
        match find(before, name(item)).and_then(|index| before.get(index)) {
            None => drop(changes.0.insert(name(item).to_string())),
            Some(old) if old != item => drop(changes.2.insert(name(item).to_string())),
            Some(_) => {}
        }
    }
    changes.1 = before.iter().map(&name).filter(|old| find(after, old).is_none()).map(ToString::to_string).collect();
    changes
}
