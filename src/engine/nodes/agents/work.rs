//! What agents have at hand, and what came of their work.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{ToolCall, ToolSpec};
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::node::{Document, Reply, ReplyContent, Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::Toolset;
use crate::predict::answer::EventName;
use crate::predict::chat_id;
use crate::wire::json::read_str;

/// Calls of the model, where the author says nothing.
const MOST_CALLS: u64 = 15;
pub(super) const STOPPED: &str = "Agent stopped due to max iterations.";

/// What every agent has.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) model: Arc<dyn ChatModel>,
    pub(super) tools: AgentTools,
    /// Calls of the model.
    pub(super) most: u64,
}

impl Agent {
    /// Of a node with the usual inputs.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let model = inputs.model("model");
        let tools = AgentTools::read(inputs);
        let most = inputs.integer("maxIterations").unwrap_or(MOST_CALLS);
        Some(Self { model: model?, tools, most })
    }
}

/// The tools of an agent's node.
#[derive(Debug)]
pub(super) struct AgentTools(Toolset);

/// Those that it may call in one run.
#[derive(Debug)]
pub(super) struct AvailableTools {
    tools: Vec<Arc<dyn Tool>>,
    pub(super) specs: Vec<ToolSpec>,
}

/// A tool that was called, if there is one of that name, and what it gave or why it failed.
pub(super) type CalledTool<'a> = (Option<&'a Arc<dyn Tool>>, Result<ToolResult, String>);

impl AgentTools {
    /// Those of a node's input.
    fn read(inputs: &mut Inputs<'_, '_, '_>) -> Self {
        let parts = inputs.parts("tools");
        let tools: Option<Toolset> = parts.into_iter().map(Part::into_tools).collect();
        if tools.is_none() {
            inputs.refuse("tools", "expected tools");
        }
        Self(tools.unwrap_or_default())
    }

    /// A server of tools may have to be asked for them.
    pub(super) async fn at_hand(&self, run: &Run<'_>) -> Result<AvailableTools, Failure> {
        let tools = self.0.tools(run).await?;
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        Ok(AvailableTools { tools, specs })
    }
}

