//! The threads that compute flows. Those that serve connections hand predictions over and pass on what comes back, so that
//! no flow, whatever it computes, stands in the way of anybody else's connection.
//!
//! A thread owns whole runs: one single-threaded runtime, its own connections to providers, nothing that moves. Runs on
//! one thread take turns, see [`Run::give_way`](crate::engine::contract::run::Run::give_way). One pool for the process, whichever engines there are.

pub(crate) mod answer;
pub(crate) mod delegate;
pub(crate) mod error;
pub(crate) mod link;
pub(crate) mod reading;
pub(crate) mod wakes;

use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::answer::PredictionJob;
use self::error::EngineError;
use self::reading::ReadingJob;
use crate::engine::contract::memory::Store;
use crate::engine::contract::run::Services;
use crate::engine::contract::servers::ToolServers;
use crate::engine::contract::tokens::GrantedTokens;
use crate::engine::mcp::McpState;
use crate::engine::sandbox::Sandbox;
use crate::telemetry::metrics::Metrics;

/// Predictions that wait for one thread to begin them.
const QUEUE: usize = 256;
/// Threads of each engine thread that wait for the disk, or for an address of a name.
const MOST_BLOCKING: usize = 8;
/// Of engine threads, where workers have 0: about a tenth of a worker's share when there are not enough cores for both. At 5 the
/// p99 of others was 1.2 to 2.5 times what it is without flows that compute, at 10 and beyond about the same.
const NICENESS: i32 = 10;
/// For runs that compute, at the end of the gateway.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Work for an engine thread.
pub(crate) enum EngineJob {
    Prediction(Box<PredictionJob>),
    Reading(Box<ReadingJob>),
}

/// See the module. The threads start with the first engine.
#[derive(Debug)]
pub(crate) struct EngineThreads {
    means: ThreadResources,
    seats: OnceLock<Box<[ThreadHandle]>>,
    starting: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
}

/// What all threads share.
#[derive(Debug, Clone)]
struct ThreadResources {
    metrics: Arc<Metrics>,
    /// What chats remember.
    memory: Arc<dyn Store>,
    /// Scripts have threads of their own.
    sandbox: Sandbox,
    /// Servers of tools.
    servers: Arc<dyn ToolServers>,
    tokens: Arc<GrantedTokens>,
}

/// One thread, as those see it that have work for it.
#[derive(Debug)]
struct ThreadHandle {
    queue: mpsc::Sender<(EngineJob, Instant)>,
    load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Load {
    /// Handed over and not begun: many, where a run computes.
    waiting: AtomicUsize,
    running: AtomicUsize,
}

impl EngineThreads {
    pub(crate) fn new(metrics: &Arc<Metrics>, memory: Arc<dyn Store>) -> Self {
        Self {
            means: ThreadResources {
                metrics: Arc::clone(metrics),
                memory,
                sandbox: Sandbox::new(metrics),
                servers: Arc::new(McpState::new(metrics)),
                tokens: Arc::default(),
            },
            seats: OnceLock::new(),
            starting: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Starts so many, unless they run already.
    ///
    /// # Errors
    /// The system refuses threads.
    pub(crate) fn start(&self, count: impl FnOnce() -> NonZeroUsize) -> io::Result<()> {
        if self.seats.get().is_some() {
            return Ok(());
        }
        let mut threads = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seats.get().is_some() {
            return Ok(());
        }
        let count = count().get();
        let mut seats = Vec::with_capacity(count);
        for number in 0..count {
            let (queue, jobs) = mpsc::channel(QUEUE);
            let load = Arc::new(Load::default());
            let thread =
                EngineThread { means: self.means.clone(), jobs, load: Arc::clone(&load), stop: self.stop.clone() };
            let named = std::thread::Builder::new().name(format!("engine-{number}"));
            threads.push(named.spawn(move || thread.run())?);
            seats.push(ThreadHandle { queue, load });
        }
        let _ = self.seats.set(seats.into());
        Ok(())
    }

    /// Hands a job to the thread that has least to do.
    pub(crate) fn hand_over(&self, job: EngineJob) -> Result<(), EngineError> {
        let least = self.seats.get().and_then(|seats| seats.iter().min_by_key(|seat| seat.load.now()));
        let seat = least.ok_or(EngineError::Busy)?;
        seat.load.waiting.fetch_add(1, Ordering::Relaxed);
        seat.queue.try_send((job, Instant::now())).map_err(|error| {
            seat.load.waiting.fetch_sub(1, Ordering::Relaxed);
            drop(error);
            EngineError::Busy
        })
    }

    /// Ends the threads, when nobody asks any more. One that computes at that very moment, and does not look up within
    /// [`LAST_MOMENT`], ends with the process.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let threads = std::mem::take(&mut *self.starting.lock().unwrap_or_else(PoisonError::into_inner));
        let end = tokio::time::Instant::now() + LAST_MOMENT;
        while !threads.iter().all(JoinHandle::is_finished) && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for thread in threads {
            if !thread.is_finished() {
                tracing::error!("an engine thread computes on and is left behind");
            } else if thread.join().is_err() {
                tracing::error!("an engine thread panicked");
            }
        }
        self.means.servers.stop();
        self.means.memory.finish();
    }
}

impl Load {
    /// To be compared: first what cannot begin, then what runs.
    fn now(&self) -> (usize, usize) {
        (self.waiting.load(Ordering::Relaxed), self.running.load(Ordering::Relaxed))
    }
}

/// Workers go first where there are not enough cores for all: what they do for a request is a few dozen microseconds,
/// and a flow that computes would let them wait for whole slices of the scheduler. On Linux niceness is a thread's own.
fn yield_to_workers() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "engine threads compete with workers");
    }
}

