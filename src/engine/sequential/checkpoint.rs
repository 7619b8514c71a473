//! What a chat's next question goes on with: the state, and where the flow waits for its user.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::{AgentMessage, Speaker};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{MOST_BYTES, Session};

/// What was kept otherwise is forgotten.
const VERSION: u64 = 1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// `agents`: not what flows of another generation keep.
    pub(super) agents: u64,
    pub(super) values: Map<String, Value>,
    pub(super) messages: Vec<AgentMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waits: Option<Waiting>,
}

/// What the user was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Ids of the nodes that come next.
    pub(super) next: Vec<String>,
    /// The question's id.
    pub(super) action: String,
    pub(super) approve: String,
    pub(super) reject: String,
}

impl Checkpoint {
    pub(super) fn new(values: Map<String, Value>, mut messages: Vec<AgentMessage>, waits: Option<Waiting>) -> Self {
        // What a model says freely is nobody's in later questions.
        for said in messages.iter_mut().filter(|said| said.speaker == Speaker::Model && !said.has_form) {
            said.name = None;
        }
        Self { agents: VERSION, values, messages, waits }
    }

    /// As it is kept. Of a long chat the end.
    pub(super) fn write(mut self) -> Result<String, Failure> {
        loop {
            let text = serde_json::to_string(&self).unwrap_or_default();
            let escaped = text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
            if !text.is_empty() && escaped <= MOST_BYTES {
                return Ok(text);
            }
            // From one user's word to the next; a call and its result belong together.
            let is_user = |said: &AgentMessage| said.speaker == Speaker::Human && said.name.is_none();
            let next = self.messages.iter().skip(1).position(is_user).map(|at| at + 1);
            match next.filter(|_| self.waits.is_none()) {
                Some(next) => drop(self.messages.drain(..next)),
                None if self.waits.is_none() && !self.messages.is_empty() => self.messages.clear(),
                None => return Err(Failure::flow("The run cannot be kept: what it holds is larger than 1 MiB")),
            }
        }
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|kept: &Self| kept.agents == VERSION)
    }

    /// A call that nobody has answered is taken back: providers refuse to hear of it.
    pub(super) fn without_open_calls(mut self) -> Self {
        let is_open = |said: &AgentMessage| said.speaker == Speaker::Model && !said.calls.is_empty();
        if self.messages.last().is_some_and(is_open) {
            self.messages.pop();
        }
        self
    }
}

/// What is kept of a session, if something is.
pub(super) async fn get(session: Session<'_>) -> Result<Option<Checkpoint>, Failure> {
    Ok(session.run().await?.and_then(|text| Checkpoint::read(&text)))
}

/// What waits for this answer; from now on it does not.
pub(super) async fn take(session: Session<'_>, action: &str) -> Result<Option<(Checkpoint, Waiting)>, Failure> {
    loop {
        let Some(text) = session.run().await? else { return Ok(None) };
        let Some(mut kept) = Checkpoint::read(&text) else { return Ok(None) };
        let Some(waits) = kept.waits.take().filter(|waits| waits.action == action) else { return Ok(None) };
        if session.replace_run(text, kept.clone().write()?.into()).await? {
            return Ok(Some((kept, waits)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::contract::memory::Store;
    use crate::engine::memory::InProcess;

    #[tokio::test]
    async fn an_answer_is_taken_once_and_by_whom_it_was_asked() {
        let store: Arc<dyn Store> = Arc::new(InProcess::default());
        let session = Session { store: &store, flow: "f", id: "s" };
        let [approve, reject] = ["Yes", "No"].map(str::to_owned);
        let waits = Waiting { next: vec!["t".into()], action: "a1".into(), approve, reject };
        let kept = Checkpoint::new(Map::new(), vec![AgentMessage::human("q")], Some(waits.clone()));
        session.keep_run(Some(kept.write().unwrap().into())).await.unwrap();
        assert_eq!(take(session, "other").await.unwrap(), None);
        assert_eq!(take(session, "a1").await.unwrap().unwrap().1, waits);
        assert_eq!(take(session, "a1").await.unwrap(), None);
        assert_eq!(get(session).await.unwrap().unwrap().messages.len(), 1);
        session.keep_run(Some("{\"version\":2}".into())).await.unwrap();
        assert_eq!(get(session).await.unwrap(), None);
    }

    #[test]
    fn of_a_long_chat_the_end_is_kept() {
        let messages = (0..30).flat_map(|at| {
            [AgentMessage::human(format!("{at}{}", "q".repeat(50_000))), AgentMessage::model("a").by("x", "x_0")]
        });
        let kept = Checkpoint::new(Map::new(), messages.collect(), None);
        let read = Checkpoint::read(&kept.write().unwrap()).unwrap();
        assert!(read.messages.len() < 60 && read.messages[0].content.len() > 50_000);
        assert!(read.messages.last().unwrap().content == "a");
    }
}
