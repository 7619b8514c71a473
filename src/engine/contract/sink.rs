//! Where what a run tells goes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus::Histogram;
use serde_json::Value;

use crate::predict::events::push_record;
use crate::predict::report::ModelReport;

/// Bytes of a stream that may wait for their reader.
pub(crate) const MOST_UNREAD: usize = 64 * 1024;

/// Where events go; nowhere for an answer in one piece.
#[derive(Default)]
pub(crate) struct Sink {
    streams: bool,
    /// Until the first token: since when it is waited for, and where that is noted.
    first_token: Cell<Option<(Instant, Histogram, Arc<ModelReport>)>>,
    has_started: Cell<bool>,
    starts_with_first_token: Cell<bool>,
    /// While the model thinks: since when.
    thinks: Cell<Option<Instant>>,
    queue: RefCell<String>,
    /// Records so far.
    pub(crate) events: Cell<u64>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn new(streams: bool) -> Self {
        Self { streams, ..Self::default() }
    }

    /// Of a stream, and notes the time from now to the first token.
    pub(crate) fn timed(first_token: Histogram, report: &Arc<ModelReport>) -> Self {
        let waits = (Instant::now(), first_token, Arc::clone(report));
        Self { first_token: Cell::new(Some(waits)), ..Self::new(true) }
    }

    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    /// A piece of the answer; the first is preceded by a `start` that has it as well, as in Flowise.
    pub(crate) fn token(&self, text: &str) {
        self.start(&Value::from(text));
        self.bare_token(text);
    }

    /// The model has begun to answer, if only with nothing: so do the vendors whose first piece is empty.
    pub(crate) fn begin(&self) {
        if !self.starts_with_first_token.get() {
            self.start(&Value::from(""));
        }
    }

    /// Once; `data` is the first piece, or nothing.
    pub(crate) fn start(&self, data: &Value) {
        if !self.has_started.replace(true) {
            self.event("start", data);
        }
    }

    /// An empty first piece is passed over, as some chains of Flowise do.
    pub(crate) fn start_with_first_token(&self) {
        self.starts_with_first_token.set(true);
    }

    /// A piece of what the model thinks.
    pub(crate) fn thought(&self, text: &str) {
        self.thinks.set(self.thinks.get().or_else(|| Some(Instant::now())));
        self.event("thinking", &text.into());
    }

    /// A token of a flow that has no `start`.
    pub(crate) fn bare_token(&self, text: &str) {
        if let Some(since) = self.thinks.get().filter(|_| !text.is_empty()) {
            self.thinks.set(None);
            // The end of it, with the seconds that it took.
            let seconds = (since.elapsed().as_millis() + 500) / 1000;
            self.tell(&format!("message:\ndata:{{\"event\":\"thinking\",\"data\":\"\",\"duration\":{seconds}}}\n\n"));
        }
        if !text.is_empty()
            && self.streams
            && let Some((begun, histogram, report)) = self.first_token.take()
        {
            let waited = begun.elapsed();
            histogram.observe(waited.as_secs_f64());
            let _ = report.first_token.set(waited);
        }
        self.event("token", &text.into());
    }

    pub(crate) fn event(&self, name: &str, data: &Value) {
        if self.streams {
            push_record(&mut self.queue.borrow_mut(), name, data);
            self.events.set(self.events.get() + 1);
        }
    }

    /// Puts a record into the stream, if there is one.
    fn tell(&self, record: &str) {
        if self.streams {
            self.queue.borrow_mut().push_str(record);
            self.events.set(self.events.get() + 1);
        }
    }

    /// Whether more should not be told before that is read.
    pub(super) fn is_full(&self) -> bool {
        self.queue.borrow().len() >= MOST_UNREAD
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.queue.borrow_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_ends_with_the_time_that_it_took() {
        let sink = Sink::new(true);
        for thought in ["Hm", "well"] {
            sink.thought(thought);
        }
        // Some vendors send an empty piece beside each thought.
        sink.bare_token("");
        sink.bare_token("So");
        sink.bare_token("!");
        let told = sink.take();
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
