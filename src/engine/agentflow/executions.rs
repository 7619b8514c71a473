//! The last run of each session, as far as a later request goes on from it: where it waits for its user, the state and
//! the form that it keeps. In this process only, and bounded: what waits longest is forgotten first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

/// Runs that are kept, and the bytes of those that wait.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Executions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<(Arc<str>, Arc<str>), (u64, Execution)>,
    /// Counts uses, so that the one unused for longest can be told.
    now: u64,
    bytes: usize,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub(super) struct Execution {
    pub(super) id: String,
    /// The state that it ended with.
    pub(super) state: Map<String, Value>,
    /// What its start gave as its form.
    pub(super) form: Option<Value>,
    /// What was run before it waited; `None`: it does not wait.
    pub(super) waits: Option<Arc<Vec<Value>>>,
    /// About how long `waits` is.
    pub(super) bytes: usize,
}

impl Executions {
    pub(super) fn get(&self, flow: &str, session: &str) -> Option<Execution> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.runs.get(&(flow.into(), session.into())).map(|(_, run)| run.clone())
    }

    /// The run that waits for its user; from now on it does not.
    pub(super) fn resume(&self, flow: &str, session: &str) -> Option<Execution> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, run) = kept.runs.get_mut(&(flow.into(), session.into()))?;
        let resumed = run.clone();
        run.waits = None;
        let freed = std::mem::take(&mut run.bytes);
        kept.bytes = kept.bytes.saturating_sub(freed);
        Some(resumed)
    }

    pub(super) fn put(&self, flow: &str, session: &str, run: Execution) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(flow), Arc::from(session));
        kept.remove(&key);
        while kept.runs.len() >= MOST || kept.bytes + run.bytes > MOST_BYTES {
            let oldest = kept.runs.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        kept.now += 1;
        kept.bytes += run.bytes;
        let now = kept.now;
        kept.runs.insert(key, (now, run));
    }

    pub(super) fn forget(&self, flow: &str, session: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.runs.is_empty() {
            kept.remove(&(Arc::from(flow), Arc::from(session)));
        }
    }
}

impl Kept {
    fn remove(&mut self, key: &(Arc<str>, Arc<str>)) {
        if let Some((_, run)) = self.runs.remove(key) {
            self.bytes = self.bytes.saturating_sub(run.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(bytes: usize) -> Execution {
        Execution { waits: Some(Arc::default()), bytes, ..Execution::default() }
    }

    #[test]
    fn a_run_is_resumed_once() {
        let runs = Executions::default();
        runs.put("flow", "s", waiting(10));
        assert!(runs.resume("flow", "other").is_none());
        assert!(runs.resume("flow", "s").unwrap().waits.is_some());
        assert!(runs.resume("flow", "s").unwrap().waits.is_none());
        assert_eq!(runs.0.lock().unwrap().bytes, 0);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let runs = Executions::default();
        for session in 0..5 {
            runs.put("flow", &session.to_string(), waiting(MOST_BYTES / 4));
        }
        assert!(runs.get("flow", "0").is_none());
        assert!(runs.get("flow", "1").is_some());
        assert_eq!(runs.0.lock().unwrap().bytes, MOST_BYTES);
    }
}
