//! How a worker tells its connections what the gateway is doing, without a lock: a connection looks at a cell when
//! it is polled anyway, and is woken when the cell changes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Waker};

/// What the gateway as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No new connections; requests and streams may finish.
    Draining,
    /// Running streams get their last words, then everything is dropped.
    Ending,
}

/// One worker's phase.
#[derive(Debug)]
pub(super) struct Signal {
    phase: Cell<Phase>,
    wakers: RefCell<HashMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Signal {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { phase: Cell::new(Phase::Running), wakers: RefCell::default(), next: Cell::new(0) })
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.set(phase);
        for waker in self.wakers.borrow().values() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn listen(self: &Rc<Self>) -> Listener {
        let id = self.next.get();
        self.next.set(id + 1);
        Listener { signal: Rc::clone(self), id, is_registered: false }
    }
}

/// One connection's ear.
#[derive(Debug)]
pub(super) struct Listener {
    signal: Rc<Signal>,
    id: u64,
    is_registered: bool,
}

impl Listener {
    /// The phase now; the task is woken when it changes. A task keeps its waker, so it is registered once.
    pub(super) fn phase(&mut self, cx: &Context<'_>) -> Phase {
        if !self.is_registered {
            self.is_registered = true;
            self.signal.wakers.borrow_mut().insert(self.id, cx.waker().clone());
        }
        self.signal.phase.get()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A wake may be going through the map just now; then the map goes soon.
        if let Ok(mut wakers) = self.signal.wakers.try_borrow_mut() {
            wakers.remove(&self.id);
        }
    }
}
