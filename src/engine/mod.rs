//! The built-in engine: exported Flowise flows answered natively.
//!
//! [`export`] reads Flowise's files, [`compile`] makes a [`flow::Flow`] of typed parts of one ([`nodes`] knows every
//! kind of node, [`models`] every provider), and [`answer`] runs it for one prediction and speaks Flowise's protocol.
//! What cannot be run is refused when a flow is loaded, never ignored.

mod agentflow;
mod answer;
mod compile;
mod demo;
mod document_stores;
mod export;
mod face;
mod failure;
mod flow;
mod flows;
mod inputs;
mod inspect;
mod memory;
mod message;
mod models;
mod nodes;
mod outcomes;
mod part;
mod problem;
mod provider;
mod request;
mod run;
mod scanner;
mod template;
#[cfg(test)]
mod testing;
mod tokens;
mod variables;
mod watch;
mod ways;

pub(crate) use agentflow::Executions;
pub(crate) use answer::{Surroundings, answer};
pub(crate) use compile::{Credentials, Missing, Need};
pub(crate) use document_stores::{DocumentStores, is_whole_export};
pub(crate) use flow::Flow;
pub(crate) use flows::{FlowIndex, Flows, listed, stores_in, watched};
pub(crate) use inspect::{Inspected, Inspection, inspect};
pub(crate) use memory::{InProcess, OnDisk, Store};
pub(crate) use run::Services;

use std::future::Future;
use std::pin::Pin;

/// Work of a node. A request stays on its worker, so nothing need be sent between threads.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = Result<T, failure::Failure>> + 'a>>;
