//! Keeps a connection going, whatever it speaks: until it ends, is no longer worth its place, or is wanted elsewhere.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::admission::Admission;
use super::liveness::{CutReason, Liveness};
use super::malformed;
use super::signal::{Listener, Phase};
use crate::telemetry::metrics::Metrics;

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

/// Polls a connection until it ends or is no longer worth its place; tells it when the gateway drains. What it is given is
/// borrowed: a future holds that twice, for as long as the connection lives.
pub(super) async fn drive<C: Driven>(
    connection: &mut C,
    liveness: &Liveness,
    listener: &mut Listener,
    peer: &SocketAddr,
    (metrics, admission): (&Metrics, &Arc<Admission>),
) -> ConnectionEnd {
    let mut timer = pin!(tokio::time::sleep(liveness.first_look()));
    let (mut is_closing, mut has_successor, mut was_resting) = (false, false, false);
    let mut leaving = None;
    poll_fn(|cx| {
        let mut is_due = false;
        match listener.phase(cx) {
            Phase::Running => {}
            Phase::Leaving if C::WAITS_FOR_AN_ANSWER => {
                if !std::mem::replace(&mut has_successor, true) {
                    liveness.leave();
                    is_due = true;
                }
            }
            _ if is_closing => {}
            _ => {
                is_closing = true;
                connection.say_farewell();
            }
        }
        if let Poll::Ready(ended) = connection.poll_end(cx) {
            return Poll::Ready(ended.map_or_else(|fault| of_fault(&fault, peer, metrics), |()| ConnectionEnd::Whole));
        }
        liveness.waits();
        if !is_closing && liveness.idle_turn().is_some() {
            leaving = admission.claim();
            if leaving.is_some() {
                metrics.connections.left.inc();
                is_closing = true;
                connection.say_farewell();
                if connection.poll_end(cx).is_ready() {
                    return Poll::Ready(ConnectionEnd::Cut);
                }
                timer.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
            }
        }
        // Other limits hold for a connection that rests.
        let is_resting = liveness.is_resting();
        is_due |= std::mem::replace(&mut was_resting, is_resting) != is_resting;
        is_due &= leaving.is_none();
        while std::mem::take(&mut is_due) || timer.as_mut().poll(cx).is_ready() {
            match liveness.judge(Instant::now()) {
                Ok(_) if leaving.is_some() && liveness.is_quiet() => return Poll::Ready(ConnectionEnd::Cut),
                Ok(again) => timer.as_mut().reset(again.into()),
                // An idle client may be about to send: HTTP/2 is told first.
                Err(CutReason::Idle) if !is_closing => {
                    is_closing = true;
                    connection.say_farewell();
                    if connection.poll_end(cx).is_ready() {
                        return Poll::Ready(ConnectionEnd::Cut);
                    }
                    timer.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
                }
                Err(verdict) => {
                    tracing::debug!(%peer, ?verdict, "connection cut");
                    return Poll::Ready(ConnectionEnd::Cut);
                }
            }
        }
        Poll::Pending
    })
    .await
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
