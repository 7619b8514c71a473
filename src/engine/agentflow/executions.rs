//! The last run of each session, as far as a later request goes on from it: where it waits for its user, the state and
//! the form that it keeps. It is stored with what chats remember, so that it outlives the process; those used last are at
//! hand here as well, which is where it is told that a run goes on once only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use super::written::{self, Written};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::memory::{self, Store, Turn};

/// Runs at hand, and their bytes; what was unused for longest goes first.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

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
    /// As it is stored; `None`: the session has none.
    run: Option<Arc<str>>,
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
    pub(super) waits: Option<Vec<Value>>,
}

/// Where a session's run is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    memory: &'a Arc<dyn Store>,
    flow: &'a str,
    session: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(run: &'a Run<'_>) -> Self {
        Self { memory: &run.services.memory, flow: run.flow, session: &run.request.session_id }
    }

    fn key(&self) -> Key {
        (self.flow.into(), self.session.into())
    }

    /// Beside the chatflow's chats; no chatflow has such a name.
    fn shelf(&self) -> String {
        format!("{}#runs", self.flow)
    }

    async fn stored(&self) -> Result<Option<Arc<str>>, Failure> {
        let last = memory::read(self.memory, &self.shelf(), self.session).await?.pop();
        Ok(last.map(|turn| turn.text.into()))
    }

    async fn store(&self, run: Option<&str>) -> Result<(), Failure> {
        let text = run.unwrap_or("null").to_owned();
        memory::add(self.memory, &self.shelf(), self.session, vec![Turn { by_user: false, text }]).await
    }
}

impl Execution {
    /// As it waits, with how far the node came that failed to go on.
    pub(super) fn with_progress(mut self, progress: Option<Value>) -> Self {
        if let (Some(progress), Some(waits)) = (progress, &mut self.waits) {
            let is_waiting = |entry: &&mut Value| entry.get("status").and_then(Value::as_str) == Some("STOPPED");
            let entry = waits.iter_mut().rev().find(is_waiting);
            if let Some(data) = entry.and_then(|entry| entry.get_mut("data")?.as_object_mut()) {
                data.insert("pending".to_owned(), progress);
            }
        }
        self
    }

    pub(super) fn to_write(&self) -> Written<'_> {
        let Self { id, state, form, waits } = self;
        Written { id, state, form: form.as_ref(), waits: waits.as_deref() }
    }

    /// What cannot be read is forgotten.
    fn read(text: &str) -> Option<Self> {
        let mut written = written::read(text)?;
        let mut take = |name: &str| written.get_mut(name).map(Value::take).unwrap_or_default();
        let (Value::String(id), Value::Object(state)) = (take("id"), take("state")) else { return None };
        let form = Some(take("form")).filter(|form| !form.is_null());
        let waits = if let Value::Array(waits) = take("waits") { Some(waits) } else { None };
        Some(Self { id, state, form, waits })
    }
}

impl Executions {
    /// The session's last run.
    pub(super) async fn get(&self, place: Place<'_>) -> Result<Option<Execution>, Failure> {
        Ok(self.text(place).await?.and_then(|text| Execution::read(&text)))
    }

    /// The run that waits for its user; from now on it does not.
    pub(super) async fn resume(&self, place: Place<'_>) -> Result<Option<Execution>, Failure> {
        loop {
            let Some(text) = self.text(place).await? else { return Ok(None) };
            let Some(mut run) = Execution::read(&text) else { return Ok(None) };
            let Some(waits) = run.waits.take() else { return Ok(Some(run)) };
            let goes_on = written::write(&run.to_write())?.into();
            // Of two who would go on with it, one does.
            if self.kept().replace(&place.key(), &text, &goes_on) {
                place.store(Some(&goes_on)).await?;
                return Ok(Some(Execution { waits: Some(waits), ..run }));
            }
        }
    }

    pub(super) async fn put(&self, place: Place<'_>, run: &Written<'_>) -> Result<(), Failure> {
        let text: Arc<str> = written::write(run)?.into();
        place.store(Some(&text)).await?;
        self.kept().put(place.key(), Some(text));
        Ok(())
    }

