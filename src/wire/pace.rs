//! How slowly a client's body may come.
//!
//! Only waiting for the client counts: an upstream that takes its time is nothing that the client did. A pause is a
//! matter of the silence alone; who has paused for long must then send the rest at once, or faster. A body that comes
//! with its head reads no clock and has no timer.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// What every body has before its rate counts.
const HEAD_START: Duration = Duration::from_secs(10);

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaceLimits {
    /// Without one byte.
    pub(crate) silence: Duration,
    /// For all of it.
    pub(crate) time: Duration,
    /// Bytes a second after the head start.
    pub(crate) rate: Option<NonZeroU64>,
}

/// Which bound was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slowness {
    Silence,
    Time,
    Rate,
}

/// One body's time.
pub(crate) struct Pace {
    limits: PaceLimits,
    received: u64,
    /// Before what came last.
    waited: Duration,
    /// Since when nothing has come, and which bound is met first.
    wait: Option<(Instant, Slowness)>,
    /// Made when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(limits: PaceLimits) -> Self {
        Self { limits, received: 0, waited: Duration::ZERO, wait: None, timer: None }
    }

    /// So many bytes have come.
    pub(crate) fn came(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
        }
    }

    /// To be polled while nothing comes; ready when the client has been waited for long enough.
    pub(crate) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Slowness> {
        let which = match self.wait {
            Some((_, which)) => which,
            None => self.begin_wait(),
        };
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(which)
    }

    fn begin_wait(&mut self) -> Slowness {
        let (left, which) = self.left();
        let now = Instant::now();
        self.wait = Some((now, which));
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(now + left),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(now + left))),
        }
        which
    }

    /// How long the client may be waited for now.
    fn left(&self) -> (Duration, Slowness) {
        let PaceLimits { silence, time, rate } = self.limits;
        if rate.is_some_and(|rate| self.waited >= HEAD_START + span(self.received, rate)) {
            return (Duration::ZERO, Slowness::Rate);
        }
        let left = time.saturating_sub(self.waited);
        if left < silence { (left, Slowness::Time) } else { (silence, Slowness::Silence) }
    }
}

/// How long so many bytes may take.
fn span(bytes: u64, rate: NonZeroU64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / rate)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn limits(time: u64, rate: u64) -> PaceLimits {
        let seconds = Duration::from_secs;
        PaceLimits { silence: seconds(30), time: seconds(time), rate: NonZeroU64::new(rate) }
    }

    /// Sends so many bytes every so many seconds; when and why it is over.
    async fn send(limits: PaceLimits, bytes: usize, every: u64) -> (u64, Slowness) {
        let mut pace = Pace::new(limits);
        let start = Instant::now();
        loop {
            let limit = poll_fn(|cx| pace.poll_limit(cx));
            if let Ok(which) = tokio::time::timeout(Duration::from_secs(every), limit).await {
                return (start.elapsed().as_secs(), which);
            }
            pace.came(bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_by_whichever_limit_comes_first() {
        assert_eq!(send(limits(300, 1024), 100_000, 60).await, (30, Slowness::Silence));
        // A byte every few seconds.
        assert_eq!(send(limits(300, 1024), 1, 5).await, (15, Slowness::Rate));
        assert_eq!(send(limits(300, 0), 1, 5).await, (300, Slowness::Time));
        // Half of the rate uses its head start up in twice that time.
        assert_eq!(send(limits(300, 1024), 512, 1).await, (20, Slowness::Rate));
        assert_eq!(send(limits(300, 1024), 2048, 1).await, (300, Slowness::Time));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_takes_its_time_costs_the_client_none() {
        let mut pace = Pace::new(limits(300, 1024));
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_mins(1)).await;
            pace.came(1);
        }
        assert_eq!((pace.waited, pace.left()), (Duration::ZERO, (Duration::from_secs(30), Slowness::Silence)));
    }
}
