//! If-else: which way a prediction goes, by code.

use std::sync::Arc;

use serde_json::{Value, json};

use super::given::{flow, given};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::ValueSource;
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::contract::run::Run;
use crate::engine::scripts::{Script, ScriptValues};
use crate::engine::text::size::bytes_of;

/// The node `ifElseFunction`.
pub(super) struct IfElseFunction;

impl NodeKind for IfElseFunction {
    fn names(&self) -> &'static [&'static str] {
        &["ifElseFunction"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = given(inputs);
        inputs.ignore(&["functionName"]);
        let mut code = |name: &str| {
            let code = inputs.text(name).unwrap_or_default();
            Script::of(code, name, inputs)
        };
        let (then, otherwise) = (code("ifFunction"), code("elseFunction"));
        let id = format!("{} decides", inputs.node.id);
        Some(Part::Value(Arc::new(Branch { id, given, then: then?, otherwise: otherwise? })))
    }
}

#[derive(Debug)]
struct Branch {
    /// Under which its decision is kept: its code runs once.
    id: String,
    given: PromptValues,
    then: Script,
    otherwise: Script,
}

impl Branch {
    /// The way, and what its code returns.
    async fn taken(&self, question: &str, run: &Run<'_>) -> Result<(bool, Value), Failure> {
        if let Some(Value::Array(kept)) = run.request.outcomes.get(&self.id) {
            let mut kept = kept.into_iter();
            return Ok((kept.next() == Some(true.into()), kept.next().unwrap_or_default()));
        }
        run.budget().step()?;
        let (way, value) = self.decided(question, run).await?;
        run.budget().hold(bytes_of(&value))?;
        run.request.outcomes.put(&self.id, json!([way, value]));
        Ok((way, value))
    }

    async fn decided(&self, question: &str, run: &Run<'_>) -> Result<(bool, Value), Failure> {
        let named = self.given.fill(question, run).await?;
        let named: Vec<_> = named.into_iter().map(|(name, value)| (format!("${name}"), value)).collect();
        let values =
            || ScriptValues { input: question.into(), flow: flow(question, run), named: named.clone(), tools: &[] };
        let failed = |failure: Failure| failure.within("Error");
        let then = self.then.run(values(), run).await.map_err(failed)?;
        if then.is_truthy() {
            return Ok((true, then.into_value()));
        }
        let otherwise = self.otherwise.run(values(), run).await.map_err(failed)?;
        Ok((false, otherwise.into_value()))
    }
}

impl ValueSource for Branch {
    fn is_told_as_json(&self) -> bool {
        true
    }

    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move { Ok(self.taken(question, run).await?.1) })
    }

    fn decides<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, bool> {
        Box::pin(async move { Ok(self.taken(question, run).await?.0) })
    }
}
