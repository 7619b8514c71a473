//! One prediction under way: the request, what its nodes may use, and where its events go.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::budget::{Budget, bytes_of_messages};
use super::failure::Failure;
use super::memory::Store;
use super::model::{ChatModel, ModelAnswer, ModelRequest};
use super::node::{Tool, ToolResult, ValueSource};
use super::request::RunRequest;
use super::servers::ToolServers;
use super::sink::Sink;
use super::spans::{ModelSpan, ToolSpan};
use super::tokens::GrantedTokens;
use super::watch::RunWatch;
use crate::client::Client;
use crate::engine::sandbox::Sandbox;
use crate::engine::text::mustache::Names;
use crate::engine::text::size::bytes_of;
use crate::telemetry::calls::CallMetrics;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::TraceScope;
use crate::wire::hop;

/// How long a run may compute before the others of its thread have their turn.
const TURN: Duration = Duration::from_micros(500);

/// What nodes may use.
pub(crate) struct Services {
    /// This thread's connections.
    pub(crate) client: Client,
    pub(crate) calls: CallMetrics,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) memory: Arc<dyn Store>,
    /// Where scripts run.
    pub(crate) sandbox: Sandbox,
    /// Servers of tools.
    pub(crate) servers: Arc<dyn ToolServers>,
    /// What services were accessed with.
    pub(crate) tokens: Arc<GrantedTokens>,
    /// Since when the run computes that has its turn, where runs take turns.
    turn: Cell<Option<Instant>>,
}

impl Services {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        memory: Arc<dyn Store>,
        sandbox: Sandbox,
        servers: Arc<dyn ToolServers>,
        tokens: Arc<GrantedTokens>,
    ) -> Self {
        let client = Client::new(hop::passes_downstream);
        let (calls, turn) = (CallMetrics::new(&metrics), Cell::default());
        Self { client, calls, metrics, memory, sandbox, servers, tokens, turn }
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
    pub(crate) request: &'a RunRequest,
    pub(crate) sink: &'a Sink,
    pub(crate) watch: &'a RunWatch,
    /// What is done belongs to that span; `None`: there are no traces.
    pub(crate) trace: Option<&'a TraceScope>,
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
    pub(crate) async fn ask(&self, model: &dyn ChatModel, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        self.give_way().await;
        self.budget().model_call()?;
        self.budget().has_room(bytes_of_messages(ask.messages))?;
        let asking = self.watch.asking(model.name());
        let span = ModelSpan::open(self.trace, asking.known_model(), model.provider());
        let run = Run { trace: span.scope(self.trace), ..*self };
        let outcome = tokio::select! {
            biased;
            () = self.watch.abort.cancelled() => Err(Failure::Aborted),
            outcome = model.chat(ask, &run) => outcome,
        };
        span.end(&outcome);
        asking.ended(outcome.as_ref().map(|answered| answered.usage));
        let answered = outcome?;
        let calls: usize = answered.calls.iter().map(|call| call.name.len() + bytes_of(&call.arguments)).sum();
        self.budget().hold(answered.text.len() + answered.thinking.len() + calls)?;
        Ok(answered)
    }

    /// Calls a tool; every call of a tool comes through here.
    pub(crate) async fn call(&self, tool: &dyn Tool, arguments: &Value) -> Result<ToolResult, Failure> {
        self.budget().tool_call()?;
        let span = ToolSpan::open(self.trace, &tool.spec().name);
        let run = Run { trace: span.scope(self.trace), ..*self };
        let result = tool.call(arguments, &run).await;
        span.end(&result);
        let result = result?;
        let sources: usize = result.sources.iter().map(|source| source.text.len()).sum();
        self.budget().hold(result.text.len() + sources)?;
        Ok(result)
    }

    /// The value of a node, made at its first use.
    pub(crate) async fn outcome(&self, id: &str, source: &dyn ValueSource, question: &str) -> Result<Value, Failure> {
        if let Some(value) = self.request.outcomes.get(id) {
            return Ok(value);
        }
        self.budget().step()?;
        let value = source.value(question, self).await?;
        self.budget().hold(bytes_of(&value))?;
        self.request.outcomes.put(id, value.clone());
        Ok(value)
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
                self.sink.start(word);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_tokens_too() {
        assert_eq!(split_keeping_spaces("a  b\nc").collect::<Vec<_>>(), ["a", "  ", "b", "\n", "c"]);
        assert_eq!(split_keeping_spaces("").count(), 0);
    }
}
