//! One program while it runs: requests go to its input, a line each, and answers come back in any order.

use std::collections::HashMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lines::OutputLines;
use super::{ProgramFailure, ProgramRequest, ended};
use crate::engine::contract::servers::ProgramSpec;
use crate::engine::mcp::PATIENCE;
use crate::engine::mcp::message::{self, INITIALIZE, INITIALIZED, ServerMessage, agreed, greeting};
use crate::redact::Redactor;
use crate::telemetry::metrics::Metrics;

/// Nobody asks it so long, and it ends.
const IDLE: Duration = Duration::from_mins(10);
/// How often it is looked whether somebody still waits.
const LOOK: Duration = Duration::from_secs(5);
/// Requests that it works at.
const MOST_PENDING: usize = 256;
/// Messages that it has not taken yet.
const UNREAD: usize = 64;
/// Of a message.
const LONGEST_LINE: usize = 16 * 1024 * 1024;
/// Of what it says beside.
const LONGEST_REMARK: usize = 1024;
/// Lines of it that go to the log, in one minute.
const MOST_REMARKS: u32 = 20;
/// To end by itself once its input is closed.
const FAREWELL: Duration = Duration::from_secs(1);
/// One that has run so long is started again at once.
const HAS_WORKED: Duration = Duration::from_secs(10);
/// What of the gateway's own environment it sees.
const SHOWN: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "TMPDIR"];

/// See the module.
pub(super) struct RunningProgram {
    spec: Arc<ProgramSpec>,
    child: Child,
    group: Option<Pid>,
    input: mpsc::Sender<Bytes>,
    output: OutputLines<ChildStdout>,
    pending: HashMap<u64, oneshot::Sender<Result<Value, ProgramFailure>>>,
    next: u64,
}