/// A thread that has not begun.
struct EngineThread {
    means: ThreadResources,
    jobs: mpsc::Receiver<(EngineJob, Instant)>,
    load: Arc<Load>,
    stop: CancellationToken,
}

impl EngineThread {
    fn run(self) {
        yield_to_workers();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MOST_BLOCKING)
            .thread_name("engine-disk")
            .build_local(tokio::runtime::LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                runtime.block_on(self.serve());
                // Runs that are under way go with it, and say so to whoever waits.
                runtime.shutdown_timeout(LAST_MOMENT / 2);
            }
            Err(error) => tracing::error!(%error, "an engine thread cannot start"),
        }
    }

    async fn serve(mut self) {
        let services = self.services();
        tokio::task::spawn_local(services.client.clone().run());
        let began = services.metrics.engine.wait.clone();
        while let Some(Some((job, handed_over))) = self.stop.run_until_cancelled(self.jobs.recv()).await {
            self.load.waiting.fetch_sub(1, Ordering::Relaxed);
            began.observe(handed_over.elapsed().as_secs_f64());
            let run = RunGuard::new(&self.load, &services);
            let services = Rc::clone(&services);
            // A run that panics takes nothing with it but itself: its end of the link tells.
            tokio::task::spawn_local(async move {
                let _run = run;
                match job {
                    EngineJob::Prediction(job) => {
                        let work = std::pin::pin!(job.run(Rc::clone(&services)));
                        services.in_turns(work).await;
                    }
                    EngineJob::Reading(job) => job.run().await,
                }
            });
        }
    }

    fn services(&self) -> Rc<Services> {
        let ThreadResources { metrics, memory, sandbox, servers, tokens } = self.means.clone();
        Rc::new(Services::new(metrics, memory, sandbox, servers, tokens))
    }
}

/// One run, counted until it is over.
struct RunGuard {
    load: Arc<Load>,
    services: Rc<Services>,
}

impl RunGuard {
    fn new(load: &Arc<Load>, services: &Rc<Services>) -> Self {
        load.running.fetch_add(1, Ordering::Relaxed);
        services.metrics.engine.runs.inc();
        Self { load: Arc::clone(load), services: Rc::clone(services) }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.load.running.fetch_sub(1, Ordering::Relaxed);
        self.services.metrics.engine.runs.dec();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::link::{Head, StreamReceiver, link};
    use super::wakes::WakeQueue;
    use super::*;
    use crate::engine::memory::InProcess;
    use crate::engine::testing::flow;
    use crate::predict::answer::View;
    use crate::predict::request::Question;
    use crate::state::chats::{ChatUse, Chats};

    /// A prediction of an LLM chain with that kind of model.
    fn job(model: &str) -> (StreamReceiver, EngineJob) {
        let chain = json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" });
        let prompt = json!({ "template": "{q}" });
        let nodes = [("m_0", model, json!({})), ("p_0", "promptTemplate", prompt), ("end_0", "llmChain", chain)];
        let lease = Arc::new(Chats::default()).enter("engine", "chat", ChatUse::Whole).now().unwrap();
        let abort = lease.abort.clone();
        let view = View::default();
        let (asker, teller) = link(lease, view.shape(), &WakeQueue::none());
        let job = Box::new(PredictionJob {
            flow: Arc::new(flow(&nodes).unwrap()),
            flows: Arc::default(),
            id: "flow".into(),
            chatflow: "flow".into(),
            question: Question { text: Some("q".to_owned()), chat_id: "c".to_owned(), ..Question::default() },
            streaming: false,
            upsert: None,
            namespace: None,
            view,
            cut: CancellationToken::new(),
            abort,
            models: Arc::default(),
            redactor: Arc::default(),
            trace: None,
            teller,
        });
        (asker, EngineJob::Prediction(job))
    }

    async fn answered(threads: &EngineThreads, model: &str) -> EngineError {
        let (asker, job) = job(model);
        threads.hand_over(job).unwrap();
        let Head::Whole(Err(unanswered)) = asker.head().await else { panic!("no model answers here") };
        unanswered
    }

    fn threads() -> EngineThreads {
        EngineThreads::new(&Arc::new(Metrics::new().unwrap()), Arc::new(InProcess::default()))
    }

    #[tokio::test]
    async fn a_run_that_panics_takes_nothing_with_it() {
        let threads = threads();
        threads.start(|| NonZeroUsize::MIN).unwrap();
        assert_eq!(answered(&threads, "panickingModel").await, EngineError::Lost);
        let unanswered = answered(&threads, "testModel").await;
        assert!(format!("{unanswered:?}").contains("did not answer in time"), "{unanswered:?}");
        // It is counted out after its answer is on the way.
        let counted_out = async {
            while threads.means.metrics.engine.runs.get() != 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted_out).await.unwrap();
        threads.stop().await;
        // Nobody begins it any more, and whoever asks is told.
        assert_eq!(threads.hand_over(job("testModel").1), Err(EngineError::Busy));
    }

    #[tokio::test]
    async fn a_thread_takes_no_more_than_it_can_begin() {
        let threads = threads();
        // A thread that begins nothing.
        let (queue, _jobs) = mpsc::channel(1);
        threads.seats.set([ThreadHandle { queue, load: Arc::default() }].into()).unwrap();
        let (_asker, first) = job("testModel");
        assert_eq!(threads.hand_over(first), Ok(()));
        assert_eq!(threads.hand_over(job("testModel").1), Err(EngineError::Busy));
        assert_eq!(threads.seats.get().unwrap()[0].load.now(), (1, 0));
    }
}
