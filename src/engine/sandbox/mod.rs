//! JavaScript that authors of flows wrote, in a box: `QuickJS`, a context of its own for each run, on threads of their own.
//!
//! A script reaches what its context has and nothing else: the language without code from texts, and shims of our own
//! (`prelude/`), which ask the host by a few functions that take and give texts. What it may take is bounded: memory,
//! stack, time of the processor, time of the clock, questions to the host, what it says and what it gives. Threads of flows
//! never compute a script: they wait for what comes back, and do what it asks for, by the rules of the run that it is for.
//!
//! A language's own function that never looks up could not be ended by any of this. Those known are bounded by the size of
//! what they go over (`prelude/guards.js`); a thread that hangs all the same is left behind for a new one, a few times.

mod host;
mod meter;
mod sources;
mod threads;
mod vm;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

pub(crate) use self::sources::is_builtin;
use self::threads::{ScriptThread, Threads};
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
    /// Its thread hangs, or came to an end.
    Lost,
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
        }
    }
}

/// The threads that compute scripts, for the whole process. They start with the first script.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox(Arc<Threads>);

impl Sandbox {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self(Arc::new(Threads::new(metrics)))
    }

    /// Begins a script when there is a place for it.
    ///
    /// # Errors
    /// Too many threads hang, or the system gives none.
    pub(crate) async fn begin(&self, job: ScriptJob) -> Result<RunningScript, ScriptError> {
        let place = self.0.place().await.ok_or(ScriptError::Lost)?;
        let (told, events) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let thread = self.0.give(threads::ThreadJob { job, told, answered, cancelled: Arc::clone(&cancelled) })?;
        Ok(RunningScript { threads: Arc::clone(&self.0), thread, events, answers, cancelled, _place: place })
    }

    /// How a script ended, for metrics.
    pub(crate) fn count(&self, end: &ScriptEnd) {
        self.0.count(end);
    }
}

/// How often a thread is looked at that says nothing.
const LOOK: Duration = Duration::from_secs(1);

/// A script on its thread. It ends when this goes.
#[derive(Debug)]
pub(crate) struct RunningScript {
    threads: Arc<Threads>,
    thread: Arc<ScriptThread>,
    events: mpsc::UnboundedReceiver<ScriptEvent>,
    answers: mpsc::UnboundedSender<ScriptAnswer>,
    cancelled: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl RunningScript {
    /// The next that it tells. It may be waited for anew at any time.
    pub(crate) async fn next(&mut self) -> ScriptEvent {
        loop {
            match tokio::time::timeout(LOOK, self.events.recv()).await {
                Ok(Some(event)) => return event,
                Ok(None) => break,
                Err(_) if self.thread.hangs() => {
                    self.threads.replace(&self.thread);
                    break;
                }
                Err(_) => {}
            }
        }
        ScriptEvent::Ended(ScriptEnd { result: Err(ScriptError::Lost), computed: Duration::ZERO })
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
