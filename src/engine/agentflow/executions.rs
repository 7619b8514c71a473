//! The last run of each session, as far as a later request goes on from it: where it waits for its user, the state and
//! the form that it keeps. It is stored with what chats remember, so that it outlives the process; those used last are at
//! hand here as well, which is where it is told that a run goes on once only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::engine::failure::Failure;
use crate::engine::memory::{Store, Turn};
use crate::engine::run::Run;

/// Runs at hand, and the bytes of those that wait; what was unused for longest goes first.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How a run is written; what was written otherwise is forgotten.
const VERSION: u64 = 1;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Executions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<Key, Entry>,
    /// Counts uses, so that the one unused for longest can be told.
    now: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    /// About how long it is.
    bytes: usize,
    /// `None`: the session has none.
    run: Option<Execution>,
}

type Key = (Arc<str>, Arc<str>);

/// One run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Execution {
    pub(super) id: String,
    /// The state that it ended with.
    pub(super) state: Map<String, Value>,
    /// What its start gave as its form.
    pub(super) form: Option<Value>,
    /// What was run before it waited; `None`: it does not wait.
    pub(super) waits: Option<Arc<Vec<Value>>>,
}

/// Where a session's run is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    memory: &'a dyn Store,
    flow: &'a str,
    session: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(run: &'a Run<'_>) -> Self {
        Self { memory: &*run.services.memory, flow: run.flow, session: &run.request.session_id }
    }

    fn key(&self) -> Key {
        (self.flow.into(), self.session.into())
    }

    /// Beside the chatflow's chats; no chatflow has such a name.
    fn shelf(&self) -> String {
        format!("{}#runs", self.flow)
    }

    /// With its length.
    fn stored(&self) -> Result<(usize, Option<Execution>), Failure> {
        let text = self.memory.turns(&self.shelf(), self.session)?.pop().map(|turn| turn.text).unwrap_or_default();
        Ok((text.len(), Execution::read(&text)))
    }

    fn store(&self, run: Option<&Execution>) -> Result<usize, Failure> {
        let text = run.map_or(Value::Null, Execution::written).to_string();
        let bytes = text.len();
        self.memory.add(&self.shelf(), self.session, &[Turn { by_user: false, text }])?;
        Ok(bytes)
    }
}

impl Execution {
    fn written(&self) -> Value {
        json!({
            "version": VERSION, "id": self.id, "state": self.state, "form": self.form, "waits": self.waits.as_deref(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let mut written: Value =
            serde_json::from_str(text).ok().filter(|written: &Value| written["version"] == VERSION)?;
        let mut take = |name: &str| written.get_mut(name).map(Value::take).unwrap_or_default();
        let (Value::String(id), Value::Object(state)) = (take("id"), take("state")) else { return None };
        let form = Some(take("form")).filter(|form| !form.is_null());
        let waits = if let Value::Array(waits) = take("waits") { Some(Arc::new(waits)) } else { None };
        Some(Self { id, state, form, waits })
    }
}

impl Executions {
    /// The session's last run.
    pub(super) fn get(&self, place: Place<'_>) -> Result<Option<Execution>, Failure> {
        let key = place.key();
        if let Some(entry) = self.kept().runs.get(&key) {
            return Ok(entry.run.clone());
        }
        let (bytes, run) = place.stored()?;
        let mut kept = self.kept();
        // What was put there in the meantime is newer.
        if !kept.runs.contains_key(&key) {
            kept.put(key.clone(), run, bytes);
        }
        Ok(kept.runs.get(&key).and_then(|entry| entry.run.clone()))
    }

    /// The run that waits for its user; from now on it does not.
    pub(super) fn resume(&self, place: Place<'_>) -> Result<Option<Execution>, Failure> {
        self.get(place)?;
        let mut kept = self.kept();
        let Some(run) = kept.runs.get_mut(&place.key()).and_then(|entry| entry.run.as_mut()) else { return Ok(None) };
        let resumed = run.clone();
        if run.waits.take().is_some() {
            let goes_on = run.clone();
            drop(kept);
            self.put(place, goes_on)?;
        }
        Ok(Some(resumed))
    }

    pub(super) fn put(&self, place: Place<'_>, run: Execution) -> Result<(), Failure> {
        let bytes = place.store(Some(&run))?;
        self.kept().put(place.key(), Some(run), bytes);
        Ok(())
    }

    pub(super) fn forget(&self, place: Place<'_>) -> Result<(), Failure> {
        if self.get(place)?.is_some() {
            place.store(None)?;
            self.kept().put(place.key(), None, 0);
        }
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Key, run: Option<Execution>, bytes: usize) {
        self.remove(&key);
        while self.runs.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            let oldest = self.runs.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.now += 1;
        self.bytes += bytes;
        self.runs.insert(key, Entry { used: self.now, bytes, run });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Entry { bytes, .. }) = self.runs.remove(key) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::InProcess;

    fn waiting(bytes: usize) -> Execution {
        let executed = vec![Value::from("x".repeat(bytes))];
        Execution { id: "id".into(), waits: Some(Arc::new(executed)), ..Execution::default() }
    }

    fn place<'a>(memory: &'a InProcess, session: &'a str) -> Place<'a> {
        Place { memory, flow: "flow", session }
    }

    #[test]
    fn a_run_is_resumed_once() {
        let (runs, memory) = (Executions::default(), InProcess::default());
        let here = place(&memory, "s");
        runs.put(here, waiting(10)).unwrap();
        assert!(runs.resume(place(&memory, "other")).unwrap().is_none());
        assert!(runs.resume(here).unwrap().unwrap().waits.is_some());
        assert!(runs.resume(here).unwrap().unwrap().waits.is_none());
        // The next process knows as much.
        assert!(Executions::default().resume(here).unwrap().unwrap().waits.is_none());
    }

    #[test]
    fn a_run_outlives_the_process() {
        let memory = InProcess::default();
        let here = place(&memory, "s");
        let state = json!({ "a": [1, null] }).as_object().unwrap().clone();
        let run = Execution { state, form: Some("x: y".into()), ..waiting(3) };
        Executions::default().put(here, run.clone()).unwrap();
        let next = Executions::default();
        assert_eq!(next.resume(here).unwrap().unwrap(), run);
        next.forget(here).unwrap();
        assert_eq!(Executions::default().get(here).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_is_forgotten() {
        let memory = InProcess::default();
        let here = place(&memory, "s");
        for text in ["", "{", "{\"version\":2,\"id\":\"x\",\"state\":{}}", "{\"version\":1}"] {
            memory.add("flow#runs", "s", &[Turn { by_user: false, text: text.into() }]).unwrap();
            assert_eq!(Executions::default().get(here).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn of_those_at_hand_the_oldest_go() {
        let (runs, memory) = (Executions::default(), InProcess::default());
        for session in 0..5 {
            runs.put(place(&memory, &session.to_string()), waiting(MOST_BYTES / 4 - 1000)).unwrap();
        }
        let kept = runs.kept();
        let has = |session: &str| kept.runs.contains_key(&("flow".into(), session.into()));
        assert_eq!((has("0"), has("1"), has("4")), (false, true, true));
        assert!(kept.bytes <= MOST_BYTES);
    }
}
