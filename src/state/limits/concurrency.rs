//! A caller's requests in flight, and the queue of those who wait for a place among them.
//!
//! One number says how many are in flight and how many wait, so that coming and going is one exchange each while
//! nobody waits. Who waits is served in order, and whoever comes meanwhile waits behind them. Workers are threads of
//! their own: a place is handed over through a channel that wakes the other's task, and a place that was handed to
//! somebody who has left goes on to the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::allowance::AllowanceCounts;

/// One who waits, in the upper half of the number; requests in flight are in the lower one.
const WAITER: u64 = 1 << 32;
/// In flight at most, of those who wait where a store grants places: as many as it has granted.
pub(super) const AS_GRANTED: u32 = 0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ConcurrencyLimit {
    state: AtomicU64,
    /// Only while somebody waits. The number of waiters changes under its lock alone.
    queue: Mutex<Option<Box<WaitQueue>>>,
    /// Places that a store has granted, where there is one.
    granted: AtomicU32,
}

#[derive(Debug, Default)]
struct WaitQueue(VecDeque<Waiter>);

#[derive(Debug)]
struct Waiter {
    /// In flight at most, by the plan that it came under.
    most: u32,
    place: oneshot::Sender<()>,
}

/// What becomes of a request that found no place.
#[derive(Debug)]
pub(super) enum Queueing {
    /// There was one after all.
    Entered(Permit),
    Waiting(QueuedPlace),
    Full,
}

fn in_flight(state: u64) -> u32 {
    u32::try_from(state & (WAITER - 1)).unwrap_or(u32::MAX)
}

fn waiting(state: u64) -> u64 {
    state / WAITER
}

