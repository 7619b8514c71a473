//! The threads that compute scripts: each script has one of its own, and computes while it has a turn.
//!
//! `QuickJS` asks whether it may go on every ten thousand steps, and one step may go over all that a script holds. A thread
//! that has taken more than its script may is therefore seen from outside: whoever waits for the script is told at once,
//! and its turn goes to others. The thread itself nobody can end; it ends when it asks again. How many there are has a
//! bound, since each keeps its script's place.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Histogram;
use rustix::process::{Pid, setpriority_process};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::vm::drive;
use super::{LOOK, ScriptAnswer, ScriptBounds, ScriptEnd, ScriptError, ScriptEvent, ScriptJob};
use crate::telemetry::metrics::{EngineMetrics, Metrics};

/// Scripts that have begun and not ended; others wait.
const MOST_SCRIPTS: usize = 32;
/// Those of them that compute.
const MOST_TURNS: usize = 4;
/// Threads that were left behind, and compute all the same.
const MOST_LEFT: usize = 4;
/// Of the processor, beyond what a script may take, before its thread is left behind.
const GRACE: Duration = Duration::from_millis(500);
/// The same by the clock, where the system does not tell what a thread has taken.
const HANGS: Duration = Duration::from_secs(30);
/// As that of threads that compute flows; and of those that nobody waits for.
const NICENESS: i32 = 10;
const LEFT_NICENESS: i32 = 19;
/// A script's own stack is a part of it.
const STACK: usize = 4 << 20;

/// A script, and its ends of the channels.
#[derive(Debug)]
pub(super) struct ThreadJob {
    pub(super) job: ScriptJob,
    pub(super) told: mpsc::UnboundedSender<ScriptEvent>,
    pub(super) answered: mpsc::UnboundedReceiver<ScriptAnswer>,
    pub(super) cancelled: Arc<AtomicBool>,
    /// Until the thread ends, whoever waits for the script.
    pub(super) place: OwnedSemaphorePermit,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Threads {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    running: Mutex<Vec<Arc<ScriptThread>>>,
    metrics: EngineMetrics,
    computed: Histogram,
}

impl Threads {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let turns = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_TURNS);
        Self {
            places: Arc::new(Semaphore::new(MOST_SCRIPTS)),
            turns: Arc::new(Semaphore::new(turns)),
            running: Mutex::default(),
            metrics: metrics.engine.clone(),
            computed: metrics.engine.script_compute.clone(),
        }
    }

    /// A place among those that run.
    pub(super) async fn place(&self, time: Duration) -> Result<OwnedSemaphorePermit, ScriptError> {
        let deadline = Instant::now() + time;
        let mut place = pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            if self.leave_behind() >= MOST_LEFT {
                return Err(self.not_begun(ScriptError::Refused));
            }
            match tokio::time::timeout(LOOK, place.as_mut()).await {
                Ok(place) => return place.map_err(|_| ScriptError::Lost),
                Err(_) if Instant::now() >= deadline => return Err(self.not_begun(ScriptError::Time(time))),
                Err(_) => {}
            }
        }
    }

    fn not_begun(&self, error: ScriptError) -> ScriptError {
        self.metrics.scripts.with_label_values(&[error.name()]).inc();
        error
    }

    /// Gives a script a thread.
    pub(super) fn start(self: &Arc<Self>, job: ThreadJob) -> Result<Arc<ScriptThread>, ScriptError> {
        let thread = Arc::new(ScriptThread::new(job.job.bounds));
        let listed = ListedThread { threads: Arc::clone(self), thread: Arc::clone(&thread) };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&thread));
        let named = std::thread::Builder::new().name("engine-script".to_owned()).stack_size(STACK);
        let begun = named.spawn(move || run(job, &listed));
        begun.map_err(|error| {
            tracing::error!(%error, "no thread for a script");
            self.not_begun(ScriptError::Lost)
        })?;
        Ok(thread)
    }

    /// A turn, for a thread that has none; after `deadline` it goes on without.
    pub(super) async fn turn(&self, thread: &ScriptThread, deadline: Instant) {
        let mut turn = pin!(Arc::clone(&self.turns).acquire_owned());
        while !thread.is_left() && Instant::now() < deadline {
            if let Ok(Ok(turn)) = tokio::time::timeout(LOOK, turn.as_mut()).await {
                thread.begin(turn);
                return;
            }
            self.leave_behind();
        }
    }

    /// Gives the turns of threads that hang to others, and says how many there are that hang. One that asks again ends by
    /// itself, and counts no longer.
    pub(super) fn leave_behind(&self) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = running.iter().filter(|thread| thread.is_left()).count();
        for thread in running.iter().filter(|thread| !thread.is_left()) {
            if left < MOST_LEFT && thread.hangs() {
                thread.leave();
                left += 1;
            }
        }
        left
    }

    pub(super) fn count(&self, end: &ScriptEnd) {
        let outcome = end.result.as_ref().map_or_else(ScriptError::name, |_| "ok");
        self.metrics.scripts.with_label_values(&[outcome]).inc();
        self.computed.observe(end.computed.as_secs_f64());
    }
}

