//! Where what a run tells goes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus::Histogram;
use serde_json::Value;

#[cfg(test)]
use crate::predict::answer::View;
use crate::predict::answer::{AnswerEvent, AnswerValue, EventName, EventWriter};
use crate::predict::report::ModelReport;

/// Bytes of a stream that may wait for their reader.
pub(crate) const MOST_UNREAD: usize = 64 * 1024;

/// Where events go; nowhere for an answer in one piece.
#[derive(Default)]
pub(crate) struct Sink {
    /// As the client sees them.
    writer: Option<RefCell<EventWriter>>,
    /// Until the first token: since when it is waited for, and where that is noted.
    first_token: Cell<Option<(Instant, Histogram, Arc<ModelReport>)>>,
    has_started: Cell<bool>,
    starts_with_first_token: Cell<bool>,
    /// While the model thinks: since when.
    thinks: Cell<Option<Instant>>,
    /// Seconds for which it thought, if it did.
    thought: Cell<Option<u64>>,
    /// Told so far.
    pub(crate) events: Cell<u64>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("streams", &self.streams()).finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn new(writer: EventWriter) -> Self {
        Self { writer: Some(RefCell::new(writer)), ..Self::default() }
    }

    /// As [`new`](Self::new), and notes the time from now to the first token.
    pub(crate) fn timed(writer: EventWriter, first_token: Histogram, report: &Arc<ModelReport>) -> Self {
        let waits = (Instant::now(), first_token, Arc::clone(report));
        Self { first_token: Cell::new(Some(waits)), ..Self::new(writer) }
    }

    pub(crate) fn streams(&self) -> bool {
        self.writer.is_some()
    }

    /// A piece of the answer; the first is preceded by a `start` that has it as well, as in Flowise.
    pub(crate) fn token(&self, text: &str) {
        self.start(text);
        self.bare_token(text);
    }

    /// The model has begun to answer, if only with nothing: so do the vendors whose first piece is empty.
    pub(crate) fn begin(&self) {
        if !self.starts_with_first_token.get() {
            self.start("");
        }
    }

    /// Once; `text` is the first piece, or nothing.
    pub(crate) fn start(&self, text: &str) {
        if !self.has_started.replace(true) {
            self.event(EventName::Start, text);
        }
    }

    /// An empty first piece is passed over, as some chains of Flowise do.
    pub(crate) fn start_with_first_token(&self) {
        self.starts_with_first_token.set(true);
    }

    /// A piece of what the model thinks.
    pub(crate) fn thought(&self, text: &str) {
        self.thinks.set(self.thinks.get().or_else(|| Some(Instant::now())));
        self.event(EventName::Thinking, text);
    }

    /// What a model thought that told it in one piece, and for how long, as its provider or nobody knows.
    pub(crate) fn thought_whole(&self, text: &str, seconds: u64) {
        self.thought.set(Some(self.thought.get().unwrap_or_default().saturating_add(seconds)));
        self.event(EventName::Thinking, text);
        self.event(EventName::Thought, Value::from(seconds));
    }

    /// The seconds for which the model thought, as they were told since the last time.
    pub(crate) fn take_thought(&self) -> Option<u64> {
        self.thought.take()
    }

    /// A token of a flow that has no `start`.
    pub(crate) fn bare_token(&self, text: &str) {
        if let Some(since) = self.thinks.get().filter(|_| !text.is_empty()) {
            self.thinks.set(None);
            let milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let seconds = milliseconds.saturating_add(500) / 1000;
            self.thought.set(Some(self.thought.get().unwrap_or_default().saturating_add(seconds)));
            self.event(EventName::Thought, Value::from(seconds));
        }
        if !text.is_empty()
            && self.streams()
            && let Some((begun, histogram, report)) = self.first_token.take()
        {
            let waited = begun.elapsed();
            histogram.observe(waited.as_secs_f64());
            let _ = report.first_token.set(waited);
        }
        self.event(EventName::Token, text);
    }

    pub(crate) fn event<'a>(&self, name: EventName, data: impl Into<AnswerValue<'a>>) {
        if let Some(writer) = &self.writer {
            writer.borrow_mut().write(AnswerEvent { name, data: data.into() });
            self.events.set(self.events.get() + 1);
        }
    }

    /// The stream ends before its time.
    pub(crate) fn break_off(&self, sentence: &str) {
        if let Some(writer) = &self.writer {
            writer.borrow_mut().break_off(sentence);
        }
    }

    /// Whether more should not be told before that is read.
    pub(super) fn is_full(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.borrow().len() >= MOST_UNREAD)
    }

    /// Hands on what has come since the last time.
    pub(crate) fn take(&self, hand_on: impl FnOnce(&mut Vec<u8>)) {
        if let Some(writer) = &self.writer {
            writer.borrow_mut().take(hand_on);
        }
    }
}

#[cfg(test)]
impl Sink {
    /// Of a stream in Flowise's words, all of them.
    pub(crate) fn flowise() -> Self {
        Self::new(View::default().into_writer())
    }

    pub(crate) fn told(&self) -> String {
        let mut told = Vec::new();
        self.take(|text| std::mem::swap(text, &mut told));
        String::from_utf8(told).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_ends_with_the_time_that_it_took() {
        let sink = Sink::flowise();
        for thought in ["Hm", "well"] {
            sink.thought(thought);
        }
        // Some vendors send an empty piece beside each thought.
        sink.bare_token("");
        sink.bare_token("So");
        sink.bare_token("!");
        let told = sink.told();
        let events: Vec<&str> =
            told.split_terminator("\n\n").map(|record| &record["message:\ndata:".len()..]).collect();
        assert_eq!(
            events[1..],
            [
                r#"{"event":"thinking","data":"well"}"#,
                r#"{"event":"token","data":""}"#,
                r#"{"event":"thinking","data":"","duration":0}"#,
                r#"{"event":"token","data":"So"}"#,
                r#"{"event":"token","data":"!"}"#,
            ]
        );
        assert_eq!(sink.events.get(), 6);
    }
}