impl ConcurrencyLimit {
    /// Takes a place, unless all are taken or others wait for one.
    pub(super) fn enter(counts: &Arc<AllowanceCounts>, most: u32) -> Option<Permit> {
        let enter = |state| (in_flight(state) < most && waiting(state) == 0).then_some(state + 1);
        let entered = counts.concurrency.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter);
        entered.ok().map(|_| Permit(Arc::clone(counts)))
    }

    /// Takes a place in the queue, in which `longest` may stand.
    pub(super) fn queue(counts: &Arc<AllowanceCounts>, most: u32, longest: u32) -> Queueing {
        let places = &counts.concurrency;
        let mut queue = places.lock();
        let bound = places.bound(most);
        let come = |state| match (in_flight(state) < bound, waiting(state)) {
            (true, 0) => Some(state + 1),
            (_, waiters) => (waiters < u64::from(longest)).then_some(state + WAITER),
        };
        match places.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, come) {
            Ok(before) if in_flight(before) < bound && waiting(before) == 0 => {
                Queueing::Entered(Permit(Arc::clone(counts)))
            }
            Ok(_) => {
                let (place, handed) = oneshot::channel();
                queue.get_or_insert_default().0.push_back(Waiter { most, place });
                // A reload may have made room since the others came.
                places.hand_over(&mut queue, most);
                Queueing::Waiting(QueuedPlace { counts: Arc::clone(counts), handed, is_over: false })
            }
            Err(_) => Queueing::Full,
        }
    }

    /// Requests in flight.
    #[cfg(test)]
    pub(super) fn taken(&self) -> u32 {
        self.in_flight()
    }

    fn leave(&self) {
        let leave = |state| (waiting(state) == 0).then(|| state - 1);
        if self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave).is_err() {
            let mut queue = self.lock();
            self.state.fetch_sub(1, Ordering::Relaxed);
            self.hand_over(&mut queue, 0);
        }
    }

    /// Gives free places to those who have waited longest; `most`: in flight at least, whatever plan they came under.
    fn hand_over(&self, queue: &mut Option<Box<WaitQueue>>, most: u32) {
        let Some(waiters) = queue else { return };
        while let Some(first) = waiters.0.front()
            && in_flight(self.state.load(Ordering::Relaxed)) < self.bound(first.most).max(most)
            && let Some(first) = waiters.0.pop_front()
        {
            self.state.fetch_sub(WAITER - 1, Ordering::Relaxed);
            if first.place.send(()).is_err() {
                self.state.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if waiters.0.is_empty() {
            *queue = None;
        }
    }

    fn bound(&self, most: u32) -> u32 {
        if most == AS_GRANTED { self.granted.load(Ordering::Acquire) } else { most }
    }

    /// Takes those out of the queue who have left it.
    fn forget_gone(&self) {
        let mut queue = self.lock();
        let Some(waiters) = &mut *queue else { return };
        waiters.0.retain(|waiter| {
            let is_gone = waiter.place.is_closed();
            if is_gone {
                self.state.fetch_sub(WAITER, Ordering::Relaxed);
            }
            !is_gone
        });
        if waiters.0.is_empty() {
            *queue = None;
        }
    }

    /// A panic under the lock leaves no queue half changed.
    fn lock(&self) -> MutexGuard<'_, Option<Box<WaitQueue>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a store grants places, to this replica among others.
impl ConcurrencyLimit {
    /// Takes a place that was granted, unless others wait for one.
    pub(super) fn enter_granted(counts: &Arc<AllowanceCounts>) -> Option<Permit> {
        let places = &counts.concurrency;
        let most = places.granted.load(Ordering::Acquire);
        let enter = |state| (in_flight(state) < most && waiting(state) == 0).then_some(state + 1);
        places.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).ok()?;
        // Some of them may be about to go back: either this is seen there, or that here.
        fence(Ordering::SeqCst);
        if places.in_flight() > places.granted.load(Ordering::Acquire) {
            places.leave();
            return None;
        }
        Some(Permit(Arc::clone(counts)))
    }

    /// As [`queue`](Self::queue), for one of the places that are granted.
    pub(super) fn queue_for_granted(counts: &Arc<AllowanceCounts>, longest: u32) -> Queueing {
        Self::queue(counts, AS_GRANTED, longest)
    }

    /// So many are granted from now on.
    pub(super) fn grant(&self, places: u32) {
        self.granted.store(places, Ordering::Release);
    }

    /// Gives back what is free of them but for `keep`: how many are held, and how many of them are free.
    pub(super) fn hold(&self, keep: u32) -> (u32, u32) {
        let most = self.in_flight().saturating_add(keep);
        let granted = self.granted.fetch_min(most, Ordering::AcqRel).min(most);
        // Whoever took one meanwhile has seen that, or is seen here.
        fence(Ordering::SeqCst);
        let in_flight = self.in_flight();
        let held = granted.max(in_flight);
        (held, held - in_flight)
    }

    /// Gives free places to those who have waited longest.
    pub(super) fn hand_over_granted(&self) {
        self.hand_over_up_to(0);
    }

    /// The same if so many may be in flight.
    pub(super) fn hand_over_up_to(&self, most: u32) {
        if self.queued() > 0 {
            let mut queue = self.lock();
            self.hand_over(&mut queue, most);
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        in_flight(self.state.load(Ordering::Acquire))
    }

    /// Granted, and not taken.
    pub(super) fn free(&self) -> u32 {
        self.granted.load(Ordering::Acquire).saturating_sub(self.in_flight())
    }

    /// Those who wait.
    pub(super) fn queued(&self) -> u32 {
        u32::try_from(waiting(self.state.load(Ordering::Acquire))).unwrap_or(u32::MAX)
    }
}

/// A place in the queue; dropped, it is given up, with whatever was handed over meanwhile.
#[derive(Debug)]
pub(super) struct QueuedPlace {
    counts: Arc<AllowanceCounts>,
    handed: oneshot::Receiver<()>,
    is_over: bool,
}

impl QueuedPlace {
    /// The place that was handed over within `patience`.
    pub(super) async fn place(mut self, patience: Duration) -> Option<Permit> {
        if tokio::time::timeout(patience, &mut self.handed).await.is_ok_and(|handed| handed.is_ok()) {
            self.is_over = true;
            return Some(Permit(Arc::clone(&self.counts)));
        }
        self.give_up()
    }

    /// The place that was handed over within that time; it may go on after.
    pub(super) async fn place_within(&mut self, time: Duration) -> Option<Permit> {
        let handed = tokio::time::timeout(time, &mut self.handed).await;
        self.is_over = handed.is_ok();
        handed.is_ok_and(|handed| handed.is_ok()).then(|| Permit(Arc::clone(&self.counts)))
    }

    /// What was handed over in the last moment.
    pub(super) fn give_up(&mut self) -> Option<Permit> {
        self.is_over = true;
        self.handed.close();
        if self.handed.try_recv().is_ok() {
            return Some(Permit(Arc::clone(&self.counts)));
        }
        self.counts.concurrency.forget_gone();
        None
    }
}

impl Drop for QueuedPlace {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.give_up());
        }
    }
}

/// A request in flight; dropped with its body's last byte.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AllowanceCounts>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.concurrency.leave();
        if let Some(lease) = self.0.lease() {
            lease.left(&self.0);
        }
    }
}

#[cfg(test)]
mod tests;
