//! Answers of a form that the flow's author describes.

use serde_json::Value;

use super::visit::Visit;
use crate::engine::compile::form;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::wire::json::read_str;

/// The form of an input; `None`: there is none.
pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Value> {
    let fields = inputs.json(name)?;
    let fields = fields.as_array().filter(|fields| !fields.is_empty())?;
    Some(form::schema(fields))
}

/// Asks a model for an answer of that form.
pub(super) async fn ask(
    model: &dyn ChatModel,
    messages: &[Message],
    schema: &Value,
    visit: &Visit<'_>,
) -> Result<Value, Failure> {
    let ask = ModelRequest { schema: Some((form::NAME, schema)), ..ModelRequest::of(messages) };
    let answered = visit.run.ask(model, ask).await?;
    let read = read_str::<Value>(&answered.text).ok().and_then(|value| form::fields(schema, &value));
    read.map(Value::Object).ok_or_else(|| Failure::flow(format!("Failed to parse. Text: \"{}\"", answered.text)))
}
