//! The node `seqCustomFunction`: a program of the flow's author.

use serde_json::Value;

use super::{AgentContext, NodeName};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::scripts::Returned;
use crate::engine::sequential::code::AgentCode;
use crate::engine::sequential::given::AgentValues;
use crate::engine::sequential::message::AgentMessage;
use crate::engine::sequential::state::Update;
use crate::engine::sequential::visit::{AgentStep, Visit};

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltFunction {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: SeqFunction,
}

pub(in crate::engine::sequential) fn build(
    inputs: &mut Inputs<'_, '_, '_>,
    context: &AgentContext<'_>,
) -> Option<BuiltFunction> {
    let name = NodeName::read(inputs, "functionName");
    let given = AgentValues::read(inputs, "functionInputVariables", context.is_agent);
    let result = match inputs.text("returnValueAs").as_deref() {
        Some("stateObj") => FunctionResult::State,
        Some("humanMessage") => FunctionResult::Human,
        _ => FunctionResult::Model,
    };
    if !inputs.has("javascriptFunction") {
        inputs.lacks("javascriptFunction");
    }
    let code = AgentCode::read(inputs, "javascriptFunction");
    let (name, code) = (name?, code?);
    let step = SeqFunction { node: name.id.clone(), code, given, result };
    Some(BuiltFunction { name, step })
}

/// What its value is.
#[derive(Debug, Clone, Copy)]
enum FunctionResult {
    State,
    Human,
    Model,
}

#[derive(Debug)]
pub(in crate::engine::sequential) struct SeqFunction {
    node: String,
    code: AgentCode,
    given: AgentValues,
    result: FunctionResult,
}

impl AgentStep for SeqFunction {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let named = self.given.fill(visit).await?;
            let named = named.into_iter().map(|(name, value)| (format!("${name}"), value)).collect();
            let returned = self.code.run(visit, None, named).await?;
            let said = match (self.result, returned) {
                (FunctionResult::State, Returned::Value(Value::Object(fields))) => {
                    let values = fields.into_iter().filter(|(name, _)| name != "messages");
                    let values = values.map(|(name, value)| (name, Some(value))).collect();
                    return Ok(Update { values, messages: None });
                }
                (FunctionResult::State, _) => return Err(Failure::flow("Custom function must return an object!")),
                (_, Returned::Nothing) => return Err(Failure::flow("Custom function must return a string!")),
                (FunctionResult::Human, returned) => AgentMessage::human(returned.into_text(false)),
                (FunctionResult::Model, returned) => AgentMessage::model(returned.into_text(false)),
            };
            Ok(Update::saying(AgentMessage { node: Some(self.node.clone()), ..said }))
        })
    }
}
