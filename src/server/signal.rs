//! How a worker tells its connections what the gateway is doing, without a lock: a connection looks at a cell when
//! it is polled anyway, and is woken when the cell changes, or when its place is wanted.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::liveness::Liveness;

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
}

impl Signal {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { phase: Cell::new(Phase::Running), connections: RefCell::default(), next: Cell::new(0) })
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

    pub(super) fn listen(self: &Rc<Self>, liveness: &Rc<Liveness>) -> Listener {
        let id = self.next.get();
        self.next.set(id + 1);
        Listener { signal: Rc::clone(self), id, liveness: Some(Rc::clone(liveness)) }
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
