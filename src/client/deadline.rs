//! Time limits of many requests with one timer.
//!
//! Nearly every answer comes long before its limit, so a timer for each would be set up and torn down for nothing. A
//! worker notes the limits of the requests under way and looks at all of them [`LOOK_EVERY`] while there are any.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How late a limit may be noticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The limits of one worker's requests.
#[derive(Default)]
pub(super) struct Deadlines {
    slots: RefCell<Vec<TimerSlot>>,
    free: RefCell<Vec<usize>>,
    waiting: Cell<usize>,
    begun: Notify,
}

#[derive(Default)]
struct TimerSlot {
    /// `None`: nobody waits here, or the limit was reached.
    wait: Option<(Instant, Waker)>,
}

/// One limit, noted until it is reached or dropped.
pub(super) struct Deadline<'a> {
    deadlines: &'a Deadlines,
    at: Instant,
    slot: Option<usize>,
}

impl Deadlines {
    /// Looks at the limits for as long as the worker runs.
    pub(super) async fn keep(self: Rc<Self>) {
        loop {
            if self.waiting.get() == 0 {
                self.begun.notified().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let now = Instant::now();
            for slot in self.slots.borrow_mut().iter_mut() {
                if let Some((_, waker)) = slot.wait.take_if(|(at, _)| *at <= now) {
                    waker.wake();
                }
            }
        }
    }

    pub(super) fn at(&self, at: Instant) -> Deadline<'_> {
        Deadline { deadlines: self, at, slot: None }
    }

    fn note(&self, at: Instant, waker: Waker) -> usize {
        let mut slots = self.slots.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(TimerSlot::default());
            slots.len() - 1
        });
        if let Some(slot) = slots.get_mut(slot) {
            slot.wait = Some((at, waker));
        }
        if self.waiting.replace(self.waiting.get() + 1) == 0 {
            self.begun.notify_one();
        }
        slot
    }

    fn forget(&self, slot: usize) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot) {
            slot.wait = None;
        }
        self.free.borrow_mut().push(slot);
        self.waiting.set(self.waiting.get() - 1);
    }
}

impl Deadline<'_> {
    /// Whether the limit is reached; if not, the task is woken when it is. To be polled from one task only.
    pub(super) fn is_reached(&mut self, cx: &Context<'_>) -> bool {
        match self.slot {
            None => {
                self.slot = Some(self.deadlines.note(self.at, cx.waker().clone()));
                false
            }
            Some(slot) => self.deadlines.slots.borrow().get(slot).is_some_and(|slot| slot.wait.is_none()),
        }
    }

    /// Waits from now on for that later limit.
    pub(super) fn reset(&mut self, at: Instant) {
        self.at = at;
        if let Some(slot) = self.slot.take() {
            self.deadlines.forget(slot);
        }
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.deadlines.forget(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_limit_is_noticed_and_its_place_is_used_again() {
        let deadlines = Rc::new(Deadlines::default());
        let reached = async |limit: Duration| {
            let mut deadline = deadlines.at(Instant::now() + limit);
            poll_fn(|cx| if deadline.is_reached(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        };
        let keeper = Rc::clone(&deadlines).keep();
        tokio::select! {
            () = keeper => {}
            () = async {
                reached(Duration::ZERO).await;
                let never = tokio::time::timeout(Duration::from_secs(1), reached(Duration::from_hours(1)));
                assert!(never.await.is_err());
                reached(Duration::ZERO).await;
            } => {}
        }
        assert_eq!((deadlines.waiting.get(), deadlines.slots.borrow().len()), (0, 1));
    }
}
