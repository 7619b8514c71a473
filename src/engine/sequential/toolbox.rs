//! Tools of an agent, and a model at work with them.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::message::{AgentMessage, Speaker};
use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolCall, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Document, Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::Toolset;

/// Of the tools that a model asks for in one answer, so many are at work at once.
const AT_ONCE: usize = 64;
/// Calls of the model, where the author says nothing.
pub(super) const MOST_CALLS: u64 = 15;
const STOPPED: &str = "Agent stopped due to max iterations.";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Toolbox {
    tools: Toolset,
}

/// What came of an agent's work.
#[derive(Debug, Default)]
pub(super) struct AgentResult {
    pub(super) text: String,
    pub(super) used: Vec<Value>,
    pub(super) sources: Vec<Value>,
}

impl Toolbox {
    /// Of an input.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Self {
        let tools: Option<Toolset> = inputs.parts(name).into_iter().map(Part::into_tools).collect();
        if tools.is_none() {
            inputs.refuse(name, "expected tools");
        }
        Self::of(tools.unwrap_or_default())
    }

    pub(super) fn of(tools: Toolset) -> Self {
        Self { tools }
    }

    /// The names of its tools, as far as they are known before a run.
    pub(super) fn names(&self) -> Vec<String> {
        self.tools.names()
    }

    /// Those that it has in this run.
    async fn at_hand(&self, visit: &Visit<'_>) -> Result<Vec<Arc<dyn Tool>>, Failure> {
        self.tools.tools(&Run { names: Some(visit), ..*visit.run }).await
    }

    /// As a model is told of them.
    pub(super) async fn specs(&self, visit: &Visit<'_>) -> Result<Vec<ToolSpec>, Failure> {
        Ok(specs(&self.at_hand(visit).await?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// A model asks and calls tools until it has an answer. What the user says last stands behind the calls.
    pub(super) async fn work(
        &self,
        model: &dyn ChatModel,
        mut messages: Vec<Message>,
        human: Option<Message>,
        most: u64,
        visit: &Visit<'_>,
    ) -> Result<AgentResult, Failure> {
        let mut worked = AgentResult::default();
        let tools = self.at_hand(visit).await?;
        let (tools, specs) = (&tools, specs(&tools));
        for _ in 0..most {
            messages.extend(human.clone());
            let ask = ModelRequest { tools: &specs, ..ModelRequest::of(&messages) };
            let ModelAnswer { text, calls, .. } = visit.run.ask(model, ask).await?;
            messages.truncate(messages.len() - usize::from(human.is_some()));
            if calls.is_empty() {
                return Ok(AgentResult { text, ..worked });
            }
            visit.run.budget().has_tool_calls(calls.len())?;
            let calling = calls.iter().map(|call| async move {
                match tools.iter().find(|tool| tool.spec().name.eq_ignore_ascii_case(&call.name)) {
                    Some(tool) => Ok((Some(tool), called(&**tool, call, visit).await?)),
                    None => Ok((None, Err(format!("{} is not a valid tool, try another one.", call.name)))),
                }
            });
            let results: Vec<Result<_, Failure>> = stream::iter(calling).buffered(AT_ONCE).collect().await;
            messages.push(Message::calling(text, calls.clone()));
            let mut direct = None;
            for (call, result) in calls.iter().zip(results) {
                let (tool, result) = result?;
                let text = told(&result).to_owned();
                direct = tool.filter(|tool| tool.returns_directly()).map(|_| text.clone());
                messages.push(Message::tool(call, text));
                if let Some(tool) = tool {
                    worked.note(&tool.spec().name, &call.arguments, result);
                }
            }
            if let Some(text) = direct {
                return Ok(AgentResult { text, ..worked });
            }
        }
        Ok(AgentResult { text: STOPPED.to_owned(), ..worked })
    }

    /// Calls what a model asked for; each answer is a message.
    pub(super) async fn answers(
        &self,
        calls: &[ToolCall],
        node: &str,
        visit: &Visit<'_>,
    ) -> Result<Vec<AgentMessage>, Failure> {
        visit.run.budget().has_tool_calls(calls.len())?;
        let tools = self.at_hand(visit).await?;
        let tools = &tools;
        let calling = calls.iter().map(|call| async move {
            match tools.iter().find(|tool| tool.spec().name == call.name) {
                Some(tool) => called(&**tool, call, visit).await,
                None => Err(Failure::flow(format!("Tool {} not found.", call.name))),
            }
        });
        let results: Vec<Result<_, Failure>> = stream::iter(calling).buffered(AT_ONCE).collect().await;
        let answer = |(call, result): (&ToolCall, Result<Result<ToolResult, String>, Failure>)| {
            let result = result?;
            let content = told(&result).to_owned();
            let arguments =
                result.as_ref().map_or(&call.arguments, |result| result.called_with(&call.arguments)).clone();
            let mut worked = AgentResult::default();
            worked.note(&call.name, &call.arguments, result);
            Ok(AgentMessage {
                speaker: Speaker::Tool,
                answers: Some(call.id.clone()),
                used_tools: Some(worked.used),
                sources: Some(worked.sources),
                artifacts: Some(Vec::new()),
                arguments: Some(arguments),
                ..AgentMessage::human(content).by(&call.name, node)
            })
        };
        calls.iter().zip(results).map(answer).collect()
    }
}

fn specs(tools: &[Arc<dyn Tool>]) -> Vec<ToolSpec> {
    tools.iter().map(|tool| tool.spec().clone()).collect()
}

/// What a tool gives, or why it failed, which the model may make something of.
async fn called(tool: &dyn Tool, call: &ToolCall, visit: &Visit<'_>) -> Result<Result<ToolResult, String>, Failure> {
    let run = Run { names: Some(visit), ..*visit.run };
    match run.call(tool, &call.arguments).await {
        Ok(result) => Ok(Ok(result)),
        Err(failure) if failure.ends_run() => Err(failure),
        Err(failure) => Ok(Err(run.told(&failure))),
    }
}

/// As the model reads it.
fn told(result: &Result<ToolResult, String>) -> &str {
    match result {
        Ok(result) => &result.text,
        Err(error) => error,
    }
}

impl AgentResult {
    fn note(&mut self, name: &str, arguments: &Value, result: Result<ToolResult, String>) {
        match result {
            Ok(result) => {
                self.sources.extend(result.sources.iter().map(Document::to_json));
                let input = result.called_with(arguments);
                self.used.push(json!({ "tool": name, "toolInput": input, "toolOutput": result.text }));
            }
            Err(error) => {
                self.used.push(json!({ "tool": name, "toolInput": arguments, "toolOutput": "", "error": error }));
            }
        }
    }
}
