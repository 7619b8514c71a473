//! One prediction under way: the request, what its nodes may use, and where its events go.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Histogram;
use serde_json::Value;

use super::budget::{Budget, bytes_of, bytes_of_messages};
use super::failure::Failure;
use super::part::{Tool, ToolResult};
use super::request::Request;
use super::watch::Watch;
use crate::client::Client;
use crate::engine::agentflow::Executions;
use crate::engine::memory::Store;
use crate::engine::models::{Answered, Ask, ChatModel};
use crate::engine::text::mustache::Names;
use crate::engine::threads::link::MOST_UNREAD;
use crate::predict::events::push_record;
use crate::predict::report::ModelReport;
use crate::telemetry::calls::Calls;
use crate::telemetry::metrics::Metrics;
use crate::wire::hop;

/// How long a run may compute before the others of its thread have their turn.
const TURN: Duration = Duration::from_micros(500);

/// What nodes may use.
pub(crate) struct Services {
    /// This thread's connections.
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) memory: Arc<dyn Store>,
    pub(crate) executions: Arc<Executions>,
    /// Since when the run computes that has its turn, where runs take turns.
    turn: Cell<Option<Instant>>,
}

impl Services {
    pub(crate) fn new(metrics: Arc<Metrics>, memory: Arc<dyn Store>, executions: Arc<Executions>) -> Self {
        let client = Client::new(hop::passes_downstream);
        Self { client, calls: Calls::new(&metrics), metrics, memory, executions, turn: Cell::default() }
    }

    /// Does a run's work, and notes when its turns begin.
    pub(crate) async fn in_turns<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|cx| {
            self.turn.set(Some(Instant::now()));
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// See the module.
pub(crate) struct Run<'a> {
    pub(crate) services: &'a Services,
    /// Flowise's id of the chatflow, or its public name if it has none; its chats are kept under it.
    pub(crate) flow: &'a str,
    pub(crate) request: &'a Request,
    pub(crate) sink: &'a Sink,
    pub(crate) watch: &'a Watch,
    /// What names stand for, where a node of an agentflow is run; `None`: what they stand for everywhere.
    pub(crate) names: Option<&'a dyn Names>,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("flow", &self.flow).finish_non_exhaustive()
    }
}

impl Run<'_> {
    /// Lets others of this thread go on, if this run has computed for a while, and waits for a reader that is behind. To
    /// be called between any two steps.
    pub(crate) async fn give_way(&self) {
        let is_over = self.services.turn.get().is_some_and(|since| since.elapsed() >= TURN);
        if is_over || self.sink.is_full() {
            tokio::task::yield_now().await;
        }
    }

    /// Asks a model; every call of a model comes through here. The end of the chat cancels it.
    pub(crate) async fn ask(&self, model: &dyn ChatModel, ask: Ask<'_>) -> Result<Answered, Failure> {
        self.give_way().await;
        self.budget().model_call()?;
        self.budget().has_room(bytes_of_messages(ask.messages))?;
        let asking = self.watch.asking(model.name());
        let outcome = tokio::select! {
            biased;
            () = self.watch.abort.cancelled() => Err(Failure::Aborted),
            outcome = model.chat(ask, self) => outcome,
        };
        asking.ended(&outcome);
        let answered = outcome?;
        let calls: usize = answered.calls.iter().map(|call| call.name.len() + bytes_of(&call.arguments)).sum();
        self.budget().hold(answered.text.len() + answered.thinking.len() + calls)?;
        Ok(answered)
    }

    /// Calls a tool; every call of a tool comes through here.
    pub(crate) async fn call(&self, tool: &dyn Tool, arguments: &Value) -> Result<ToolResult, Failure> {
        self.budget().tool_call()?;
        let result = tool.call(arguments, self).await?;
        let sources: usize = result.sources.iter().map(|source| source.text.len()).sum();
        self.budget().hold(result.text.len() + sources)?;
        Ok(result)
    }

    /// What it may take, with everything that runs for it.
    pub(crate) fn budget(&self) -> &Budget {
        &self.watch.budget
    }

    /// What is told of a failure, to clients and models.
    pub(crate) fn told(&self, failure: &Failure) -> String {
        failure.told(&self.watch.redactor).into_string()
    }

    /// An answer that no model gave, in words as a stream tells them.
    pub(crate) fn tell_whole(&self, text: &str, is_last: bool) {
        if is_last {
            for word in split_keeping_spaces(text) {
                // The first is told twice, as Flowise does.
                self.sink.start(&word.into());
                self.sink.token(word);
            }
        }
    }
}

