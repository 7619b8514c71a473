//! What is known of a stream at its end, for log and metrics.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Filled while a stream goes by.
#[derive(Debug, Default)]
pub(crate) struct StreamReport {
    pub(crate) events: Cell<u64>,
    /// `None`: the client went away.
    pub(crate) ending: Cell<Option<Ending>>,
}

/// Where the report of a request's stream goes; empty unless the answer is one.
#[derive(Debug, Default)]
pub(crate) struct StreamSlot(OnceCell<Rc<StreamReport>>);

impl StreamSlot {
    /// The answer is a stream.
    pub(crate) fn begin(&self) -> Rc<StreamReport> {
        Rc::clone(self.0.get_or_init(Rc::default))
    }

    pub(crate) fn get(&self) -> Option<&StreamReport> {
        self.0.get().map(|report| &**report)
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
}

impl Ending {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ErrorEvent => "error_event",
            Self::Idle => "idle",
            Self::Truncated => "truncated",
            Self::Drained => "drained",
        }
    }
}