/// The thread of a script, for others to see.
#[derive(Debug)]
pub(super) struct ScriptThread {
    bounds: ScriptBounds,
    id: OnceLock<Pid>,
    /// While it computes, and since when.
    turn: Mutex<Option<(OwnedSemaphorePermit, Instant)>>,
    left: AtomicBool,
}

impl ScriptThread {
    fn new(bounds: ScriptBounds) -> Self {
        let (id, turn, left) = Default::default();
        Self { bounds, id, turn, left }
    }

    fn begin(&self, turn: OwnedSemaphorePermit) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some((turn, Instant::now()));
    }

    /// Lets others compute.
    pub(super) fn rest(&self) {
        drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Computes, and has taken so much that its script should have ended.
    pub(super) fn hangs(&self) -> bool {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, since)) = &*turn else { return false };
        self.computed().map_or_else(|| since.elapsed() > HANGS, |computed| computed > self.bounds.compute + GRACE)
    }

    fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        self.rest();
        if let Some(Err(error)) = self.id.get().map(|id| setpriority_process(Some(*id), LEFT_NICENESS)) {
            tracing::debug!(%error, "a script that hangs keeps its priority");
        }
        tracing::error!("a script hangs within one of the language's own functions; its thread is left behind");
    }

    /// What it has taken of the processor, which is its script's alone.
    pub(super) fn computed(&self) -> Option<Duration> {
        let path = format!("/proc/self/task/{}/schedstat", self.id.get()?.as_raw_nonzero());
        let told = std::fs::read_to_string(path).ok()?;
        // Nothing: the system does not count it.
        told.split(' ').next()?.parse().ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }
}

/// A thread among those that run, until it ends: one that panics as well.
struct ListedThread {
    threads: Arc<Threads>,
    thread: Arc<ScriptThread>,
}

impl Drop for ListedThread {
    fn drop(&mut self) {
        self.thread.rest();
        let mut running = self.threads.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|thread| !Arc::ptr_eq(thread, &self.thread));
    }
}

fn run(job: ThreadJob, listed: &ListedThread) {
    let _ = listed.thread.id.set(rustix::thread::gettid());
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "scripts compete with workers");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    if let Ok(runtime) = runtime {
        runtime.block_on(drive(job, &listed.threads, &listed.thread));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> Arc<ScriptThread> {
        let second = Duration::from_secs(1);
        Arc::new(ScriptThread::new(ScriptBounds { memory: 0, compute: second, time: second }))
    }

    #[test]
    fn turns_of_threads_that_hang_go_to_others_and_too_many_of_them_refuse_scripts() {
        let threads = Threads::new(&Metrics::new().unwrap());
        let begun = Instant::now().checked_sub(2 * HANGS).unwrap();
        let turns = threads.turns.available_permits();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let place = || runtime.block_on(threads.place(Duration::ZERO)).map(drop);
        let mut hung = Vec::new();
        for count in 1..=MOST_LEFT {
            assert_eq!(place(), Ok(()));
            let (thread, turn) = (thread(), Arc::clone(&threads.turns).try_acquire_owned().unwrap());
            *thread.turn.lock().unwrap() = Some((turn, begun));
            threads.running.lock().unwrap().push(Arc::clone(&thread));
            assert_eq!((threads.leave_behind(), threads.turns.available_permits()), (count, turns));
            hung.push(thread);
        }
        assert_eq!(place(), Err(ScriptError::Refused));
        let refused = threads.metrics.scripts.with_label_values(&["refused"]).get();
        assert_eq!(refused, 1);
        threads.running.lock().unwrap().pop();
        assert_eq!(place(), Ok(()));
    }

    #[test]
    fn one_that_waits_for_a_turn_or_an_answer_does_not_hang() {
        let (threads, thread) = (Threads::new(&Metrics::new().unwrap()), thread());
        threads.running.lock().unwrap().push(Arc::clone(&thread));
        let turn = || Arc::clone(&threads.turns).try_acquire_owned().unwrap();
        thread.begin(turn());
        assert_eq!(threads.leave_behind(), 0);
        *thread.turn.lock().unwrap() = Some((turn(), Instant::now().checked_sub(2 * HANGS).unwrap()));
        thread.rest();
        assert_eq!(threads.leave_behind(), 0);
    }
}
