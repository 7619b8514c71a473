//! Reads again what has changed, takes over each part that is good, and keeps what is in force of every other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diff::needs_restart;
use super::files::Files;
use crate::config::resolve::Reread;
use crate::config::{Config, Part, Problem, Problems};
use crate::policy::{Held, Policy, Sources};
use crate::snapshot::{Shared, Snapshot};
use crate::state::SharedState;
use crate::telemetry::logging::Logging;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(crate) struct Reloader {
    pub(super) files: Files,
    snapshots: Shared,
    state: Arc<SharedState>,
    metrics: Arc<Metrics>,
    logging: Option<Logging>,
    /// What is on disk and not in force. It is looked at again when some file changes.
    held: Vec<Held>,
    /// What was said of flows that no chatflow needs.
    unused: Vec<Problem>,
}

/// What a look at the files gave.
struct Look {
    /// `None`: nothing can be taken over.
    policy: Option<Policy>,
    held: Vec<Held>,
    /// The parts that were read.
    parts: BTreeSet<Part>,
}

impl Reloader {
    pub(crate) fn new(
        files: Files,
        snapshots: Shared,
        state: Arc<SharedState>,
        metrics: Arc<Metrics>,
        logging: Option<Logging>,
    ) -> Self {
        let unused = snapshots.load().unused().cloned().collect();
        Self { files, snapshots, state, metrics, logging, held: Vec::new(), unused }
    }

    /// Reloads what has changed; with `force` even if nothing has. `false`: something on disk is not in force.
    pub(super) fn reload(&mut self, force: bool) -> bool {
        let mut changed = self.files.changed();
        if changed.is_empty() {
            if !force {
                return self.held.is_empty();
            }
            changed.insert(Part::Config);
        }
        let waiting = parts(&self.held);
        let Look { policy, held, parts: read } = self.look(changed.union(&waiting).copied().collect());
        let before = std::mem::take(&mut self.held);
        self.held = held;
        self.held.extend(before.iter().filter(|held| !read.contains(&held.part)).cloned());
        for Held { part, problem } in self.held.iter().filter(|held| !before.contains(held)) {
            tracing::error!(file = part.name(), %problem, "reload rejected, what was in force stays in force");
        }
        let rejected = parts(&self.held);
        if let Some(policy) = policy {
            let is_new = |part: &&Part| (changed.contains(part) || waiting.contains(part)) && !rejected.contains(part);
            let accepted: Vec<_> = read.iter().filter(is_new).map(|part| part.name()).collect();
            self.swap(policy, &accepted);
        }
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

    fn count(&self, part: Part, result: &str) {
        self.metrics.reloads.total.with_label_values(&[part.name(), result]).inc();
    }

    fn look(&mut self, due: BTreeSet<Part>) -> Look {
        let current = self.snapshots.load_full();
        let (last, state) = (current.parts(), Arc::clone(&self.state));
        let again = |config: &Arc<Config>, due: &BTreeSet<Part>| {
            Sources::new(config, &state.endpoints).again(&last, due).read()
        };
        if !due.contains(&Part::Config) && !due.contains(&Part::Secrets) {
            self.files.follow([&*current.config], &[]);
            let looked = again(&current.config, &due);
            return Look::new(looked, Vec::new(), due);
        }
        let all = BTreeSet::from(Part::ALL);
        let Reread { config, held, named } = current.config.load_again();
        let problems = match config.map(Arc::new) {
            Ok(config) => {
                self.files.follow([&*current.config, &*config], &[]);
                match again(&config, &all) {
                    Ok(looked) => {
                        self.files.follow([&*config], &[]);
                        return Look::new(Ok(looked), in_secrets(held), all);
                    }
                    Err(problems) => problems,
                }
            }
            Err(problems) => {
                self.files.follow([&*current.config], &named);
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

    fn swap(&mut self, policy: Policy, accepted: &[&str]) {
        let snapshot = Arc::new(Snapshot::bind(policy, &self.state));
        let old = self.snapshots.swap(Arc::clone(&snapshot));
        for field in needs_restart(&old.config, &snapshot.config) {
            tracing::warn!(field, "this change takes effect after a restart");
        }
        if let Some(logging) = &self.logging
            && old.config.log != snapshot.config.log
        {
            logging.apply(snapshot.config.log);
        }
        show_policy(&snapshot, &self.metrics);
        snapshot.announce(Some(&old));
        let unused: Vec<_> = snapshot.unused().cloned().collect();
        unused.iter().filter(|problem| !self.unused.contains(problem)).for_each(warn_of_unused);
        self.unused = unused;
        let mut files = accepted.join(",");
        if files.is_empty() && !snapshot.has_flows_of(&old) {
            // Others of them than those that are held back.
            files.push_str(Part::Flows.name());
        }
        if !files.is_empty() {
            let (keys, chatflows) = (snapshot.keys.keys().len(), snapshot.config.chatflows.len());
            tracing::info!(files, keys, chatflows, "reloaded");
        }
    }
}

impl Look {
    fn new(looked: Result<(Policy, Vec<Held>), Problems>, mut held: Vec<Held>, parts: BTreeSet<Part>) -> Self {
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
    problems.0.into_iter().map(|problem| Held { part: Part::Config, problem }).collect()
}

fn in_secrets(problems: Vec<Problem>) -> Vec<Held> {
    problems.into_iter().map(|problem| Held { part: Part::Secrets, problem }).collect()
}

fn parts(held: &[Held]) -> BTreeSet<Part> {
    held.iter().map(|held| held.part).collect()
}

fn warn_of_unused(problem: &Problem) {
    tracing::warn!(%problem, "a flow cannot be run, and no chatflow needs it");
}

/// Tells of a gateway that starts.
pub(crate) fn show_start(policy: &Policy, metrics: &Metrics) {
    show_policy(policy, metrics);
    show_outcome(&BTreeSet::new(), metrics);
    policy.announce(None);
    policy.unused().for_each(warn_of_unused);
}

/// Sets the gauges that tell whether what is on disk is in force.
fn show_outcome(rejected: &BTreeSet<Part>, metrics: &Metrics) {
    for part in Part::ALL {
        metrics.reloads.held_back.with_label_values(&[part.name()]).set(rejected.contains(&part).into());
    }
    metrics.reloads.last_successful.set(rejected.is_empty().into());
    if rejected.is_empty() {
        metrics.reloads.last_success.set(jiff::Timestamp::now().as_second());
    }
}

/// Sets the gauges that tell of what is in force.
fn show_policy(policy: &Policy, metrics: &Metrics) {
    let counts = policy.keys.counts(jiff::Timestamp::now());
    for (state, count) in [("active", counts.active), ("expired", counts.expired), ("disabled", counts.disabled)] {
        metrics.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let (Some(identity), Some(tls)) = (&policy.tls, &policy.config.server.tls) {
        #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
        metrics
            .certificate_expiry
            .with_label_values(&[&tls.cert_file.to_string_lossy()])
            .set(identity.not_after as f64);
    }
}
