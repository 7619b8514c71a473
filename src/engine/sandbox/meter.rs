//! What a script has taken of the processor, and whether it may go on: asked by `QuickJS` every ten thousand steps, and by
//! functions whose steps are long.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::{ScriptBounds, ScriptError};

/// See the module.
#[derive(Debug)]
pub(super) struct Meter {
    bounds: ScriptBounds,
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
    /// Before the slice that is computed now.
    used: Cell<Duration>,
    /// What the thread had used when that slice began.
    since: Cell<Option<Duration>>,
    met: Cell<Option<BoundMet>>,
}

/// Why a script may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BoundMet {
    Compute,
    Time,
    Cancelled,
}

impl Meter {
    pub(super) fn new(bounds: ScriptBounds, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            bounds,
            deadline: Instant::now() + bounds.time,
            cancelled,
            used: Cell::default(),
            since: Cell::default(),
            met: Cell::default(),
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Computes a slice of the script.
    pub(super) fn slice<T>(&self, work: impl FnOnce() -> T) -> T {
        self.since.set(Some(of_thread()));
        let done = work();
        self.used.set(self.used());
        self.since.set(None);
        done
    }

    pub(super) fn used(&self) -> Duration {
        let now = self.since.get().map_or(Duration::ZERO, |since| of_thread().saturating_sub(since));
        self.used.get() + now
    }

    /// Looks up: whether the script has to stop here. Once it has, it always has.
    pub(super) fn must_stop(&self) -> bool {
        if self.met.get().is_none() {
            let met = if self.cancelled.load(Ordering::Relaxed) {
                Some(BoundMet::Cancelled)
            } else if self.used() > self.bounds.compute {
                Some(BoundMet::Compute)
            } else if Instant::now() >= self.deadline {
                Some(BoundMet::Time)
            } else {
                None
            };
            self.met.set(met);
        }
        self.met.get().is_some()
    }

    /// The bound that was met, as an error.
    pub(super) fn error(&self) -> Option<ScriptError> {
        Some(match self.met.get()? {
            BoundMet::Compute => ScriptError::Compute(self.bounds.compute),
            BoundMet::Time => ScriptError::Time(self.bounds.time),
            BoundMet::Cancelled => ScriptError::Cancelled,
        })
    }
}

/// What this thread has used of the processor. Others that want it as well cost a script nothing.
fn of_thread() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(used.tv_sec), u32::try_from(used.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
