//! The threads that compute scripts: each has many scripts, of which one computes at a time, for as long as it may.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::vm::drive;
use super::{ScriptAnswer, ScriptEnd, ScriptError, ScriptEvent, ScriptJob};
use crate::telemetry::metrics::{EngineMetrics, Metrics};

/// Scripts that have begun and not ended; others wait.
const MOST_SCRIPTS: usize = 32;
const MOST_THREADS: usize = 4;
/// Threads that hang at once, until no script is begun any more.
const MOST_HANGING: usize = 4;
/// Without looking up. The language's own functions take well below a second where their arguments are as large as memory
/// allows; a thread of low priority on a busy machine may wait many times as long.
const HANGS: Duration = Duration::from_secs(30);
/// As that of threads that compute flows.
const NICENESS: i32 = 10;
/// A script's own stack is a part of it.
const STACK: usize = 4 << 20;

/// A script, and its ends of the channels.
#[derive(Debug)]
pub(super) struct ThreadJob {
    pub(super) job: ScriptJob,
    pub(super) told: mpsc::UnboundedSender<ScriptEvent>,
    pub(super) answered: mpsc::UnboundedReceiver<ScriptAnswer>,
    pub(super) cancelled: Arc<AtomicBool>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Threads {
    places: Arc<Semaphore>,
    /// Those that are given scripts.
    running: Mutex<Vec<Arc<ScriptThread>>>,
    /// Those that are given none, for as long as they hang.
    hanging: Mutex<Vec<Arc<ScriptThread>>>,
    metrics: EngineMetrics,
    computed: Histogram,
}

#[derive(Debug)]
pub(super) struct ScriptThread {
    jobs: mpsc::UnboundedSender<ThreadJob>,
    /// Scripts that it has.
    load: Arc<AtomicUsize>,
    heartbeat: Arc<Heartbeat>,
}

impl Threads {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_SCRIPTS)),
            running: Mutex::default(),
            hanging: Mutex::default(),
            metrics: metrics.engine.clone(),
            computed: metrics.engine.script_compute.clone(),
        }
    }

    /// A place among those that run.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Gives a script to the thread that has the fewest.
    pub(super) fn give(&self, job: ThreadJob) -> Result<Arc<ScriptThread>, ScriptError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|thread| !thread.jobs.is_closed());
        if self.too_many_hang() {
            return Err(ScriptError::Lost);
        }
        let most = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
        let least = running.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed)).cloned();
        let is_free = |thread: &Arc<ScriptThread>| thread.load.load(Ordering::Relaxed) == 0;
        let thread = match least {
            Some(thread) if running.len() >= most || is_free(&thread) => thread,
            _ => {
                let thread = Arc::new(ScriptThread::start().map_err(|error| {
                    tracing::error!(%error, "no thread for scripts");
                    ScriptError::Lost
                })?);
                running.push(Arc::clone(&thread));
                thread
            }
        };
        drop(running);
        thread.load.fetch_add(1, Ordering::Relaxed);
        thread.jobs.send(job).map_err(|_| ScriptError::Lost)?;
        Ok(thread)
    }

    /// One that looks up after all ends by itself, and counts no longer.
    fn too_many_hang(&self) -> bool {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        hanging.retain(|thread| thread.hangs());
        hanging.len() >= MOST_HANGING
    }

    /// Gives a thread no more scripts: it hangs. It ends by itself, should it ever look up.
    pub(super) fn replace(&self, hanging: &Arc<ScriptThread>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = running.len();
        running.retain(|thread| !Arc::ptr_eq(thread, hanging));
        if running.len() < before {
            self.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(hanging));
            tracing::error!("a script hangs within one of the language's own functions; its thread is left behind");
        }
    }

    pub(super) fn count(&self, end: &ScriptEnd) {
        let outcome = end.result.as_ref().map_or_else(ScriptError::name, |_| "ok");
        self.metrics.scripts.with_label_values(&[outcome]).inc();
        self.computed.observe(end.computed.as_secs_f64());
    }
}

impl ScriptThread {
    fn start() -> std::io::Result<Self> {
        let (jobs, given) = mpsc::unbounded_channel();
        let (load, heartbeat) = (Arc::<AtomicUsize>::default(), Arc::<Heartbeat>::default());
        let own = (Arc::clone(&load), Arc::clone(&heartbeat));
        let named = std::thread::Builder::new().name("engine-script".to_owned()).stack_size(STACK);
        named.spawn(move || run(given, &own.0, &own.1))?;
        Ok(Self { jobs, load, heartbeat })
    }

    pub(super) fn hangs(&self) -> bool {
        self.heartbeat.is_silent(HANGS)
    }
}

fn run(mut given: mpsc::UnboundedReceiver<ThreadJob>, load: &Arc<AtomicUsize>, heartbeat: &Arc<Heartbeat>) {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "scripts compete with workers");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    let scripts = tokio::task::LocalSet::new();
    scripts.block_on(&runtime, async {
        while let Some(job) = given.recv().await {
            let place = LoadGuard(Arc::clone(load));
            let heartbeat = Arc::clone(heartbeat);
            // One that panics takes nothing with it but itself: its end of the channel tells.
            tokio::task::spawn_local(async move {
                let _place = place;
                drive(job, &heartbeat).await;
            });
        }
    });
}

struct LoadGuard(Arc<AtomicUsize>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When a thread that computes has last looked up, for others to see.
#[derive(Debug)]
pub(super) struct Heartbeat {
    start: Instant,
    /// Milliseconds, 0: it computes nothing.
    last: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Heartbeat {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn begin(&self) {
        self.beat();
    }

    pub(super) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.last.store(0, Ordering::Relaxed);
    }

    fn is_silent(&self, most: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last != 0 && u128::from(self.now().saturating_sub(last)) > most.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_hung_for_a_while_do_not_end_all_scripts() {
        let threads = Threads::new(&Metrics::new().unwrap());
        let begun = Instant::now().checked_sub(2 * HANGS).unwrap();
        let silent = || {
            let heartbeat = Arc::new(Heartbeat { start: begun, last: AtomicU64::new(1) });
            let (jobs, _) = mpsc::unbounded_channel();
            Arc::new(ScriptThread { jobs, load: Arc::default(), heartbeat })
        };
        let hung: Vec<_> = (0..MOST_HANGING).map(|_| silent()).collect();
        for thread in &hung {
            assert!(!threads.too_many_hang());
            threads.running.lock().unwrap().push(Arc::clone(thread));
            threads.replace(thread);
        }
        assert!(threads.too_many_hang());
        hung[0].heartbeat.end();
        assert!(!threads.too_many_hang());
    }
}