impl RunningProgram {
    /// Runs it for as long as somebody asks it; whether it has worked.
    pub(super) async fn run(
        spec: Arc<ProgramSpec>,
        mut requests: mpsc::Receiver<ProgramRequest>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> bool {
        let Some(first) = requests.recv().await else { return true };
        let began = Instant::now();
        let started = Self::start(&spec, &first.redactor);
        let result = if started.is_ok() { "started" } else { "failed" };
        metrics.engine.mcp_starts.with_label_values(&[&*spec.name, result]).inc();
        let mut running = match started {
            Ok(running) => running,
            Err(error) => {
                tracing::warn!(server = %spec.name, %error, "an MCP server cannot be started");
                let words = format!("the MCP server {} cannot be started", spec.name);
                refuse_all(&mut requests, first, &ProgramFailure::Gone(words));
                return false;
            }
        };
        let worked = tokio::select! {
            () = stop.cancelled() => true,
            why = running.serve(first, &mut requests) => match why {
                None => true,
                Some(why) => {
                    tracing::warn!(server = %spec.name, why, "an MCP server ended");
                    began.elapsed() > HAS_WORKED
                }
            },
        };
        // Those that wait hear of it at once.
        running.pending.drain().for_each(|(_, answer)| _ = answer.send(Err(ended(&spec))));
        requests.close();
        while let Ok(request) = requests.try_recv() {
            let _ = request.answer.send(Err(ended(&spec)));
        }
        running.end().await;
        worked
    }

    fn start(spec: &Arc<ProgramSpec>, redactor: &Arc<Redactor>) -> io::Result<Self> {
        let mut command = Command::new(&spec.command);
        for arg in &spec.args {
            command.arg(arg.expose());
        }
        // The gateway's own secrets stand in its environment.
        command.env_clear();
        command.envs(SHOWN.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.envs(spec.env.iter().map(|(name, value)| (name, value.expose())));
        // What it starts itself ends with it, and a signal from a terminal is not for it.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let missing = || io::Error::other("it has no pipes");
        let (input, output) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        if let Some(remarks) = child.stderr.take() {
            tokio::task::spawn_local(log(remarks, Arc::clone(spec), Arc::clone(redactor)));
        }
        let (sender, messages) = mpsc::channel(UNREAD);
        tokio::task::spawn_local(write(input, messages));
        tracing::info!(server = %spec.name, "an MCP server was started");
        let output = OutputLines::new(output, LONGEST_LINE);
        Ok(Self { spec: Arc::clone(spec), child, group, input: sender, output, pending: HashMap::new(), next: 0 })
    }

    /// Why it ended; `None`: nobody asks it any more.
    async fn serve(&mut self, first: ProgramRequest, requests: &mut mpsc::Receiver<ProgramRequest>) -> Option<String> {
        let greeted = tokio::time::timeout(PATIENCE, self.greet()).await;
        if let Err(why) = greeted.unwrap_or_else(|_| Err("it does not answer the greeting".to_owned())) {
            refuse_all(requests, first, &ended(&self.spec));
            return Some(why);
        }
        let mut last_asked = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        if !self.ask(first) {
            return Some("it takes no messages".to_owned());
        }
        loop {
            tokio::select! {
                request = requests.recv(), if self.pending.len() < MOST_PENDING => {
                    last_asked = Instant::now();
                    if !self.ask(request?) {
                        return Some("it takes no messages".to_owned());
                    }
                }
                line = self.output.next() => {
                    let Some(line) = line else { return Some("it closed its output".to_owned()) };
                    if line.len() > LONGEST_LINE {
                        return Some("its answer is too long".to_owned());
                    }
                    self.hear(&line);
                }
                // What it started may hold its output open.
                ended = self.child.wait() => return Some(how(ended)),
                _ = look.tick() => {
                    self.forget_left();
                    if self.pending.is_empty() && last_asked.elapsed() > IDLE {
                        return None;
                    }
                }
            }
        }
    }

    async fn greet(&mut self) -> Result<(), String> {
        let id = self.next;
        self.next += 1;
        self.say(&message::request(id, INITIALIZE, &greeting()));
        loop {
            let line = tokio::select! {
                biased;
                line = self.output.next() => line.ok_or("it closed its output before it was greeted")?,
                ended = self.child.wait() => return Err(how(ended)),
            };
            for message in ServerMessage::read(&line) {
                match message {
                    ServerMessage::Answer { id: answered, result } if answered == id => {
                        agreed(&result?).map_err(|_| "it speaks no version of the protocol that is known")?;
                        self.say(&message::notification(INITIALIZED));
                        return Ok(());
                    }
                    ServerMessage::Asks(reply) => _ = self.say(&reply),
                    _ => {}
                }
            }
        }
    }

    /// Whether it takes the message.
    fn say(&self, message: &Value) -> bool {
        self.input.try_send((message.to_string() + "\n").into()).is_ok()
    }

    /// Whether it takes the request.
    fn ask(&mut self, request: ProgramRequest) -> bool {
        let id = self.next;
        self.next += 1;
        let ProgramRequest { method, params, answer, .. } = request;
        self.pending.insert(id, answer);
        self.say(&message::request(id, method, &params))
    }

    fn hear(&mut self, line: &Bytes) {
        for message in ServerMessage::read(line) {
            match message {
                ServerMessage::Answer { id, result } => {
                    if let Some(answer) = self.pending.remove(&id) {
                        let _ = answer.send(result.map_err(ProgramFailure::Said));
                    }
                }
                ServerMessage::Asks(reply) => _ = self.say(&reply),
                ServerMessage::Other => {}
            }
        }
    }

    /// Lets go of requests for which nobody waits.
    fn forget_left(&mut self) {
        let left: Vec<u64> = self.pending.iter().filter(|(_, answer)| answer.is_closed()).map(|(id, _)| *id).collect();
        for id in left {
            self.pending.remove(&id);
            self.say(&message::cancelled(id));
        }
    }

    /// Its input is closed, which asks it to end; then it is killed, with what it started.
    async fn end(self) {
        let Self { spec, mut child, group, input, output, .. } = self;
        drop((input, output));
        let waited = tokio::time::timeout(FAREWELL, child.wait()).await;
        if let Some(group) = group {
            // Of a group that is empty there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if waited.is_err() && child.wait().await.is_err() {
            tracing::warn!(server = %spec.name, "an MCP server could not be waited for");
        }
    }
}

fn how(ended: io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn refuse_all(requests: &mut mpsc::Receiver<ProgramRequest>, first: ProgramRequest, why: &ProgramFailure) {
    requests.close();
    let _ = first.answer.send(Err(why.clone()));
    while let Ok(request) = requests.try_recv() {
        let _ = request.answer.send(Err(why.clone()));
    }
}

/// Messages to the program, until nobody has any.
async fn write(mut input: ChildStdin, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(message) = messages.recv().await {
        if input.write_all(&message).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

/// What it says beside, into the log.
async fn log(remarks: ChildStderr, spec: Arc<ProgramSpec>, redactor: Arc<Redactor>) {
    let mut lines = OutputLines::new(remarks, LONGEST_REMARK);
    let (mut since, mut told) = (Instant::now(), 0);
    while let Some(line) = lines.next().await {
        if since.elapsed() > Duration::from_mins(1) {
            (since, told) = (Instant::now(), 0);
        }
        told += 1;
        let text = String::from_utf8_lossy(&line);
        if told <= MOST_REMARKS && !text.trim().is_empty() {
            let remark = spec.without_secrets(text.trim());
            let remark = redactor.sentence(&remark);
            tracing::info!(server = %spec.name, %remark, "an MCP server says");
        } else if told == MOST_REMARKS + 1 {
            tracing::info!(server = %spec.name, "an MCP server says more than is logged");
        }
    }
}
