//! Servers that are programs on this machine, which only the configuration names. One of each runs for all flows, on a
//! thread of its own: it is started when somebody asks it, ended when nobody has for a while, and started again, later
//! and later, when it ends by itself.

mod child;
mod lines;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::child::RunningProgram;
use super::{PATIENCE, message};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::servers::ProgramSpec;
use crate::redact::Redactor;
use crate::telemetry::metrics::Metrics;

/// That run at a time.
const MOST_PROGRAMS: usize = 32;
/// That are known, with when they may be started again.
const MOST_KNOWN: usize = 256;
/// Requests that wait for one program.
const QUEUE: usize = 64;
/// Orders for all of them.
const ORDERS: usize = 256;
/// Until one that failed is started again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// For programs, at the end of the gateway.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub(super) struct Programs {
    metrics: Arc<Metrics>,
    seat: Mutex<Option<ProgramsThread>>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct ProgramsThread {
    orders: mpsc::Sender<(Arc<ProgramSpec>, ProgramRequest)>,
    thread: JoinHandle<()>,
}

/// A request to a program.
#[derive(Debug)]
struct ProgramRequest {
    method: &'static str,
    params: Value,
    /// For what the program writes to the log.
    redactor: Arc<Redactor>,
    answer: oneshot::Sender<Result<Value, ProgramFailure>>,
}

/// Why a program does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProgramFailure {
    /// In its own words.
    Said(String),
    /// In ours.
    Gone(String),
    Slow,
}

impl From<ProgramFailure> for Failure {
    fn from(failure: ProgramFailure) -> Self {
        match failure {
            ProgramFailure::Said(words) => Self::Refused(words),
            ProgramFailure::Gone(words) => Self::Unreachable(words),
            ProgramFailure::Slow => message::timed_out(),
        }
    }
}

impl Programs {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), seat: Mutex::default(), stop: CancellationToken::new() }
    }

    /// What a program answers, which is started if it does not run.
    pub(super) async fn ask(
        &self,
        program: &Arc<ProgramSpec>,
        method: &'static str,
        params: Value,
        redactor: &Arc<Redactor>,
    ) -> Result<Value, ProgramFailure> {
        let (answer, answered) = oneshot::channel();
        let request = ProgramRequest { method, params, redactor: Arc::clone(redactor), answer };
        self.orders()?.try_send((Arc::clone(program), request)).map_err(|_| busy(program))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ended(program)),
            Err(_) => Err(ProgramFailure::Slow),
        }
    }

    /// The thread starts with the first request.
    fn orders(&self) -> Result<mpsc::Sender<(Arc<ProgramSpec>, ProgramRequest)>, ProgramFailure> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*seat {
            return Ok(thread.orders.clone());
        }
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (metrics, stop) = (Arc::clone(&self.metrics), self.stop.clone());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(tokio::task::LocalSet::new().run_until(serve(ordered, metrics, stop))),
                Err(error) => tracing::error!(%error, "the thread of MCP servers cannot start"),
            }
        };
        let thread = std::thread::Builder::new().name("mcp".to_owned()).spawn(work);
        let thread = thread.map_err(|error| ProgramFailure::Gone(format!("no MCP server can be started: {error}")))?;
        *seat = Some(ProgramsThread { orders: orders.clone(), thread });
        Ok(orders)
    }

    /// Ends all programs, and the thread.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        let thread = self.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ProgramsThread { orders, thread }) = thread {
            drop(orders);
            if thread.join().is_err() {
                tracing::error!("the thread of MCP servers panicked");
            }
        }
    }
}

fn busy(program: &ProgramSpec) -> ProgramFailure {
    ProgramFailure::Gone(format!("the MCP server {} has more to do than it can", program.name))
}

fn ended(program: &ProgramSpec) -> ProgramFailure {
    ProgramFailure::Gone(format!("the MCP server {} ended", program.name))
}

/// A program as the thread knows it.
struct KnownProgram {
    queue: mpsc::Sender<ProgramRequest>,
    task: tokio::task::JoinHandle<bool>,
    last_asked: Instant,
    /// In a row, without having worked in between.
    failures: u32,
}

impl KnownProgram {
    fn runs(&self) -> bool {
        !self.task.is_finished()
    }
}

/// The thread's work.
async fn serve(
    mut orders: mpsc::Receiver<(Arc<ProgramSpec>, ProgramRequest)>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut known: HashMap<[u8; 32], KnownProgram> = HashMap::new();
    let mut pauses: HashMap<[u8; 32], (u32, Instant)> = HashMap::new();
    while let Some(Some((program, request))) = stop.run_until_cancelled(orders.recv()).await {
        settle(&mut known, &mut pauses).await;
        let key = *program.key();
        let running = known.get_mut(&key);
        let request = match running {
            None => request,
            Some(running) => {
                running.last_asked = Instant::now();
                match running.queue.try_send(request) {
                    Ok(()) => continue,
                    Err(mpsc::error::TrySendError::Full(request)) => {
                        let _ = request.answer.send(Err(busy(&program)));
                        continue;
                    }
                    // It is just ending.
                    Err(mpsc::error::TrySendError::Closed(request)) => request,
                }
            }
        };
        if let Some((_, until)) = pauses.get(&key).filter(|(_, until)| *until > Instant::now()) {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs() + 1;
            let words = format!("the MCP server {} ended, and is started again in {seconds} s", program.name);
            let _ = request.answer.send(Err(ProgramFailure::Gone(words)));
            continue;
        }
        if known.len() >= MOST_PROGRAMS && !make_room(&mut known) {
            let words = format!("{MOST_PROGRAMS} MCP servers run already");
            let _ = request.answer.send(Err(ProgramFailure::Gone(words)));
            continue;
        }
        let (queue, requests) = mpsc::channel(QUEUE);
        let _ = queue.try_send(request);
        let failures = pauses.get(&key).map_or(0, |(failures, _)| *failures);
        let task = tokio::task::spawn_local(RunningProgram::run(program, requests, Arc::clone(&metrics), stop.clone()));
        known.insert(key, KnownProgram { queue, task, last_asked: Instant::now(), failures });
    }
    let ends = async {
        for (_, KnownProgram { queue, task, .. }) in known {
            drop(queue);
            let _ = task.await;
        }
    };
    let _ = tokio::time::timeout(LAST_MOMENT, ends).await;
}

/// Notes what became of those that ended.
async fn settle(known: &mut HashMap<[u8; 32], KnownProgram>, pauses: &mut HashMap<[u8; 32], (u32, Instant)>) {
    let over: Vec<[u8; 32]> = known.iter().filter(|(_, program)| !program.runs()).map(|(key, _)| *key).collect();
    for key in over {
        let Some(program) = known.remove(&key) else { continue };
        let has_worked = program.task.await.unwrap_or(false);
        if has_worked {
            pauses.remove(&key);
        } else {
            let failures = program.failures + 1;
            let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(6)).min(LONGEST_PAUSE);
            if pauses.len() >= MOST_KNOWN {
                pauses.retain(|_, (_, until)| *until > Instant::now());
            }
            pauses.insert(key, (failures, Instant::now() + pause));
        }
    }
}

/// Lets go of the one that nobody has asked for longest, if it has nothing to do.
fn make_room(known: &mut HashMap<[u8; 32], KnownProgram>) -> bool {
    let idle = known.iter().filter(|(_, program)| program.last_asked.elapsed() > PATIENCE);
    let oldest = idle.min_by_key(|(_, program)| program.last_asked).map(|(key, _)| *key);
    // It ends when its queue is closed.
    oldest.is_some_and(|key| known.remove(&key).is_some())
}