    pub(super) async fn forget(&self, place: Place<'_>) -> Result<(), Failure> {
        if self.get(place).await?.is_some() {
            place.store(None).await?;
            self.kept().put(place.key(), None);
        }
        Ok(())
    }

    async fn text(&self, place: Place<'_>) -> Result<Option<Arc<str>>, Failure> {
        let key = place.key();
        if let Some(entry) = self.kept().runs.get(&key) {
            return Ok(entry.run.clone());
        }
        let stored = place.stored().await?;
        let mut kept = self.kept();
        // What was put there in the meantime is newer.
        if !kept.runs.contains_key(&key) {
            kept.put(key.clone(), stored);
        }
        Ok(kept.runs.get(&key).and_then(|entry| entry.run.clone()))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Key, run: Option<Arc<str>>) {
        self.remove(&key);
        let bytes = length(run.as_ref());
        while self.runs.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            let oldest = self.runs.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.now += 1;
        self.bytes += bytes;
        self.runs.insert(key, Entry { used: self.now, run });
    }

    /// Puts `next` in the place of `run`, if that is there.
    fn replace(&mut self, key: &Key, run: &Arc<str>, next: &Arc<str>) -> bool {
        let is_there = self.runs.get(key).and_then(|entry| entry.run.as_ref()).is_some_and(|at| Arc::ptr_eq(at, run));
        if is_there {
            self.put(key.clone(), Some(Arc::clone(next)));
        }
        is_there
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Entry { run, .. }) = self.runs.remove(key) {
            self.bytes = self.bytes.saturating_sub(length(run.as_ref()));
        }
    }
}

fn length(run: Option<&Arc<str>>) -> usize {
    run.map_or(0, |run| run.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::memory::InProcess;

    fn waiting(bytes: usize) -> Execution {
        let executed = vec![Value::from("x".repeat(bytes))];
        Execution { id: "id".into(), waits: Some(executed), ..Execution::default() }
    }

    fn memory() -> Arc<dyn Store> {
        Arc::new(InProcess::default())
    }

    fn place<'a>(memory: &'a Arc<dyn Store>, session: &'a str) -> Place<'a> {
        Place { memory, flow: "flow", session }
    }

    #[tokio::test]
    async fn a_run_is_resumed_once() {
        let (runs, memory) = (Executions::default(), memory());
        let here = place(&memory, "s");
        runs.put(here, &waiting(10).to_write()).await.unwrap();
        assert!(runs.resume(place(&memory, "other")).await.unwrap().is_none());
        assert!(runs.resume(here).await.unwrap().unwrap().waits.is_some());
        assert!(runs.resume(here).await.unwrap().unwrap().waits.is_none());
        // The next process knows as much.
        assert!(Executions::default().resume(here).await.unwrap().unwrap().waits.is_none());
    }

    #[tokio::test]
    async fn a_run_outlives_the_process() {
        let memory = memory();
        let here = place(&memory, "s");
        let state = json!({ "a": [1, null] }).as_object().unwrap().clone();
        let run = Execution { state, form: Some("x: y".into()), ..waiting(3) };
        Executions::default().put(here, &run.to_write()).await.unwrap();
        let next = Executions::default();
        assert_eq!(next.resume(here).await.unwrap().unwrap(), run);
        next.forget(here).await.unwrap();
        assert_eq!(Executions::default().get(here).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_forgotten() {
        let memory = memory();
        let here = place(&memory, "s");
        for text in ["", "{", "{\"version\":9,\"id\":\"x\",\"state\":{}}", "{\"version\":2}"] {
            memory.add("flow#runs", "s", &[Turn { by_user: false, text: text.into() }]).unwrap();
            assert_eq!(Executions::default().get(here).await.unwrap(), None, "{text}");
        }
    }

    #[tokio::test]
    async fn of_those_at_hand_the_oldest_go() {
        let (runs, memory) = (Executions::default(), memory());
        for session in 0..20 {
            runs.put(place(&memory, &session.to_string()), &waiting(1_000_000).to_write()).await.unwrap();
        }
        let kept = runs.kept();
        let has = |session: &str| kept.runs.contains_key(&("flow".into(), session.into()));
        assert_eq!((has("0"), has("10"), has("19")), (false, true, true));
        assert!(kept.bytes <= MOST_BYTES);
    }
}
