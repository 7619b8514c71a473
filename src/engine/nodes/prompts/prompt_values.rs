//! The values that a flow's author gives a prompt, read from an input.

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::prompt_values::{PromptValues, referred};
use crate::engine::text::mustache::JsonTemplate;

/// A JSON object in an input.
pub(in crate::engine::nodes) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> PromptValues {
    inputs.fills(&[name]);
    let values = match inputs.json_template(name).map(JsonTemplate::into_fields) {
        None => return PromptValues::default(),
        Some(Some(values)) => values,
        Some(None) => {
            inputs.refuse(name, "expected a JSON object");
            return PromptValues::default();
        }
    };
    let mut sources = Vec::new();
    // What refers to a node that is gone stays as it is.
    let export = inputs.compiler.export;
    for id in referred(&values).into_iter().filter(|id| export.node(id).is_some()) {
        match inputs.part_of(&id) {
            Some(Part::Value(source)) => sources.push((id, source)),
            Some(_) => inputs.refuse(name, format!("expected {id} to give a value, such as an Output Prediction")),
            None => {}
        }
    }
    PromptValues::new(values, sources)
}