impl AvailableTools {
    /// What a tool gives, or why it failed, which the model may make something of.
    pub(super) async fn called<'a>(
        &'a self,
        call: &ToolCall,
        steps: &Steps<'_>,
        run: &Run<'_>,
    ) -> Result<CalledTool<'a>, Failure> {
        steps.tell("agent_action", None, &[("action", action(call).to_string().into())]);
        let tool = self.tools.iter().find(|tool| tool.spec().name.eq_ignore_ascii_case(&call.name));
        let Some(tool) = tool else {
            return Ok((None, Err(format!("{} is not a valid tool, try another one.", call.name))));
        };
        let id = chat_id::random().unwrap_or_default();
        steps.tell(
            "tool_start",
            Some(&id),
            &[("name", call.name.as_str().into()), ("input", call.arguments.to_string().into())],
        );
        match run.call(&**tool, &call.arguments).await {
            Ok(result) => {
                steps.tell("tool_end", Some(&id), &[("output", result.text.as_str().into())]);
                Ok((Some(tool), Ok(result)))
            }
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) => {
                let error = run.told(&failure);
                steps.tell("tool_error", Some(&id), &[("error", error.as_str().into())]);
                Ok((Some(tool), Err(error)))
            }
        }
    }

    /// The same for an agent that writes what it wants in words. A text goes into the tool's one input; one that has
    /// others is given the object that the text is as JSON.
    pub(super) async fn called_in_words<'a>(
        &'a self,
        name: &str,
        input: &Value,
        run: &Run<'_>,
    ) -> Result<CalledTool<'a>, Failure> {
        let tool = self.tools.iter().find(|tool| tool.spec().name.eq_ignore_ascii_case(name));
        let takes_input = |tool: &&Arc<dyn Tool>| tool.spec().parameters.pointer("/properties/input").is_some();
        let arguments = match (input, tool) {
            (Value::Object(_), _) | (_, None) => input.clone(),
            (Value::String(text), Some(tool)) if !takes_input(&tool) => match read_str(text) {
                Ok(Value::Object(fields)) => Value::Object(fields),
                _ => return Ok((Some(tool), Err("Received tool input did not match expected schema".to_owned()))),
            },
            (Value::Null, _) => json!({}),
            (input, _) => json!({ "input": input }),
        };
        self.called(&ToolCall::new("", name, arguments), &Steps::silent(run), run).await
    }

    /// `name: description`, line by line or as wanted.
    pub(super) fn described(&self) -> Vec<String> {
        self.specs.iter().map(|spec| format!("{}: {}", spec.name, spec.description)).collect()
    }

    /// The name of one whose result is the answer.
    pub(super) fn direct(&self) -> Option<&str> {
        self.tools.iter().find(|tool| tool.returns_directly()).map(|tool| tool.spec().name.as_str())
    }

    pub(super) fn names(&self) -> String {
        self.specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// What came of the work so far.
#[derive(Debug, Default)]
pub(super) struct AgentProgress {
    used: Vec<Value>,
    sources: Vec<Value>,
}

/// As the model reads it.
pub(super) fn told(result: &Result<ToolResult, String>) -> &str {
    match result {
        Ok(result) => &result.text,
        Err(error) => error,
    }
}

impl AgentProgress {
    /// `input`: as the model wrote it.
    pub(super) fn note(&mut self, tool: &Arc<dyn Tool>, input: &Value, result: &Result<ToolResult, String>) {
        let output = result.as_ref().map(|result| result.text.as_str()).unwrap_or_default();
        let input = result.as_ref().map_or(input, |result| result.called_with(input));
        let mut used = json!({ "tool": tool.spec().name, "toolInput": input, "toolOutput": output });
        match (result, &mut used) {
            (Ok(result), _) => {
                self.sources.extend(result.sources.iter().map(Document::to_json));
            }
            (Err(error), Value::Object(used)) => {
                used.insert("error".to_owned(), error.as_str().into());
            }
            (Err(_), _) => {}
        }
        self.used.push(used);
    }

    /// The answer, with what it comes from.
    pub(super) fn reply(self, text: String) -> Reply {
        let mut fields = Map::new();
        for (name, values) in [("sourceDocuments", self.sources), ("usedTools", self.used)] {
            if !values.is_empty() {
                fields.insert(name.to_owned(), values.into());
            }
        }
        Reply { said: ReplyContent::Text(text), fields, ..Reply::default() }
    }
}

/// Tells a stream how the work goes on, if it wants to know.
pub(super) struct Steps<'a> {
    run: &'a Run<'a>,
    tells: bool,
    /// Of the agent's work as a whole.
    id: String,
}

impl<'a> Steps<'a> {
    pub(super) fn new(run: &'a Run<'a>, tells: bool) -> Self {
        let id = if tells { chat_id::random() } else { None };
        Self { run, tells, id: id.unwrap_or_default() }
    }

    fn silent(run: &'a Run<'a>) -> Self {
        Self::new(run, false)
    }

    /// `call`: the id of a tool's call, if it is one's.
    fn tell(&self, step: &str, call: Option<&str>, fields: &[(&str, Value)]) {
        if self.tells {
            let mut data = Map::from_iter([("step".to_owned(), step.into())]);
            data.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            data.insert("runId".to_owned(), call.unwrap_or(&self.id).into());
            data.insert("parentRunId".to_owned(), call.map_or(Value::Null, |_| self.id.as_str().into()));
            self.run.sink.event(EventName::AgentTrace, Value::Object(data));
        }
    }
}

/// A call as Flowise tells it, without what its library keeps of the model's message.
fn action(call: &ToolCall) -> Value {
    json!({
        "tool": call.name,
        "toolInput": call.arguments,
        "toolCallId": call.id,
        "log": format!("Invoking \"{}\" with {}\n", call.name, call.arguments),
    })
}
