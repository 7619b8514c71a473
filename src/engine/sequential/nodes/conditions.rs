//! The nodes `seqCondition` and `seqConditionAgent`, which decide where a flow goes on.

use std::sync::Arc;

use serde_json::Value;

use super::{AgentContext, NodeName};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::sequential::changes::selected_tab;
use crate::engine::sequential::code::AgentCode;
use crate::engine::sequential::conditions::{self, ConditionRow};
use crate::engine::sequential::message::AgentMessage;
use crate::engine::sequential::prompt::{AgentPrompt, HistorySelection, restructured, whole};
use crate::engine::sequential::structured;
use crate::engine::sequential::visit::{BranchDecision, Visit};

/// In Flowise's words.
const MISSING: &str = "Condition Agent input variables values are not provided!";

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltCondition {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) decision: Box<dyn BranchDecision>,
    pub(in crate::engine::sequential) unready: Option<String>,
}

pub(in crate::engine::sequential) fn build(inputs: &mut Inputs<'_, '_, '_>) -> Option<BuiltCondition> {
    let name = named(inputs, "conditionName", "Condition");
    let rule = RoutingRule::read(inputs)?;
    Some(BuiltCondition { name, decision: Box::new(SeqCondition { rule }), unready: None })
}

pub(in crate::engine::sequential) fn build_agent(
    inputs: &mut Inputs<'_, '_, '_>,
    context: &AgentContext<'_>,
) -> Option<BuiltCondition> {
    let name = named(inputs, "conditionAgentName", "ConditionAgent");
    let model = context.model(inputs);
    let prompt = AgentPrompt::read(inputs, context.is_agent);
    let selection = HistorySelection::read(inputs);
    let schema = structured::read(inputs, "conditionAgentStructuredOutput");
    let rule = RoutingRule::read(inputs);
    let unready = (!prompt.missing().is_empty()).then(|| MISSING.to_owned());
    let decision = SeqConditionAgent { model: model?, prompt, selection, schema, rule: rule? };
    Some(BuiltCondition { name, decision: Box::new(decision), unready })
}

/// One that its author gave no name is called by its kind.
fn named(inputs: &mut Inputs<'_, '_, '_>, input: &str, kind: &str) -> NodeName {
    let label = inputs.text(input).unwrap_or_else(|| kind.to_owned());
    NodeName::of(&inputs.node.id, label)
}

/// What says which output it is.
#[derive(Debug)]
enum RoutingRule {
    Table(Vec<ConditionRow>),
    Code(AgentCode),
}

impl RoutingRule {
    fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let tab = selected_tab(inputs, "selectedConditionFunctionTab", "conditionUI");
        inputs.ignore(&["condition"]);
        if tab == "conditionFunction" {
            inputs.ignore(&["conditionUI"]);
            if inputs.has("conditionFunction") {
                return AgentCode::read(inputs, "conditionFunction").map(Self::Code);
            }
        }
        inputs.ignore(&["conditionFunction"]);
        let Some(table) = inputs.json("conditionUI") else { return Some(Self::Table(Vec::new())) };
        conditions::read(&table).map_err(|problem| inputs.refuse("conditionUI", problem)).ok().map(Self::Table)
    }

    async fn decide(&self, visit: &Visit<'_>, output: Option<&Value>) -> Result<String, Failure> {
        match self {
            Self::Table(table) => Ok(conditions::decide(table, visit, output)),
            Self::Code(code) => code.text(visit, output, "Condition function must return a string").await,
        }
    }
}

#[derive(Debug)]
struct SeqCondition {
    rule: RoutingRule,
}

impl BranchDecision for SeqCondition {
    fn decide<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, String> {
        Box::pin(self.rule.decide(visit, None))
    }
}

#[derive(Debug)]
struct SeqConditionAgent {
    model: Arc<dyn ChatModel>,
    prompt: AgentPrompt,
    selection: HistorySelection,
    schema: Option<Value>,
    rule: RoutingRule,
}

impl BranchDecision for SeqConditionAgent {
    fn decide<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, String> {
        Box::pin(async move {
            let (system, human) = self.prompt.around(visit).await?;
            let state = self.selection.of(visit);
            let visit = visit.with_state(&state);
            let messages = whole(system, Vec::new(), Vec::new(), restructured(&state, &*self.model), human);
            let output = if let Some(schema) = &self.schema {
                structured::ask(&*self.model, &messages, schema, &visit).await?
            } else {
                let answered = visit.run.ask(&*self.model, ModelRequest::of(&messages)).await?;
                AgentMessage::answered(answered).view()
            };
            self.rule.decide(&visit, Some(&output)).await
        })
    }
}
