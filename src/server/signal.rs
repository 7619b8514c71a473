//! How a worker tells its connections what the gateway is doing, without a lock: a connection looks at a cell when
//! it is polled anyway, and is woken when the cell changes, when its place is wanted, or when it is to rest.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::liveness::Liveness;

/// A connection that was idle for so long rests; up to twice as long goes by before it is noticed. A client that asks
/// again and again does so sooner.
const REST_AFTER: Duration = Duration::from_millis(100);

/// What the gateway as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// Another process takes new connections; those that are here have their next answer here, and end with it.
    Leaving,
    /// No new connections; requests and streams may finish.
    Draining,
    /// Running streams get their last words, then everything is dropped.
    Ending,
}

/// One worker's phase.
#[derive(Debug)]
pub(super) struct Signal {
    phase: Cell<Phase>,
    connections: RefCell<HashMap<u64, (Waker, Rc<Liveness>)>>,
    next: Cell<u64>,
    /// Connections that were idle a moment ago.
    watched: RefCell<Vec<WatchedConnection>>,
    is_watching: Notify,
}

/// One that may be about to rest.
#[derive(Debug)]
struct WatchedConnection {
    liveness: Rc<Liveness>,
    waker: Waker,
    /// When its last request ended, as far as that was noticed.
    turn: NonZeroU64,
}

impl Signal {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Running),
            connections: RefCell::default(),
            next: Cell::new(0),
            watched: RefCell::default(),
            is_watching: Notify::new(),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.set(phase);
        for (waker, _) in self.connections.borrow().values() {
            waker.wake_by_ref();
        }
    }

    /// Wakes the connection that has been idle longest; it will see why.
    pub(super) fn wake_idle(&self) {
        let connections = self.connections.borrow();
        let idle = connections.values().filter_map(|(waker, liveness)| Some((liveness.idle_turn()?, waker)));
        if let Some((_, waker)) = idle.min_by_key(|(turn, _)| *turn) {
            waker.wake_by_ref();
        }
    }

    /// A connection of HTTP/1.1 waits; if it is idle and stays so, it is woken to rest.
    pub(super) fn watch(&self, liveness: &Rc<Liveness>, cx: &Context<'_>) {
        if let Some(turn) = liveness.idle_turn()
            && liveness.watch()
        {
            let mut watched = self.watched.borrow_mut();
            if watched.is_empty() {
                self.is_watching.notify_one();
            }
            watched.push(WatchedConnection { liveness: Rc::clone(liveness), waker: cx.waker().clone(), turn });
        }
    }

    /// Lets connections rest; runs as long as the worker.
    pub(super) async fn let_rest(self: Rc<Self>) {
        loop {
            self.is_watching.notified().await;
            while !self.watched.borrow().is_empty() {
                tokio::time::sleep(REST_AFTER).await;
                self.watched.borrow_mut().retain_mut(WatchedConnection::stays);
            }
        }
    }

    pub(super) fn listen(self: &Rc<Self>, liveness: &Rc<Liveness>) -> Listener {
        let id = self.next.get();
        self.next.set(id + 1);
        Listener { signal: Rc::clone(self), id, liveness: Some(Rc::clone(liveness)) }
    }
}

impl WatchedConnection {
    /// Whether it is still too early to say.
    fn stays(&mut self) -> bool {
        let before = self.turn;
        let now = self.liveness.idle_turn();
        if let Some(turn) = now.filter(|turn| *turn != before) {
            self.turn = turn;
            return true;
        }
        self.liveness.watched(now.is_some());
        if now.is_some() {
            self.waker.wake_by_ref();
        }
        false
    }
}

/// One connection's ear.
#[derive(Debug)]
pub(super) struct Listener {
    signal: Rc<Signal>,
    id: u64,
    /// Until it is registered.
    liveness: Option<Rc<Liveness>>,
}

impl Listener {
    /// The phase now; the task is woken when it changes. A task keeps its waker, so it is registered once.
    pub(super) fn phase(&mut self, cx: &Context<'_>) -> Phase {
        if let Some(liveness) = self.liveness.take() {
            self.signal.connections.borrow_mut().insert(self.id, (cx.waker().clone(), liveness));
        }
        self.signal.phase.get()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A wake may be going through the map just now; then the map goes soon.
        if let Ok(mut connections) = self.signal.connections.try_borrow_mut() {
            connections.remove(&self.id);
        }
    }
}
