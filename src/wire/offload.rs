//! Work on large bodies, done beside the threads that serve connections.
//!
//! Reading and shaping JSON takes milliseconds a megabyte, and a worker that does it answers nobody meanwhile.

use tokio::sync::Semaphore;

/// Bytes from which on a body is worked on elsewhere: enough that handing it over is little beside that work.
const LARGE: usize = 256 * 1024;
/// At once, in the whole process: each holds its body a few times over, and takes a core from those who serve.
static PLACES: Semaphore = Semaphore::const_new(2);

pub(crate) fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

/// Does the work on that many bytes: here, or elsewhere as soon as there is a place.
pub(crate) async fn work<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    // Boxed: rare.
    if is_large(bytes) { Box::pin(elsewhere(bytes, work)).await } else { work() }
}

/// Does the work on that many bytes elsewhere, as soon as there is a place.
pub(crate) async fn elsewhere<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    tracing::debug!(bytes, "a large body is worked on beside the workers");
    // Nobody closes it.
    let place = PLACES.acquire().await;
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work is done, also if nobody waits for it any more.
        let _place = place;
        work()
    });
    match done.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The worker is going, and whoever asked with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn large_work_is_done_elsewhere_and_little_at_once() {
        let here = thread::current().id();
        assert_eq!(work(LARGE - 1, || thread::current().id()).await, here);
        assert_ne!(work(LARGE, || thread::current().id()).await, here);

        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..8).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            tokio::spawn(work(LARGE, move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            }))
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }
}
