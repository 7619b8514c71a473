//! Whether a connection is still worth its place.
//!
//! The limits on an incomplete head, an idle connection and a client that reads nothing, for HTTP/1.1 and HTTP/2
//! alike. A request only notes the time; one timer per connection looks at the notes when the nearest limit may have
//! been reached, so a busy connection never touches it. One that rests, see [`Http1`](super::http1::Http1), is looked at
//! when it has rested for too long.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// For an idle connection to be used once more when another process has taken over: its client may be about to send.
pub(super) const LEAVING: Duration = Duration::from_secs(5);

/// The limits of a connection, from the configuration it was accepted under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) send: Duration,
}

/// What the socket and the requests of one connection note.
#[derive(Debug)]
pub(super) struct Liveness {
    limits: Limits,
    /// It is to end: for how long it may still be idle.
    leaving: Cell<Option<Duration>>,
    /// Requests whose answer is not yet handed over whole.
    active: Cell<u32>,
    /// Since when no request has been active; noted when somebody looks, so that a busy connection reads no clock.
    quiet_since: Cell<Option<Instant>>,
    /// When the last request ended, in the order of the worker's; `None`: there was none.
    turn: Cell<Option<NonZeroU64>>,
    /// Bytes came that may be the beginning of a head.
    head_began: Cell<bool>,
    /// Since when a head has not been complete.
    head_since: Cell<Option<Instant>>,
    /// The socket has taken nothing since.
    blocked_since: Cell<Option<Instant>>,
    /// Something that was written waits to go out.
    is_unflushed: Cell<bool>,
    rest: Cell<Rest>,
    /// HTTP/2: pieces handed over for which the client has not yet made room, and since when none was fetched.
    waiting: Cell<u32>,
    fetched: Cell<Instant>,
}

/// How far an idle connection is on its way to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Awake,
    /// It is looked at whether it stays idle.
    Watched,
    /// It is to rest, unless it is used by now.
    Due,
    Resting,
}

/// Why a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutReason {
    SlowHead,
    Idle,
    ReadsNothing,
}

