//! How an answer is told to a client, whoever gave it.

use std::fmt;

use super::event::AnswerEvent;
use super::event_name::EventName;
use super::fields::AnswerFields;
use super::output::AnswerOutput;

/// A shape of answers. What comes here is what the client may see.
pub(super) trait Renderer: fmt::Debug + Send {
    /// Writes what an event becomes, if it becomes anything.
    fn event(&mut self, event: &AnswerEvent<'_>, out: &mut Vec<u8>);

    /// Writes an answer in one piece.
    ///
    /// # Errors
    /// It cannot be written.
    fn whole(&self, answer: AnswerFields<'_>, out: &mut AnswerOutput) -> serde_json::Result<()>;

    /// How a stream ends that cannot go on, or that never began; nothing, if it has said so already.
    fn failure(&self, sentence: &str, code: &str) -> String;

    /// Whether the event is part of the answer itself, whatever a chatflow's `events` lists.
    fn needs(&self, event: EventName) -> bool {
        matches!(event, EventName::Token | EventName::Metadata | EventName::Error | EventName::End)
    }
}
