//! A new snapshot beside the one in force: each part that is good is taken over, each other one keeps what it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Snapshot;
use super::parts::Parts;
use crate::config::{Config, Part, Problem, Problems};
use crate::telemetry::metrics::Metrics;

/// Why a part, or one file of it, is not as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) part: Part,
    pub(crate) problem: Problem,
}

impl Snapshot {
    /// Reads the parts that are `due` again and puts them together under `config`, which may be the one in force. What is
    /// in use (limits, upstream connections and health) is taken over. Nothing that is in force is changed.
    ///
    /// # Errors
    /// The configuration cannot be taken over: it does not fit the keys, or a chatflow of it has no flow.
    pub(crate) fn again(
        &self,
        config: &Arc<Config>,
        due: &BTreeSet<Part>,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Vec<Held>), Problems> {
        let mut parts = Parts { config, previous: Some(self), due: Some(due), metrics, held: Vec::new() };
        let mut problems = Vec::new();
        let keys = super::build::collect(&mut problems, parts.keys());
        let snapshot = match keys {
            Some(keys) => parts.assemble(keys),
            // What else is wrong shall be known as well.
            None => parts.assemble(Arc::clone(&self.keys)).and(Err(Problems(Vec::new()))),
        };
        let snapshot = super::build::collect(&mut problems, snapshot);
        match snapshot {
            Some(snapshot) if problems.is_empty() => Ok((snapshot, parts.held)),
            _ => Err(Problems(problems)),
        }
    }
}
