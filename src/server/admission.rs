//! How many connections there may be: of all, and of one address.
//!
//! Where all places are taken, an idle connection is worth less than a new one: one that no request is active on
//! gives its place up ([`Admission::claim`]). Where none is idle, new ones wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::unserved::ClosedUnserved;
use crate::state::limits::Visitor;

const SHARDS: usize = 64;

/// Shared by all workers.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    queue: Mutex<AdmissionQueue>,
    /// Whether more wait than leave; for whoever asks without the lock.
    is_short: AtomicBool,
    waiting: IntGauge,
    /// One a worker, to look for an idle connection.
    asked: Box<[Notify]>,
    shares: Shares,
    /// Connections that are closed unserved.
    pub(super) closed: ClosedUnserved,
}

impl Admission {
    pub(crate) fn new(most: usize, workers: usize, waiting: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            queue: Mutex::default(),
            is_short: AtomicBool::new(false),
            waiting,
            asked: (0..workers).map(|_| Notify::new()).collect(),
            shares: Shares::default(),
            closed: ClosedUnserved::default(),
        })
    }

    /// A new connection waits, and no other leaves for it.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0 && self.is_short.load(Ordering::Relaxed)
    }

    fn queue<T>(&self, change: impl FnOnce(&mut AdmissionQueue) -> T) -> T {
        // A panic under the lock leaves counts that are as good as before.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut queue);
        queue.settle();
        self.is_short.store(queue.waiting > queue.leaving, Ordering::Relaxed);
        outcome
    }

    /// Counts a connection of that address; `None`: it has `most` already.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr, most: usize) -> Option<Share> {
        let visitor = Visitor::at(peer.ip());
        self.shares.enter(visitor, most).then(|| Share { admission: Arc::clone(self), visitor })
    }

    /// Waits for a place among all; `None` at the gateway's end.
    pub(super) async fn place(self: &Arc<Self>) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = WaitingConnection::new(self);
        self.asked.iter().for_each(Notify::notify_one);
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Completes when that worker is to look for an idle connection.
    pub(super) async fn asked(&self, worker: usize) {
        match self.asked.get(worker) {
            Some(asked) => asked.notified().await,
            None => std::future::pending().await,
        }
    }

    /// For a connection that is idle: it is to leave, unless `None`.
    pub(super) fn claim(self: &Arc<Self>) -> Option<Leaving> {
        if !self.is_short.load(Ordering::Relaxed) {
            return None;
        }
        let is_wanted = self.queue(|queue| {
            let is_wanted = queue.waiting > queue.leaving;
            queue.leaving += usize::from(is_wanted);
            is_wanted
        });
        is_wanted.then(|| Leaving(Arc::clone(self)))
    }
}

/// Who waits, and who leaves for them.
#[derive(Debug, Default)]
struct AdmissionQueue {
    waiting: usize,
    /// Connections that leave, or are gone while the one that waited has not taken their place yet.
    leaving: usize,
    /// The latter.
    gone: usize,
}

impl AdmissionQueue {
    /// A place that nobody waits for any more is one of many.
    fn settle(&mut self) {
        let unwanted = self.gone.saturating_sub(self.waiting);
        self.gone -= unwanted;
        self.leaving = self.leaving.saturating_sub(unwanted);
    }
}

/// A connection that waits.
struct WaitingConnection<'a>(&'a Admission);

impl<'a> WaitingConnection<'a> {
    fn new(admission: &'a Admission) -> Self {
        admission.queue(|queue| queue.waiting += 1);
        admission.waiting.inc();
        Self(admission)
    }
}

impl Drop for WaitingConnection<'_> {
    fn drop(&mut self) {
        self.0.queue(|queue| {
            queue.waiting = queue.waiting.saturating_sub(1);
            // The place of one that is gone, if there is one: they are given in turn.
            let taken = usize::from(queue.gone > 0);
            queue.gone -= taken;
            queue.leaving = queue.leaving.saturating_sub(taken);
        });
        self.0.waiting.dec();
    }
}

/// A connection that leaves for one that waits; to be kept until it is gone.
#[derive(Debug)]
pub(super) struct Leaving(Arc<Admission>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.queue(|queue| queue.gone += 1);
    }
}

/// Counted among its address's connections until dropped.
#[derive(Debug)]
pub(super) struct Share {
    admission: Arc<Admission>,
    visitor: Visitor,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.admission.shares.leave(self.visitor);
    }
}

/// Connections by address, sharded so that workers seldom meet. No larger than there are connections.
#[derive(Debug)]
struct Shares {
    shards: Box<[Mutex<HashMap<Visitor, usize>>]>,
    hasher: RandomState,
}

impl Default for Shares {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Shares {
    fn enter(&self, visitor: Visitor, most: usize) -> bool {
        self.with(visitor, |shard| {
            let open = shard.entry(visitor).or_default();
            let may_enter = *open < most;
            *open += usize::from(may_enter);
            may_enter
        })
    }

    fn leave(&self, visitor: Visitor) {
        self.with(visitor, |shard| {
            if let Entry::Occupied(mut open) = shard.entry(visitor) {
                *open.get_mut() = open.get().saturating_sub(1);
                if *open.get() == 0 {
                    open.remove();
                }
            }
        });
    }

    fn with<T>(&self, visitor: Visitor, change: impl FnOnce(&mut HashMap<Visitor, usize>) -> T) -> T {
        let index = usize::try_from(self.hasher.hash_one(visitor) >> 32).unwrap_or(0) % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder of the length")]
        let shard = &self.shards[index];
        // A panic under the lock leaves counts that are as good as before.
        change(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(most: usize) -> Arc<Admission> {
        Admission::new(most, 1, IntGauge::new("waiting", "-").unwrap())
    }

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let admission = admission(100);
        let open: Vec<_> = (0..3).map(|_| admission.enter(peer("2001:db8::1"), 3).unwrap()).collect();
        assert!(admission.enter(peer("2001:db8::2"), 3).is_none(), "the same /64");
        let other = admission.enter(peer("2001:db8:0:1::1"), 3);
        assert!(other.is_some());
        drop((open, other));
        assert!(admission.enter(peer("2001:db8::2"), 3).is_some());
        let left: usize = admission.shares.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(left, 0, "nothing is remembered of who is gone");
    }

    #[tokio::test]
    async fn one_idle_connection_leaves_for_each_that_waits() {
        let admission = admission(1);
        assert!(admission.claim().is_none());
        let place = admission.place().await.unwrap();
        let mut waits = std::pin::pin!(admission.place());
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending()));
        assert!(first.await);
        admission.asked(0).await;
        assert!(admission.is_full());
        let leaving = admission.claim().unwrap();
        assert!(admission.claim().is_none() && !admission.is_full());
        drop(leaving);
        assert!(admission.claim().is_none(), "its place is still to be taken");
        drop(place);
        let place = waits.await.unwrap();
        assert!(admission.claim().is_none() && !admission.is_full());
        // The place of one that left by itself is taken before that of one that leaves for it.
        let mut waits = std::pin::pin!(admission.place());
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending()));
        assert!(first.await);
        let leaving = admission.claim().unwrap();
        drop(place);
        let place = waits.await.unwrap();
        drop(leaving);
        let mut waits = std::pin::pin!(admission.place());
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending()));
        assert!(first.await && admission.claim().is_some());
        drop(place);
    }
}
