//! Flows of the second generation, Agentflow V2: nodes run one after the other along the edges, on a state and a
//! history that they share.
//!
//! [`nodes`] knows every kind of node: a type that implements [`step::StepKind`], one file a family. [`mod@compile`] makes an
//! [`Agentflow`] of an export, [`walk`] runs it and tells clients of each step, and [`values`] is what `{{...}}` in its
//! texts stands for. [`executions`] keeps runs that wait for their user, as [`written`] writes them, and
//! [`shown`] says what clients see of it all.

mod answer;
mod changes;
mod compile;
mod executions;
mod flow;
#[cfg(test)]
mod fuzz;
mod graph;
mod html;
mod inputs;
mod knowledge;
mod markdown;
mod nodes;
mod pattern;
mod plain;
mod runtime;
mod shown;
mod step;
mod structured;
#[cfg(test)]
mod tests;
mod texts;
mod tools;
mod transcript;
mod values;
mod walk;
mod written;

pub(crate) use compile::{compile, loose};
pub(crate) use flow::Agentflow;
#[cfg(test)]
pub(crate) use nodes::names;
