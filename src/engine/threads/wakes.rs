//! How engine threads wake a worker: several of its connections at once.
//!
//! To wake a task of another thread is a system call, even where that thread is awake. Here the first answer wakes the
//! worker, and those that come before it has looked cost nothing more.

use std::task::Waker;

use tokio::sync::mpsc;

/// One worker's. See the module. It holds no more than one waker of each answer that somebody waits for.
#[derive(Debug, Clone)]
pub(crate) struct WakeQueue(mpsc::UnboundedSender<Waker>);

impl WakeQueue {
    /// Of the thread that calls it, which has a runtime of its own.
    pub(crate) fn start() -> Self {
        let (queue, mut woken) = mpsc::unbounded_channel::<Waker>();
        tokio::task::spawn_local(async move {
            while let Some(waker) = woken.recv().await {
                waker.wake();
            }
        });
        Self(queue)
    }

    pub(super) fn wake(&self, waker: Waker) {
        if let Err(mpsc::error::SendError(waker)) = self.0.send(waker) {
            waker.wake();
        }
    }

    /// Of nobody: each is woken by itself.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(mpsc::unbounded_channel().0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// How often it was woken.
    #[derive(Default)]
    pub(in crate::engine::threads) struct Counting(pub(in crate::engine::threads) AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_is_woken_from_another_thread_is_woken_by_the_worker_itself() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        let woken = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&woken));
        runtime.block_on(async {
            let queue = WakeQueue::start();
            let from = queue.clone();
            let wake = move || (0..3).for_each(|_| from.wake(waker.clone()));
            std::thread::spawn(wake).join().unwrap();
            assert_eq!(woken.0.load(Ordering::SeqCst), 0, "nothing happens before the worker has looked");
            while woken.0.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
        });
        drop(runtime);
        let none = WakeQueue::none();
        none.wake(Waker::from(Arc::clone(&woken)));
        assert_eq!(woken.0.load(Ordering::SeqCst), 4);
    }
}
