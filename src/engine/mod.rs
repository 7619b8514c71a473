//! The built-in engine: exported Flowise flows answered natively.
//!
//! [`export`] reads Flowise's files, [`compile`] makes a [`flow::Flow`] of typed parts of one ([`nodes`] knows every
//! kind of node, [`models`] every provider). [`delegate`] hands a prediction to one of the [`threads`] that compute, where
//! [`answer`] runs the flow for it and speaks Flowise's protocol; what it tells comes back over a [`link`].
//! What cannot be run is refused when a flow is loaded, never ignored.

mod address;
mod agentflow;
mod answer;
mod budget;
mod compile;
mod delegate;
mod demo;
mod document_stores;
mod export;
mod face;
mod failure;
mod flow;
mod flows;
#[cfg(test)]
mod fuzz;
mod inputs;
mod inspect;
mod link;
mod memory;
mod message;
mod models;
mod mustache;
mod nodes;
mod outcomes;
mod part;
mod percent;
mod problem;
mod provider;
mod rendered;
mod request;
mod run;
mod scanner;
mod settled;
mod template;
#[cfg(test)]
mod testing;
mod threads;
mod tokens;
mod variables;
mod watch;
mod ways;

pub(crate) use compile::{Credentials, Missing, Need};
pub(crate) use delegate::{Surroundings, answer};
pub(crate) use document_stores::{DocumentStores, is_whole_export};
pub(crate) use flow::Flow;
pub(crate) use flows::{FlowIndex, Flows, Wanted, listed, stores_in, watched};
pub(crate) use inspect::{Inspected, Inspection, inspect};
pub(crate) use memory::{InProcess, OnDisk, Store};
pub(crate) use threads::EngineThreads;

use std::future::Future;
use std::pin::Pin;

/// Work of a node. A run stays on its thread, so nothing need be sent between threads.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = Result<T, failure::Failure>> + 'a>>;
