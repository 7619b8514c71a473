//! What was said before in a chat, as a run reads it and adds to it.

use std::fmt;
use std::sync::Arc;

use super::Task;
use super::failure::Failure;
use super::memory::{LONGEST_TEXT, Session, Turn};
use super::message::{Message, Role};
use super::run::Run;
use crate::predict::request::PastMessage;

/// A memory node.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Exchanges that are told to the model; `None`: all that are stored.
    pub(crate) turns: Option<usize>,
    /// The node's label, which answers show as `memoryType`.
    pub(crate) label: String,
    /// How it remembers, if not word for word in the engine's own memory.
    pub(crate) by: Option<Arc<dyn HistoryStrategy>>,
}

/// Another way to remember.
pub(crate) trait HistoryStrategy: fmt::Debug + Send + Sync {
    /// What a model is told of the session before the question.
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>>;

    /// The same for nodes to which whatever the user did not say was said by the assistant.
    fn spoken<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move { Ok(as_spoken(self.recall(run).await?)) })
    }

    /// Whether asking again gives something else, as where a model is asked each time.
    fn is_made_anew(&self) -> bool {
        false
    }

    /// Whether its words are kept elsewhere than in the engine's own memory.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Keeps an exchange.
    fn keep<'a>(&'a self, _question: &'a str, _answer: &'a str, _run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Memory {
    /// Word for word, in the engine's own memory.
    pub(crate) fn verbatim(label: String, turns: Option<usize>) -> Self {
        Self { turns, label, by: None }
    }

    /// The turns before the question: those of the request, then those of the session.
    pub(crate) async fn turns(&self, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        match &self.by {
            Some(by) => by.recall(run).await,
            None => Ok(messages_of(run, last(recalled(run).await?, self.turns))),
        }
    }

    /// See [`HistoryStrategy::spoken`].
    pub(crate) async fn spoken(&self, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        match &self.by {
            Some(by) => by.spoken(run).await,
            None => self.turns(run).await,
        }
    }

    /// See [`HistoryStrategy::is_made_anew`].
    pub(crate) fn is_made_anew(&self) -> bool {
        self.by.as_ref().is_some_and(|by| by.is_made_anew())
    }

    /// Keeps an exchange where it is kept elsewhere; what the engine keeps itself, it keeps when the flow has answered.
    pub(crate) async fn keep(&self, question: &str, answer: &str, run: &Run<'_>) -> Result<(), Failure> {
        match &self.by {
            Some(by) => by.keep(question, answer, run).await,
            None => Ok(()),
        }
    }
}

/// Turns of two, but for a summary of nothing.
fn as_spoken(mut turns: Vec<Message>) -> Vec<Message> {
    turns.retain(|turn| !(turn.role.instructs() && turn.content.plain().is_empty()));
    for turn in &mut turns {
        turn.role = if turn.role == Role::User { Role::User } else { Role::Assistant };
    }
    turns
}

/// What the request says was said before, and then some turns.
pub(crate) fn messages_of(run: &Run<'_>, turns: &[Turn]) -> Vec<Message> {
    let before = run.request.history.iter().filter_map(past_message);
    before.chain(turns.iter().map(Turn::message)).collect()
}

/// The turns of the last exchanges, so many of them.
fn last(turns: &[Turn], exchanges: Option<usize>) -> &[Turn] {
    let skipped = exchanges.map_or(0, |most| turns.len().saturating_sub(most.saturating_mul(2)));
    turns.get(skipped..).unwrap_or_default()
}

/// What a request says was said before; the words of others are passed over.
fn past_message(past: &PastMessage) -> Option<Message> {
    let text = past.text.as_str();
    past.by_user.map(|by_user| if by_user { Message::user(text) } else { Message::assistant(text) })
}

/// What `{{chat_history}}` stands for in a flow with that memory. Texts are filled in without waiting for anything; what
/// cannot be read is not shown.
pub(crate) async fn tell_history(memory: &Memory, run: &Run<'_>) {
    let turns: Vec<Turn> = match memory.by.as_ref().filter(|by| by.is_elsewhere()) {
        // What the request says was said before is shown as it says it.
        Some(by) => {
            let told = by.recall(run).await.unwrap_or_default();
            let own = told.iter().skip(messages_of(run, &[]).len());
            own.map(|turn| Turn { by_user: turn.role == Role::User, text: turn.content.plain() }).collect()
        }
        None => recalled(run).await.map_or_else(|_| Vec::new(), |turns| last(turns, memory.turns).to_vec()),
    };
    let past = run.request.history.iter().map(|past| (past.shown_by_user, past.text.as_str()));
    let kept = turns.iter().map(|turn| (Some(turn.by_user), turn.text.as_str()));
    let line = |(by_user, text): (Option<bool>, &str)| match by_user {
        _ if text.trim().is_empty() => None,
        Some(true) => Some(format!("Human: {text}")),
        Some(false) => Some(format!("Assistant: {text}")),
        None => Some(text.to_owned()),
    };
    let lines: Vec<String> = past.chain(kept).filter_map(line).collect();
    let _ = run.request.told_history.set(lines.join("\n"));
}

impl Run<'_> {
    /// What is kept of its session.
    pub(crate) fn session(&self) -> Session<'_> {
        Session { store: &self.services.memory, flow: self.flow, id: &self.request.session_id }
    }
}

/// The session's turns before this request, read once.
pub(crate) async fn recalled<'a>(run: &Run<'a>) -> Result<&'a [Turn], Failure> {
    let request = run.request;
    if request.recalled.get().is_none() {
        let turns = run.session().turns().await?;
        let _ = request.recalled.set(turns.into());
    }
    Ok(request.recalled.get().map_or(&[], |turns| turns))
}

/// Stores an exchange: what the user asked, without its files, and what was answered in the end, whichever nodes it went
/// through. Of what is longer than a session may be, the beginning.
pub(crate) async fn remember(run: &Run<'_>, question: &str, answer: &str) -> Result<(), Failure> {
    let turn = |by_user, text| Turn { by_user, text: beginning(text, LONGEST_TEXT).to_owned() };
    let turns = vec![turn(true, question), turn(false, answer)];
    run.session().add(turns).await
}

/// As much of a text as takes at most so many bytes in a JSON string.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut left = most;
    for (at, letter) in text.char_indices() {
        let bytes = match letter {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '\0'..' ' => 6,
            letter => letter.len_utf8(),
        };
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return text.get(..at).unwrap_or_default(),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::memory::MOST_BYTES;
    use super::*;
    use crate::engine::testing::within;

    #[test]
    fn an_exchange_is_no_larger_than_a_session_may_be() {
        for (letter, kept) in
            [("a", LONGEST_TEXT), ("\"", LONGEST_TEXT / 2), ("\u{1}", LONGEST_TEXT / 6), ("ü", LONGEST_TEXT / 2)]
        {
            let long = letter.repeat(MOST_BYTES);
            let turns = within(&json!({ "question": "q" }), async |run| {
                remember(run, &long, &long).await.unwrap();
                recalled(run).await.unwrap().to_vec()
            });
            assert!(serde_json::to_vec(&turns).unwrap().len() <= MOST_BYTES);
            assert_eq!(turns.iter().map(|turn| turn.text.chars().count()).collect::<Vec<_>>(), [kept, kept]);
        }
        assert_eq!(beginning("as it is", 8), "as it is");
    }
}
