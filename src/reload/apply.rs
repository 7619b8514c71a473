//! Reads again what has changed, takes over each part that is good, and keeps what is in force of every other.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::diff::RestartBound;
use super::files::Files;
use super::journal::{ReloadJournal, changes};
use super::keys::KeysFile;
use super::show::{show_changed_keys, show_outcome, show_policy, warn_of_unused};
use crate::config::resolve::Reread;
use crate::config::{Config, ConfigPart, Problem, Problems};
use crate::policy::{Held, Policy, Sources};
use crate::snapshot::{SharedSnapshot, Snapshot};
use crate::state::SharedState;
use crate::telemetry::logging::LogReload;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(crate) struct Reloader {
    keys: KeysFile,
    /// `None`: a look is made, which has them.
    files: Option<Files>,
    snapshots: SharedSnapshot,
    /// What the process was started with.
    started: Arc<Config>,
    state: Arc<SharedState>,
    metrics: Arc<Metrics>,
    logging: Option<LogReload>,
    journal: Arc<ReloadJournal>,
    /// What is on disk and not in force. It is looked at again when some file changes.
    held: Vec<Held>,
    /// What was said of flows that no chatflow needs.
    unused: HashSet<Problem>,
    /// That a look takes too long has been told.
    is_overdue: bool,
}

/// What a look at the files gave.
struct Look {
    /// `None`: nothing can be taken over.
    policy: Option<Policy>,
    held: Vec<Held>,
    /// The parts that were read.
    parts: BTreeSet<ConfigPart>,
}

/// A look at all files, to be made where waiting hurts nobody.
pub(super) struct ReloadJob {
    /// `None`: they were lost.
    files: Option<Files>,
    snapshots: SharedSnapshot,
    state: Arc<SharedState>,
    /// What is on disk and not in force.
    waiting: BTreeSet<ConfigPart>,
    /// Whether to read again although nothing has changed.
    force: bool,
}

/// What came of a [`ReloadJob`].
pub(super) struct ReloadCheck {
    files: Files,
    /// `None`: nothing has changed.
    outcome: Option<ReloadOutcome>,
}

impl ReloadCheck {
    /// Nothing has changed.
    pub(super) fn is_as_before(&self) -> bool {
        self.outcome.is_none()
    }
}

struct ReloadOutcome {
    /// What was in force when the look began; keys may have gone since.
    since: Arc<Snapshot>,
    look: Look,
    changed: BTreeSet<ConfigPart>,
    waiting: BTreeSet<ConfigPart>,
}

impl ReloadJob {
    pub(super) fn run(self) -> ReloadCheck {
        let Self { files, snapshots, state, waiting, force } = self;
        let since = snapshots.load_full();
        let mut files = files.unwrap_or_else(|| Files::of(&since.config));
        let mut changed = files.changed();
        if changed.is_empty() && force {
            changed.insert(ConfigPart::Config);
        }
        let outcome = (!changed.is_empty()).then(|| {
            let look = look(&mut files, &since, changed.union(&waiting).copied().collect(), &state);
            ReloadOutcome { since, look, changed, waiting }
        });
        files.folders();
        ReloadCheck { files, outcome }
    }
}

fn look(files: &mut Files, current: &Policy, due: BTreeSet<ConfigPart>, state: &SharedState) -> Look {
    let last = current.parts();
    let again = |config: &Arc<Config>, due: &BTreeSet<ConfigPart>| {
        Sources::new(config, &state.endpoints).again(&last, due).read()
    };
    if !due.contains(&ConfigPart::Config) && !due.contains(&ConfigPart::Secrets) {
        files.follow([&*current.config], &[]);
        let looked = again(&current.config, &due);
        return Look::new(looked, Vec::new(), due);
    }
    let all = BTreeSet::from(ConfigPart::ALL);
    let Reread { config, held, named } = current.config.load_again();
    let problems = match config.map(Arc::new) {
        Ok(config) => {
            files.follow([&*current.config, &*config], &[]);
            match again(&config, &all) {
                Ok(looked) => {
                    files.follow([&*config], &[]);
                    return Look::new(Ok(looked), in_secrets(held), all);
                }
                Err(problems) => problems,
            }
        }
        Err(problems) => {
            files.follow([&*current.config], &named);
            problems
        }
    };
    // Whatever is wrong with it, what it names may be right.
    let mut held = in_config(problems);
    let Reread { config, held: broken, .. } = current.config.load_as_before();
    let config = config.map_or_else(|_| Arc::clone(&current.config), Arc::new);
    held.extend(in_secrets(broken));
    Look::new(again(&config, &all), held, all)
}

impl Reloader {
    pub(crate) fn new(
        files: Files,
        snapshots: SharedSnapshot,
        state: Arc<SharedState>,
        metrics: Arc<Metrics>,
        logging: Option<LogReload>,
        journal: Arc<ReloadJournal>,
    ) -> Self {
        let current = snapshots.load_full();
        let unused = current.unused().cloned().collect();
        let keys = KeysFile::seen(&files, &current.config);
        journal.follow(files.places());
        let (files, held, started) = (Some(files), Vec::new(), Arc::clone(&current.config));
        Self { keys, files, snapshots, started, state, metrics, logging, journal, held, unused, is_overdue: false }
    }

    /// Takes over what has changed of the keys, which waits for nothing else.
    pub(super) fn look_at_keys(&mut self) {
        self.keys.look(&self.snapshots, &self.state, &self.metrics, &self.journal);
    }

