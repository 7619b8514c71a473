//! Keeps a connection going, whatever it speaks: until it ends, is no longer worth its place, or is wanted elsewhere.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::admission::{Admission, Leaving};
use super::liveness::{CutReason, LEAVING, Liveness};
use super::malformed;
use super::signal::{Listener, Phase};
use crate::telemetry::metrics::Metrics;

/// For the first request of a connection that came just before the gateway drains: nobody sends it again by itself.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(1);
/// For an HTTP/2 client to hear that its connection ends.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A connection that something is to become of.
pub(super) trait Driven {
    /// Only an answer can say that a connection takes no more requests: one that is closed without may lose the request
    /// that is on its way.
    const WAITS_FOR_AN_ANSWER: bool;

    /// Goes on as far as it can; ready at its end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionFault>>;

    /// The client is to hear that its connection takes no more requests.
    fn say_farewell(&mut self);
}

/// How a connection came to its end before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionFault {
    #[error(transparent)]
    Protocol(#[from] hyper::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the answer broke off")]
    Answer,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// All that was to be said is said.
    Whole,
    /// So it is, to what was no request.
    Malformed,
    /// The client is gone, or the connection was not worth its place.
    Cut,
}

pin_project! {
    #[project = DriverProjection]
    /// Whether a connection goes on, from one poll to the next. It is as small as can be: it lives as long as the connection,
    /// and what it is given with each poll is no part of it.
    pub(super) struct Driver {
        #[pin]
        timer: Sleep,
        is_closing: bool,
        is_leaving: bool,
        was_resting: bool,
        leaving: Option<Leaving>,
    }
}

/// What a connection is driven with.
#[derive(Clone, Copy)]
pub(super) struct DriveContext<'a> {
    pub(super) liveness: &'a Liveness,
    pub(super) peer: &'a SocketAddr,
    pub(super) metrics: &'a Metrics,
    pub(super) admission: &'a Arc<Admission>,
}

impl Driver {
    pub(super) fn new(liveness: &Liveness) -> Self {
        let timer = tokio::time::sleep(liveness.first_look());
        Self { timer, is_closing: false, is_leaving: false, was_resting: false, leaving: None }
    }

    /// Polls a connection; ready when it has ended or is no longer worth its place. Tells it when the gateway drains.
    pub(super) fn poll(
        self: Pin<&mut Self>,
        connection: &mut impl Driven,
        listener: &mut Listener,
        means: DriveContext<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionEnd> {
        let mut this = self.project();
        let DriveContext { liveness, peer, metrics, admission } = means;
        let mut is_due = this.hear(connection, listener, liveness, cx);
        if let Poll::Ready(ended) = connection.poll_end(cx) {
            return Poll::Ready(ended.map_or_else(|fault| of_fault(&fault, peer, metrics), |()| ConnectionEnd::Whole));
        }
        liveness.waits();
        if !*this.is_closing && liveness.idle_turn().is_some() {
            *this.leaving = admission.claim();
            if this.leaving.is_some() {
                metrics.connections.left.inc();
                if this.takes_leave(connection, cx).is_ready() {
                    return Poll::Ready(ConnectionEnd::Cut);
                }
            }
        }
        // Other limits hold for a connection that rests.
        let is_resting = liveness.is_resting();
        is_due |= std::mem::replace(this.was_resting, is_resting) != is_resting;
        is_due &= this.leaving.is_none();
        while std::mem::take(&mut is_due) || this.timer.as_mut().poll(cx).is_ready() {
            match liveness.judge(Instant::now()) {
                Ok(_) if this.leaving.is_some() && liveness.is_quiet() => return Poll::Ready(ConnectionEnd::Cut),
                Ok(again) => this.timer.as_mut().reset(again.into()),
                // An idle client may be about to send: HTTP/2 is told first.
                Err(CutReason::Idle) if !*this.is_closing => {
                    if this.takes_leave(connection, cx).is_ready() {
                        return Poll::Ready(ConnectionEnd::Cut);
                    }
                }
                Err(verdict) => {
                    tracing::debug!(%peer, ?verdict, "connection cut");
                    return Poll::Ready(ConnectionEnd::Cut);
                }
            }
        }
        Poll::Pending
    }
}

impl DriverProjection<'_> {
    /// What the gateway as a whole does; `true`: the connection is to be looked at.
    fn hear<C: Driven>(
        &mut self,
        connection: &mut C,
        listener: &mut Listener,
        liveness: &Liveness,
        cx: &Context<'_>,
    ) -> bool {
        let patience = match listener.phase(cx) {
            Phase::Running => return false,
            Phase::Leaving if C::WAITS_FOR_AN_ANSWER => Some(LEAVING),
            Phase::Draining if C::WAITS_FOR_AN_ANSWER && liveness.is_unused() => Some(FIRST_WORD),
            _ => None,
        };
        match patience {
            Some(patience) => {
                if !std::mem::replace(self.is_leaving, true) {
                    liveness.leave(patience);
                    return true;
                }
            }
            _ if *self.is_closing => {}
            _ => {
                *self.is_closing = true;
                connection.say_farewell();
                // Not everybody answers a farewell.
                if liveness.is_unused() {
                    liveness.leave(LAST_WORD);
                    return true;
                }
            }
        }
        false
    }

    /// The client hears that it ends; ready: it has ended.
    fn takes_leave(&mut self, connection: &mut impl Driven, cx: &mut Context<'_>) -> Poll<()> {
        *self.is_closing = true;
        connection.say_farewell();
        if connection.poll_end(cx).is_ready() {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
        Poll::Pending
    }
}

fn of_fault(fault: &ConnectionFault, peer: &SocketAddr, metrics: &Metrics) -> ConnectionEnd {
    tracing::debug!(%peer, %fault, "connection ended");
    match fault {
        ConnectionFault::Protocol(error) if error.is_parse() => {
            malformed::count(error, metrics);
            ConnectionEnd::Malformed
        }
        _ => ConnectionEnd::Cut,
    }
}
