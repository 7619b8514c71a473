//! JavaScript that authors of flows wrote, in a box: `QuickJS`, a context of its own for each run, on threads of their own.
//!
//! A script reaches what its context has and nothing else: the language without code from texts, and shims of our own
//! (`prelude/`), which ask the host by a few functions that take and give texts. What it may take is bounded: memory,
//! stack, time of the processor, time of the clock, questions to the host, what it says and what it gives. Threads of flows
//! never compute a script: they wait for what comes back, and do what it asks for, by the rules of the run that it is for.
//!
//! A language's own function that never looks up could not be ended by any of this. Those known are bounded by the size of
//! what they go over, or look up themselves (`prelude/guards.js`). Who waits for a script that hangs all the same has an
//! error in time, and its thread is left behind, of which there are a few (`threads.rs`).

mod host;
mod meter;
mod sources;
mod threads;
mod vm;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub(crate) use self::sources::is_builtin;
use self::threads::{ScriptThread, ThreadJob, Threads};
use crate::telemetry::metrics::Metrics;

/// What one script may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScriptBounds {
    /// Bytes.
    pub(crate) memory: usize,
    /// Of the processor.
    pub(crate) compute: Duration,
    /// From its beginning to its value.
    pub(crate) time: Duration,
}

/// A script that is to run.
#[derive(Debug)]
pub(crate) struct ScriptJob {
    /// The body of an `async` function.
    pub(crate) code: Arc<str>,
    /// A JSON object: names of globals and their values.
    pub(crate) values: String,
    /// Names of the tools in `$tools`.
    pub(crate) tools: Vec<String>,
    /// Packages that it may require.
    pub(crate) modules: Arc<[Box<str>]>,
    pub(crate) bounds: ScriptBounds,
}

/// What a script tells while it runs.
#[derive(Debug)]
pub(crate) enum ScriptEvent {
    /// It wants an answer to this.
    Asks { id: u32, question: ScriptQuestion },
    /// It wrote to the console.
    Says { level: String, text: String },
    /// The last.
    Ended(ScriptEnd),
}

#[derive(Debug)]
pub(crate) struct ScriptQuestion {
    /// `fetch`, `tool` or `postgres`.
    pub(crate) kind: String,
    /// JSON.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// The answer to a question: JSON and bytes, or what went wrong.
#[derive(Debug)]
pub(crate) struct ScriptAnswer {
    pub(crate) id: u32,
    pub(crate) result: Result<(String, Vec<u8>), String>,
}

#[derive(Debug)]
pub(crate) struct ScriptEnd {
    pub(crate) result: Result<ScriptValue, ScriptError>,
    /// Time of the processor.
    pub(crate) computed: Duration,
}

/// What a script gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptValue {
    /// `undefined`, a function.
    Nothing,
    Text(String),
    /// Anything else, as JSON.
    Json(String),
}

/// Why a script gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptError {
    /// What it threw, as a text.
    Thrown(String),
    Memory(usize),
    Compute(Duration),
    Time(Duration),
    Output,
    /// It waits, and nothing will ever come.
    Idle,
    /// Nobody waits for it.
    Cancelled,
    /// Its thread came to an end, or there is none for it.
    Lost,
    /// Too many others hang.
    Refused,
}

impl ScriptError {
    /// Its word in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Thrown(_) => "error",
            Self::Memory(_) => "memory",
            Self::Compute(_) => "compute",
            Self::Time(_) => "time",
            Self::Output => "output",
            Self::Idle => "idle",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thrown(words) => f.write_str(words),
            Self::Memory(most) => {
                write!(
                    f,
                    "RangeError: the script met its limit of {} KiB of memory (engine.scripts.memory)",
                    most >> 10
                )
            }
            Self::Compute(most) => write!(
                f,
                "RangeError: the script met its limit of {}ms of computing (engine.scripts.compute)",
                most.as_millis()
            ),
            Self::Time(most) => {
                write!(f, "RangeError: the script met its limit of {}ms (engine.scripts.time)", most.as_millis())
            }
            Self::Output => f.write_str("RangeError: the script gave more than a script may give"),
            Self::Idle => f.write_str("Error: the script waits for something that never comes"),
            Self::Cancelled => f.write_str("Error: the script was stopped"),
            Self::Lost => f.write_str("Error: the script's thread is lost"),
            Self::Refused => f.write_str("Error: no script is begun while so many others hang"),
        }
    }
}

/// The threads that compute scripts, for the whole process.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox(Arc<Threads>);

impl Sandbox {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self(Arc::new(Threads::new(metrics)))
    }

    /// Begins a script when there is a place for it.
    ///
    /// # Errors
    /// Too many threads hang, the system gives none, or no place is free in the script's time.
    pub(crate) async fn begin(&self, job: ScriptJob) -> Result<RunningScript, ScriptError> {
        let place = self.0.place(job.bounds.time).await?;
        let (told, events) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let (bounds, deadline) = (job.bounds, Instant::now() + job.bounds.time + LATE);
        let own = Arc::clone(&cancelled);
        let thread = self.0.start(ThreadJob { job, told, answered, cancelled: own, place })?;
        Ok(RunningScript { threads: Arc::clone(&self.0), thread, bounds, deadline, events, answers, cancelled })
    }

    /// How a script ended, for metrics.
    pub(crate) fn count(&self, end: &ScriptEnd) {
        self.0.count(end);
    }
}

/// How often a thread is looked at that says nothing.
const LOOK: Duration = Duration::from_millis(100);
/// Of a script that should have ended by itself.
const LATE: Duration = Duration::from_secs(1);

/// A script on its thread. It ends when this goes.
#[derive(Debug)]
pub(crate) struct RunningScript {
    threads: Arc<Threads>,
    thread: Arc<ScriptThread>,
    bounds: ScriptBounds,
    deadline: Instant,
    events: mpsc::UnboundedReceiver<ScriptEvent>,
    answers: mpsc::UnboundedSender<ScriptAnswer>,
    cancelled: Arc<AtomicBool>,
}

impl RunningScript {
    /// The next that it tells. It may be waited for anew at any time.
    pub(crate) async fn next(&mut self) -> ScriptEvent {
        let error = loop {
            match tokio::time::timeout(LOOK, self.events.recv()).await {
                Ok(Some(event)) => return event,
                Ok(None) => break ScriptError::Lost,
                Err(_) if self.thread.is_left() || self.thread.hangs() => {
                    self.threads.leave_behind();
                    break ScriptError::Compute(self.bounds.compute);
                }
                Err(_) if Instant::now() > self.deadline => break ScriptError::Time(self.bounds.time),
                Err(_) => {}
            }
        };
        let computed = self.thread.computed().unwrap_or_default();
        ScriptEvent::Ended(ScriptEnd { result: Err(error), computed })
    }

    pub(crate) fn answer(&self, answer: ScriptAnswer) {
        // One that has ended does not want it.
        let _ = self.answers.send(answer);
    }
}

impl Drop for RunningScript {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
