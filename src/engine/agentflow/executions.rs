//! The last run of each session, as far as a later request goes on from it: where it waits for its user, the state and
//! the form that it keeps.

use serde_json::{Map, Value};

use super::written::{self, Written};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::Session;
use crate::engine::contract::run::Run;

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

/// A session's last run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executions<'a>(Session<'a>);

impl<'a> Executions<'a> {
    /// Of the session that a run is in.
    pub(super) fn of(run: &'a Run<'_>) -> Self {
        Self(run.session())
    }

    pub(super) async fn get(self) -> Result<Option<Execution>, Failure> {
        Ok(self.0.run().await?.and_then(|text| Execution::read(&text)))
    }

    /// The run that waits for its user; from now on it does not.
    pub(super) async fn resume(self) -> Result<Option<Execution>, Failure> {
        loop {
            let Some(text) = self.0.run().await? else { return Ok(None) };
            let Some(mut run) = Execution::read(&text) else { return Ok(None) };
            let Some(waits) = run.waits.take() else { return Ok(Some(run)) };
            let goes_on = written::write(&run.to_write())?;
            if self.0.replace_run(text, goes_on.into()).await? {
                return Ok(Some(Execution { waits: Some(waits), ..run }));
            }
        }
    }

    pub(super) async fn put(self, run: &Written<'_>) -> Result<(), Failure> {
        let text = written::write(run)?;
        self.0.keep_run(Some(text.into())).await
    }

    pub(super) async fn forget(self) -> Result<(), Failure> {
        if self.get().await?.is_some() { self.0.keep_run(None).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::engine::contract::memory::Store;
    use crate::engine::memory::InProcess;

    fn waiting(bytes: usize) -> Execution {
        let executed = vec![Value::from("x".repeat(bytes))];
        Execution { id: "id".into(), waits: Some(executed), ..Execution::default() }
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(InProcess::default())
    }

    fn of<'a>(store: &'a Arc<dyn Store>, id: &'a str) -> Executions<'a> {
        Executions(Session { store, flow: "flow", id })
    }

    #[tokio::test]
    async fn a_run_is_resumed_once() {
        let store = store();
        let here = of(&store, "s");
        here.put(&waiting(10).to_write()).await.unwrap();
        assert!(of(&store, "other").resume().await.unwrap().is_none());
        assert!(here.resume().await.unwrap().unwrap().waits.is_some());
        assert!(here.resume().await.unwrap().unwrap().waits.is_none());
    }

    #[tokio::test]
    async fn a_run_is_read_as_it_was_written() {
        let store = store();
        let here = of(&store, "s");
        let state = json!({ "a": [1, null] }).as_object().unwrap().clone();
        let run = Execution { state, form: Some("x: y".into()), ..waiting(3) };
        here.put(&run.to_write()).await.unwrap();
        assert_eq!(here.resume().await.unwrap().unwrap(), run);
        here.forget().await.unwrap();
        assert_eq!(here.get().await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_forgotten() {
        let store = store();
        for text in ["", "{", "{\"version\":9,\"id\":\"x\",\"state\":{}}", "{\"version\":2}"] {
            store.keep_run("flow", "s", Some(text.into())).unwrap();
            assert_eq!(of(&store, "s").get().await.unwrap(), None, "{text}");
        }
    }
}
