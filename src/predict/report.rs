//! What is known at its end of a stream, and of the models that the engine asked, for log and metrics.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;

/// Filled while a stream goes by.
#[derive(Debug, Default)]
pub(crate) struct StreamReport {
    pub(crate) events: Cell<u64>,
    /// `None`: the client went away.
    pub(crate) ending: Cell<Option<Ending>>,
    /// The first error that it told, as the client was told.
    pub(crate) error: OnceCell<Box<str>>,
    /// When its first token went by, where that is seen.
    pub(crate) first_token: OnceCell<Instant>,
}

impl StreamReport {
    /// A piece of it goes by.
    pub(crate) fn see(&self, piece: &[u8]) {
        // Only until there is one. One whose name is torn in two is not seen, the next is.
        if self.first_token.get().is_none() && memchr::memmem::find(piece, b"\"token\"").is_some() {
            self.first_token.get_or_init(Instant::now);
        }
    }

    /// The stream has told that error.
    pub(crate) fn failed(&self, sentence: &str) {
        self.error.get_or_init(|| sentence.into());
    }
}

/// Where a report of a request goes; empty unless there is something to report.
#[derive(Debug)]
pub(crate) struct ReportSlot<T>(OnceCell<Rc<T>>);

impl<T> Default for ReportSlot<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T: Default> ReportSlot<T> {
    /// There is something to report.
    pub(crate) fn begin(&self) -> Rc<T> {
        Rc::clone(self.0.get_or_init(Rc::default))
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get().map(|report| &**report)
    }
}

/// Filled while the engine answers, by the thread that computes the flow.
#[derive(Debug, Default)]
pub(crate) struct ModelReport {
    /// Of the request that is answered, for whoever tells of what happens meanwhile.
    request_id: Option<HeaderValue>,
    /// The first model that was asked, by a name of the flow's author.
    pub(crate) model: OnceLock<Box<str>>,
    pub(crate) calls: Tally,
    /// As providers count them.
    pub(crate) tokens_in: Tally,
    pub(crate) tokens_out: Tally,
    /// The failure of the flow, as the client was told.
    pub(crate) failure: OnceLock<Box<str>>,
    /// Of a stream: from the beginning of the flow to its first token.
    pub(crate) first_token: OnceLock<Duration>,
}

impl ModelReport {
    /// Of the request with that id.
    pub(crate) fn of(request_id: &HeaderValue) -> Self {
        Self { request_id: Some(request_id.clone()), ..Self::default() }
    }

    pub(crate) fn request_id(&self) -> Option<&HeaderValue> {
        self.request_id.as_ref()
    }

    pub(crate) fn asked(&self, model: &str) {
        self.model.get_or_init(|| model.into());
        self.calls.add(1);
    }

    pub(crate) fn failed(&self, sentence: &str) {
        self.failure.get_or_init(|| sentence.into());
    }

    pub(crate) fn took(&self, tokens_in: u64, tokens_out: u64) {
        self.tokens_in.add(tokens_in);
        self.tokens_out.add(tokens_out);
    }
}

/// A count that one thread makes and another reads.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a stream ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    ErrorEvent,
    Idle,
    Truncated,
    Drained,
    /// Its key was revoked, and its streams with it.
    Revoked,
}

impl Ending {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ErrorEvent => "error_event",
            Self::Idle => "idle",
            Self::Truncated => "truncated",
            Self::Drained => "drained",
            Self::Revoked => "revoked",
        }
    }
}
