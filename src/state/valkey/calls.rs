//! Scripts that are run in the store, with the bounds of their time.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::HistogramVec;
use redis::FromRedisValue;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::error::{is_elsewhere, is_loss, reason};
use super::faults::describe;
use super::health::StoreHealth;
use super::link::Link;
use super::script::ScriptCall;

/// Of a call for which no request waits.
const BACKGROUND: Duration = Duration::from_secs(2);

/// Which connection a call goes over: one slow answer holds up all that come behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallClass {
    /// Requests wait for it.
    Front,
    Background,
    /// Long texts, behind which nobody else is to wait. A slow one says nothing of the store.
    Bulk,
}

/// Why a call has no answer. Whether the store is lost for that, its health knows.
#[derive(Debug)]
pub(crate) struct CallFailed;

/// The store, as it is asked on its own thread. See the module.
#[derive(Clone)]
pub(crate) struct Calls(Arc<CallsInner>);

struct CallsInner {
    links: Mutex<Links>,
    health: Arc<StoreHealth>,
    seconds: HistogramVec,
    timeout: Duration,
    closed: CancellationToken,
}

/// `None`: there is no connection at the moment.
#[derive(Default)]
pub(super) struct Links {
    pub(super) front: Option<Link>,
    pub(super) background: Option<Link>,
    pub(super) bulk: Option<Link>,
}

impl Links {
    pub(super) fn of(&mut self, lane: CallClass) -> &mut Option<Link> {
        match lane {
            CallClass::Front => &mut self.front,
            CallClass::Background => &mut self.background,
            CallClass::Bulk => &mut self.bulk,
        }
    }
}

impl Calls {
    pub(super) fn new(health: &Arc<StoreHealth>, seconds: &HistogramVec, timeout: Duration) -> Self {
        let (links, health, seconds) = (Mutex::default(), Arc::clone(health), seconds.clone());
        Self(Arc::new(CallsInner { links, health, seconds, timeout, closed: CancellationToken::new() }))
    }

    /// The store is to be left: who works for longer ends now.
    pub(super) fn close(&self) {
        self.0.closed.cancel();
    }

    /// Once it is to be left.
    pub(crate) async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    pub(super) fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for commands of one's own; `None`: there is none at the moment.
    pub(crate) fn link(&self, lane: CallClass) -> Option<Link> {
        self.links().of(lane).clone()
    }

    /// Runs a script on these keys. What takes longer than its time makes the store lost at once, or a part of it if it has
    /// several; the answer is waited for nevertheless, since what it grants is paid for.
    ///
    /// # Errors
    /// There is no answer. It may have been run all the same.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        lane: CallClass,
        call: &'static str,
        keys: &[String],
        script: &ScriptCall<'_>,
    ) -> Result<T, CallFailed> {
        let Some(mut link) = self.link(lane) else {
            // The monitor makes one anew within a second, if that is all that is wrong.
            if lane != CallClass::Bulk {
                self.0.health.lose("there is no connection");
            }
            return Err(CallFailed);
        };
        // Of a Cluster other nodes may answer: the monitor finds out whether all are gone.
        let is_part = matches!(link, Link::Cluster(_));
        let lose = |reason: &str| {
            if is_part { self.0.health.faults().lose_part(reason) } else { self.0.health.lose(reason) }
        };
        let began = Instant::now();
        let limit = if lane == CallClass::Front { self.0.timeout } else { BACKGROUND };
        let mut answer = pin!(script.send::<T>(&mut link));
        let outcome = match timeout(limit, &mut answer).await {
            Ok(outcome) => outcome,
            Err(_) if lane == CallClass::Bulk => return Err(CallFailed),
            Err(_) => {
                lose("it takes too long to answer");
                answer.await
            }
        };
        self.0.seconds.with_label_values(&[call]).observe(began.elapsed().as_secs_f64());
        let error = match outcome {
            Ok(answer) => {
                self.0.health.faults().answer(keys);
                return Ok(answer);
            }
            Err(error) => error,
        };
        let reason = reason(&error);
        if lane == CallClass::Bulk && is_elsewhere(&error) {
            *self.links().of(lane) = None;
        }
        if is_loss(&error) {
            lose(&reason);
        } else if self.0.health.faults().refuse(keys)
            && let Some(link) = self.link(CallClass::Background)
        {
            let keys = describe(keys, link).await;
            tracing::error!(call, reason, keys, "the store refuses a call because of what lies under a key");
        }
        Err(CallFailed)
    }

    /// Publishes a message; how many hear it, as far as the server knows that has the channel. Nothing is lost if it
    /// fails but the message.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn publish(&self, channel: &str, message: &str) -> Result<u64, CallFailed> {
        let mut link = self.link(CallClass::Front).ok_or(CallFailed)?;
        let began = Instant::now();
        let mut command = redis::cmd("SPUBLISH");
        let answer = command.arg(channel).arg(message).query_async(&mut link);
        let outcome = timeout(BACKGROUND, answer).await.map_err(|_| CallFailed)?;
        self.0.seconds.with_label_values(&["publish"]).observe(began.elapsed().as_secs_f64());
        outcome.map_err(|error| {
            tracing::debug!(reason = reason(&error), "the store does not publish");
            CallFailed
        })
    }
}
