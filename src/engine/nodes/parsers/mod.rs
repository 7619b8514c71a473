//! Output parsers: what a model is told about the form of its answer, and what is made of that answer.

#[cfg(test)]
mod fuzz;
mod lists;
pub(super) mod repair;
pub(super) mod schema;
mod structured;
pub(super) mod zod;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &lists::CsvOutputParser,
    &lists::CustomListOutputParser,
    &structured::StructuredOutputParser,
    &structured::AdvancedStructuredOutputParser,
];

/// Whether the model is asked once more about an answer that cannot be parsed.
fn mends(inputs: &mut Inputs<'_, '_, '_>) -> bool {
    inputs.flag("autofixParser").unwrap_or(false)
}
