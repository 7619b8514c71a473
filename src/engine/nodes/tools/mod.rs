//! Tools: what a model may call.

mod arguments;
mod arithmetic;
mod calculator;
mod clock;
#[cfg(test)]
mod fuzz;
mod openapi;
mod requests;

use crate::engine::compile::kind::NodeKind;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &calculator::Calculator,
    &clock::CurrentDateTime,
    &requests::GET,
    &requests::POST,
    &requests::PUT,
    &requests::DELETE,
    &openapi::OpenApiToolkit,
];

#[cfg(test)]
mod tests;