    /// A look at everything; with `force` it reads again even if nothing has changed. One at a time.
    pub(super) fn job(&mut self, force: bool) -> ReloadJob {
        ReloadJob {
            files: self.files.take(),
            snapshots: Arc::clone(&self.snapshots),
            state: Arc::clone(&self.state),
            waiting: parts(&self.held),
            force,
        }
    }

    /// The folders of the files; `None` while a look is made.
    pub(super) fn folders(&mut self) -> Option<&BTreeSet<PathBuf>> {
        self.files.as_mut().map(Files::folders)
    }

    /// A look takes so long that whoever relies on it should know.
    pub(super) fn tell_overdue(&mut self) {
        if !std::mem::replace(&mut self.is_overdue, true) {
            tracing::error!(
                "files are still being read, what was in force stays in force; keys are taken over meanwhile"
            );
            self.metrics.reloads.last_successful.set(0);
        }
    }

    /// Takes over what a look has found. `false`: something on disk is not in force.
    pub(super) fn settle(&mut self, looked: ReloadCheck) -> bool {
        let ReloadCheck { files, outcome } = looked;
        self.journal.follow(files.places());
        self.files = Some(files);
        let was_overdue = std::mem::take(&mut self.is_overdue);
        let Some(ReloadOutcome { since, look, changed, waiting }) = outcome else {
            if was_overdue {
                show_outcome(&parts(&self.held), &self.metrics);
            }
            return self.held.is_empty();
        };
        let Look { policy, held, parts: read } = look;
        let before: HashSet<Held> = std::mem::take(&mut self.held).into_iter().collect();
        self.held = held;
        self.held.extend(before.iter().filter(|held| !read.contains(&held.part)).cloned());
        for Held { part, problem } in self.held.iter().filter(|held| !before.contains(held)) {
            tracing::error!(file = part.name(), %problem, "reload rejected, what was in force stays in force");
        }
        let rejected = parts(&self.held);
        let (mut accepted, mut changed_settings) = (Vec::new(), Vec::new());
        if let Some(policy) = policy.and_then(|policy| self.as_of_now(policy, &since)) {
            let is_new =
                |part: &&ConfigPart| (changed.contains(part) || waiting.contains(part)) && !rejected.contains(part);
            accepted = read.iter().filter(is_new).map(|part| part.name()).collect();
            changed_settings = changes(&since.config, &policy.config);
            self.swap(policy, &accepted);
        }
        self.journal.settle(accepted, changed_settings, &self.held);
        // Last: whoever sees the count may rely on what it says.
        for part in &changed {
            self.count(*part, if rejected.contains(part) { "rejected" } else { "accepted" });
        }
        for part in waiting.iter().filter(|part| !changed.contains(part) && !rejected.contains(part)) {
            self.count(*part, "accepted");
        }
        show_outcome(&rejected, &self.metrics);
        rejected.is_empty()
    }

    /// A policy that was made beside another one, with the keys that are left by now.
    fn as_of_now(&self, policy: Policy, since: &Arc<Snapshot>) -> Option<Policy> {
        let current = self.snapshots.load_full();
        if Arc::ptr_eq(&current, since) { Some(policy) } else { policy.with_keys_after(&current) }
    }

    fn count(&self, part: ConfigPart, result: &str) {
        self.metrics.reloads.total.with_label_values(&[part.name(), result]).inc();
    }

    fn swap(&mut self, policy: Policy, accepted: &[&str]) {
        let snapshot = Arc::new(Snapshot::bind(policy, &self.state));
        let old = self.snapshots.replace(Arc::clone(&snapshot));
        if let Some(store) = &self.state.store {
            store.follow(&old.config, &snapshot.config);
        }
        let RestartBound { waiting, back } = RestartBound::of(&self.started, &old.config, &snapshot.config);
        for field in waiting {
            tracing::warn!(field, "this change takes effect after a restart");
        }
        for field in back {
            tracing::info!(field, "this is as it runs again and needs no restart");
        }
        if let Some(logging) = &self.logging
            && old.config.log != snapshot.config.log
        {
            logging.apply(snapshot.config.log);
        }
        show_policy(&snapshot, &self.metrics);
        show_changed_keys(&old, &snapshot, &self.journal);
        snapshot.announce(Some(&old));
        snapshot.unused().filter(|problem| !self.unused.contains(*problem)).for_each(warn_of_unused);
        self.unused = snapshot.unused().cloned().collect();
        let mut files = accepted.join(",");
        if files.is_empty() && !snapshot.has_flows_of(&old) {
            // Others of them than those that are held back.
            files.push_str(ConfigPart::Flows.name());
        }
        if !files.is_empty() {
            let (keys, chatflows) = (snapshot.keys.keys().len(), snapshot.config.chatflows.len());
            tracing::info!(files, keys, chatflows, "reloaded");
        }
    }
}

impl Look {
    fn new(looked: Result<(Policy, Vec<Held>), Problems>, mut held: Vec<Held>, parts: BTreeSet<ConfigPart>) -> Self {
        let policy = match looked {
            Ok((policy, more)) => {
                held.extend(more);
                Some(policy)
            }
            Err(problems) => {
                held.extend(in_config(problems));
                None
            }
        };
        Self { policy, held, parts }
    }
}

fn in_config(problems: Problems) -> Vec<Held> {
    problems.0.into_iter().map(|problem| Held { part: ConfigPart::Config, problem }).collect()
}

fn in_secrets(problems: Vec<Problem>) -> Vec<Held> {
    problems.into_iter().map(|problem| Held { part: ConfigPart::Secrets, problem }).collect()
}

fn parts(held: &[Held]) -> BTreeSet<ConfigPart> {
    held.iter().map(|held| held.part).collect()
}

#[cfg(test)]
mod tests;
