//! Variables of one prediction, which way it goes, and code.

mod branch;
mod function;
pub(super) mod given;

use std::sync::Arc;

use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::names::OfSettings;
use crate::engine::contract::node::ValueSource;
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::JsonTemplate;

pub(super) const KINDS: &[&dyn NodeKind] =
    &[&SetVariable, &GetVariable, &branch::IfElseFunction, &function::CustomFunction];

/// The node `setVariable`.
struct SetVariable;

impl NodeKind for SetVariable {
    fn names(&self) -> &'static [&'static str] {
        &["setVariable"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.required_text("variableName");
        inputs.ignore(&["showOutput"]);
        inputs.fills(&["input"]);
        let value = inputs.template("input");
        let ids = if value.as_ref().is_some_and(|value| value.fixed().is_some()) {
            Vec::new()
        } else {
            inputs.references("input")
        };
        if ids.is_empty() {
            let value = value.unwrap_or(JsonTemplate::Fixed(Value::Null));
            return Some(Part::Value(Arc::new(Variable { sources: Vec::new(), value })));
        }
        let mut sources = Vec::new();
        for id in ids {
            match inputs.part_of(&id)? {
                Part::Value(source) => sources.push((id, source)),
                _ => inputs.refuse("input", format!("expected {id} to give a value, such as an Output Prediction")),
            }
        }
        Some(Part::Value(Arc::new(Variable { sources, value: JsonTemplate::Fixed(Value::Null) })))
    }
}

#[derive(Debug)]
struct Variable {
    /// Other nodes, whose values it takes.
    sources: Vec<(String, Arc<dyn ValueSource>)>,
    /// Where there are none.
    value: JsonTemplate,
}

impl ValueSource for Variable {
    fn is_told_as_json(&self) -> bool {
        self.sources.iter().any(|(_, source)| source.is_told_as_json())
    }

    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            let mut values = Vec::with_capacity(self.sources.len());
            for (id, source) in &self.sources {
                values.push(run.outcome(id, &**source, question).await?);
            }
            Ok(match values.len() {
                0 => self.value.value(&OfSettings(run)).map_err(Failure::flow)?,
                1 => values.pop().unwrap_or_default(),
                _ => values.into(),
            })
        })
    }
}

/// The node `getVariable`.
struct GetVariable;

impl NodeKind for GetVariable {
    fn names(&self) -> &'static [&'static str] {
        &["getVariable"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("variableName")?;
        let sets = |node: &&crate::engine::compile::export::ExportNode| {
            node.data.name == "setVariable"
                && node.data.inputs.get("variableName").and_then(Value::as_str) == Some(&*name)
        };
        let mut setting = inputs.compiler.export.nodes.iter().filter(sets);
        match (setting.next(), setting.next()) {
            (Some(only), None) => {
                let source = inputs.part_of(&only.id)?.into_value()?;
                Some(Part::Value(Arc::new(Gotten { id: only.id.clone(), source })))
            }
            (None, _) => {
                inputs.refuse("variableName", format!("no Set Variable node sets {name}"));
                None
            }
            (Some(_), Some(_)) => {
                inputs.refuse("variableName", format!("more than one Set Variable node sets {name}"));
                None
            }
        }
    }
}

/// What another node has set.
#[derive(Debug)]
struct Gotten {
    id: String,
    source: Arc<dyn ValueSource>,
}

impl ValueSource for Gotten {
    fn is_told_as_json(&self) -> bool {
        self.source.is_told_as_json()
    }

    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(run.outcome(&self.id, &*self.source, question))
    }
}

#[cfg(test)]
mod tests;
