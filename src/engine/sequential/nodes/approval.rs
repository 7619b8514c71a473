//! How a user is asked before tools are called.

use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::text::template::Template;

const PROMPT: &str = "You are about to execute tool: {tools}. Ask if user want to proceed";
const OTHERWISE: &str = "Do you want to proceed?";

/// See the module.
#[derive(Debug)]
pub(in crate::engine::sequential) struct Approval {
    prompt: Template,
    pub(in crate::engine::sequential) approve: String,
    pub(in crate::engine::sequential) reject: String,
}

impl Approval {
    /// `None`: nobody is asked.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let asks = inputs.flag("interrupt").unwrap_or(false);
        if !asks {
            inputs.ignore(&["approvalPrompt", "approveButtonText", "rejectButtonText"]);
            return None;
        }
        let prompt = inputs.text("approvalPrompt").unwrap_or_else(|| PROMPT.to_owned());
        let prompt = inputs.prompt("approvalPrompt", &prompt)?;
        let approve = inputs.text("approveButtonText").unwrap_or_else(|| "Yes".to_owned());
        let reject = inputs.text("rejectButtonText").unwrap_or_else(|| "No".to_owned());
        Some(Self { prompt, approve, reject })
    }

    /// The question, in a model's words.
    pub(in crate::engine::sequential) async fn question(
        &self,
        model: &dyn ChatModel,
        used: &[Value],
        run: &Run<'_>,
    ) -> Result<String, Failure> {
        // What else stands in braces is left as it is.
        let mut values: Map<String, Value> =
            self.prompt.names().map(|name| (name.to_owned(), format!("{{{name}}}").into())).collect();
        values.insert("tools".to_owned(), Value::from(used).to_string().into());
        values.insert("input".to_owned(), "Hello there!".into());
        let prompt = self.prompt.render_for(&values, run).map_err(Failure::flow)?;
        let answered = run.ask(model, ModelRequest::of(&[Message::user(prompt)])).await?;
        Ok(if answered.text.is_empty() { OTHERWISE.to_owned() } else { answered.text })
    }
}

/// Calls that nobody has made yet, as used tools are shown.
pub(in crate::engine::sequential) fn wanted(calls: &[ToolCall]) -> Vec<Value> {
    let used = |call: &ToolCall| json!({ "tool": call.name, "toolInput": call.arguments, "toolOutput": "" });
    calls.iter().map(used).collect()
}
