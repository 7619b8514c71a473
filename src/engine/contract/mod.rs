//! What nodes, models and memory know of each other, and everything above knows of them: traits, plain data, and the run
//! that they work for.

pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod failure;
pub(crate) mod flows;
pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod outcomes;
pub(crate) mod prompt;
pub(crate) mod prompt_values;
pub(crate) mod records;
pub(crate) mod request;
pub(crate) mod run;
pub(crate) mod servers;
pub(crate) mod sink;
mod spans;
pub(crate) mod tokens;
pub(crate) mod toolset;
pub(crate) mod watch;

use std::pin::Pin;

/// Work of a node. A run stays on its thread, so nothing need be sent between threads.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = Result<T, failure::Failure>> + 'a>>;