impl Liveness {
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            limits,
            leaving: Cell::new(None),
            active: Cell::new(0),
            quiet_since: Cell::new(Some(now)),
            turn: Cell::new(None),
            head_began: Cell::new(false),
            // A connection that never says anything is as suspicious as a slow head.
            head_since: Cell::new(Some(now)),
            blocked_since: Cell::new(None),
            is_unflushed: Cell::new(false),
            rest: Cell::new(Rest::Awake),
            waiting: Cell::new(0),
            fetched: Cell::new(now),
        }
    }

    pub(super) fn received(&self) {
        self.head_began.set(self.active.get() == 0);
    }

    /// The connection waits for something. To be called after each poll.
    pub(super) fn waits(&self) {
        if self.head_began.take() && self.active.get() == 0 && self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }

    pub(super) fn send_blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
    }

    pub(super) fn sent(&self) {
        self.blocked_since.set(None);
    }

    pub(super) fn flushes(&self, is_pending: bool) {
        self.is_unflushed.set(is_pending);
    }

    /// All that was written has gone out, as far as is known.
    pub(super) fn is_flushed(&self) -> bool {
        self.blocked_since.get().is_none() && !self.is_unflushed.get()
    }

    pub(super) fn request_began(&self) {
        self.active.set(self.active.get() + 1);
        self.head_began.set(false);
        self.head_since.set(None);
        self.quiet_since.set(None);
        // Its answer may go out as slowly as any.
        self.leaving.set(None);
    }

    pub(super) fn request_ended(&self) {
        self.active.set(self.active.get().saturating_sub(1));
        if self.active.get() == 0 {
            self.turn.set(next_turn());
        }
    }

    /// For a connection that was used, and on which nothing of a request is under way: the longer it has been so, the
    /// less.
    pub(super) fn idle_turn(&self) -> Option<NonZeroU64> {
        let is_idle = self.active.get() == 0 && !self.head_began.get() && self.head_since.get().is_none();
        self.turn.get().filter(|_| is_idle)
    }

    /// It is to be watched whether the connection stays idle; asked for once.
    pub(super) fn watch(&self) -> bool {
        self.rest.get() == Rest::Awake && {
            self.rest.set(Rest::Watched);
            true
        }
    }

    /// It is watched no longer: it has been idle for some time, or was used.
    pub(super) fn watched(&self, is_idle: bool) {
        if self.rest.get() == Rest::Watched {
            self.rest.set(if is_idle { Rest::Due } else { Rest::Awake });
        }
    }

    /// Whether the connection is to rest from now on; if it was used meanwhile, it is not.
    pub(super) fn rests(&self) -> bool {
        if self.rest.get() != Rest::Due {
            return false;
        }
        let may_rest = self.idle_turn().is_some() && self.is_flushed();
        self.rest.set(if may_rest { Rest::Resting } else { Rest::Awake });
        may_rest
    }

    /// Something has come.
    pub(super) fn wakes(&self) {
        self.rest.set(Rest::Awake);
    }

    pub(super) fn is_resting(&self) -> bool {
        self.rest.get() == Rest::Resting
    }

    /// It is to end: whoever asks nothing more for so long is let go. To be called once.
    pub(super) fn leave(&self, patience: Duration) {
        self.leaving.set(Some(patience));
        self.quiet_since.set(None);
    }

    /// There was no request yet.
    pub(super) fn is_unused(&self) -> bool {
        self.active.get() == 0 && self.turn.get().is_none()
    }

    /// No request is active.
    pub(super) fn is_quiet(&self) -> bool {
        self.active.get() == 0
    }

    /// A piece of an answer was handed over.
    pub(super) fn piece_handed_over(&self) {
        self.waiting.set(self.waiting.get() + 1);
        self.fetched.set(Instant::now());
    }

    /// The next one is asked for, so there was room for the last.
    pub(super) fn piece_fetched(&self) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        self.fetched.set(Instant::now());
    }

    /// After how long to look for the first time.
    pub(super) fn first_look(&self) -> Duration {
        self.limits.idle.min(self.limits.send).min(self.limits.header)
    }

    /// What is wrong now, or when to look again.
    pub(super) fn judge(&self, now: Instant) -> Result<Instant, CutReason> {
        let idle = self.leaving.get().map_or(self.limits.idle, |patience| self.limits.idle.min(patience));
        // Nothing else can be wrong with one that rests.
        let next = if self.is_resting() { idle } else { idle.min(self.limits.send).min(self.limits.header) };
        let mut again = now + next;
        let mut check = |since: Option<Instant>, limit: Duration, verdict: CutReason| match since {
            Some(since) if since + limit <= now => Err(verdict),
            Some(since) => {
                again = again.min(since + limit);
                Ok(())
            }
            None => Ok(()),
        };
        check(self.blocked_since.get(), self.limits.send, CutReason::ReadsNothing)?;
        let unread = (self.waiting.get() > 0).then(|| self.fetched.get());
        check(unread, self.limits.send, CutReason::ReadsNothing)?;
        if self.active.get() == 0 {
            check(self.head_since.get(), self.limits.header, CutReason::SlowHead)?;
            let quiet_since = self.quiet_since.get().unwrap_or(now);
            self.quiet_since.set(Some(quiet_since));
            check(Some(quiet_since), idle, CutReason::Idle)?;
        }
        Ok(again)
    }
}

/// Counts the ends of requests on this thread: an order without a clock.
fn next_turn() -> Option<NonZeroU64> {
    thread_local!(static TURN: Cell<u64> = const { Cell::new(0) });
    TURN.with(|turn| {
        turn.set(turn.get() + 1);
        NonZeroU64::new(turn.get())
    })
}

#[cfg(test)]
mod tests;