/// Words and the spaces between them, each by itself.
fn split_keeping_spaces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_space = rest.chars().next()?.is_whitespace();
        let end = rest.find(|letter: char| letter.is_whitespace() != is_space).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// Where events go; nowhere for an answer in one piece.
#[derive(Default)]
pub(crate) struct Sink {
    streams: bool,
    /// Until the first token: since when it is waited for, and where that is noted.
    first_token: Cell<Option<(Instant, Histogram, Arc<ModelReport>)>>,
    has_started: Cell<bool>,
    starts_with_first_token: Cell<bool>,
    /// While the model thinks: since when.
    thinks: Cell<Option<Instant>>,
    queue: RefCell<String>,
    /// Records so far.
    pub(crate) events: Cell<u64>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn new(streams: bool) -> Self {
        Self { streams, ..Self::default() }
    }

    /// Of a stream, and notes the time from now to the first token.
    pub(crate) fn timed(first_token: Histogram, report: &Arc<ModelReport>) -> Self {
        let waits = (Instant::now(), first_token, Arc::clone(report));
        Self { first_token: Cell::new(Some(waits)), ..Self::new(true) }
    }

    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    /// A piece of the answer; the first is preceded by a `start` that has it as well, as in Flowise.
    pub(crate) fn token(&self, text: &str) {
        self.start(&Value::from(text));
        self.bare_token(text);
    }

    /// The model has begun to answer, if only with nothing: so do the vendors whose first piece is empty.
    pub(crate) fn begin(&self) {
        if !self.starts_with_first_token.get() {
            self.start(&Value::from(""));
        }
    }

    /// Once; `data` is the first piece, or nothing.
    pub(crate) fn start(&self, data: &Value) {
        if !self.has_started.replace(true) {
            self.event("start", data);
        }
    }

    /// An empty first piece is passed over, as some chains of Flowise do.
    pub(crate) fn start_with_first_token(&self) {
        self.starts_with_first_token.set(true);
    }

    /// A piece of what the model thinks.
    pub(crate) fn thought(&self, text: &str) {
        self.thinks.set(self.thinks.get().or_else(|| Some(Instant::now())));
        self.event("thinking", &text.into());
    }

    /// A token of a flow that has no `start`.
    pub(crate) fn bare_token(&self, text: &str) {
        if let Some(since) = self.thinks.get().filter(|_| !text.is_empty()) {
            self.thinks.set(None);
            // The end of it, with the seconds that it took.
            let seconds = (since.elapsed().as_millis() + 500) / 1000;
            self.tell(&format!("message:\ndata:{{\"event\":\"thinking\",\"data\":\"\",\"duration\":{seconds}}}\n\n"));
        }
        if !text.is_empty()
            && self.streams
            && let Some((begun, histogram, report)) = self.first_token.take()
        {
            let waited = begun.elapsed();
            histogram.observe(waited.as_secs_f64());
            let _ = report.first_token.set(waited);
        }
        self.event("token", &text.into());
    }

    pub(crate) fn event(&self, name: &str, data: &Value) {
        if self.streams {
            push_record(&mut self.queue.borrow_mut(), name, data);
            self.events.set(self.events.get() + 1);
        }
    }

    /// Puts a record into the stream, if there is one.
    fn tell(&self, record: &str) {
        if self.streams {
            self.queue.borrow_mut().push_str(record);
            self.events.set(self.events.get() + 1);
        }
    }

    /// Whether more should not be told before that is read.
    fn is_full(&self) -> bool {
        self.queue.borrow().len() >= MOST_UNREAD
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.queue.borrow_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_ends_with_the_time_that_it_took() {
        let sink = Sink::new(true);
        for thought in ["Hm", "well"] {
            sink.thought(thought);
        }
        // Some vendors send an empty piece beside each thought.
        sink.bare_token("");
        sink.bare_token("So");
        sink.bare_token("!");
        let told = sink.take();
        let events: Vec<&str> =
            told.split_terminator("\n\n").map(|record| &record["message:\ndata:".len()..]).collect();
        assert_eq!(
            events[1..],
            [
                r#"{"event":"thinking","data":"well"}"#,
                r#"{"event":"token","data":""}"#,
                r#"{"event":"thinking","data":"","duration":0}"#,
                r#"{"event":"token","data":"So"}"#,
                r#"{"event":"token","data":"!"}"#,
            ]
        );
        assert_eq!(sink.events.get(), 6);
    }

    #[test]
    fn spaces_are_tokens_too() {
        assert_eq!(split_keeping_spaces("a  b\nc").collect::<Vec<_>>(), ["a", "  ", "b", "\n", "c"]);
        assert_eq!(split_keeping_spaces("").count(), 0);
    }
}
