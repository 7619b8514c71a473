//! The built-in engine: exported Flowise flows answered natively.
//!
//! From the bottom to the top: [`text`] reads and fills in what authors wrote; [`contract`] is what nodes, models and
//! memory know of each other; [`compile`] makes parts of an export's nodes, of [`nodes`], [`models`], [`agentflow`] and [`sequential`];
//! [`flow`] is a flow that is loaded, and [`threads`] compute it, where what it tells comes back over a link.
//! What cannot be run is refused when a flow is loaded, never ignored.

mod agentflow;
mod compile;
mod contract;
mod demo;
mod documents;
mod flow;
#[cfg(test)]
mod fuzz;
mod mcp;
mod memory;
mod models;
mod mongo;
mod nodes;
mod postgres;
mod provider;
mod sandbox;
mod scripts;
mod sequential;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod testing;
mod text;
mod threads;

pub(crate) use compile::context::{Credentials, Missing, Need};
pub(crate) use compile::export::Generation;
pub(crate) use compile::problem::printable;
pub(crate) use contract::flows::FlowIndex;
pub(crate) use contract::memory::{MOST_SESSIONS, MOST_TURNS, Store, Turn};
pub(crate) use contract::records::PassageRecord;
pub(crate) use documents::stores::DocumentStores;
pub(crate) use flow::CompiledFlow;
pub(crate) use flow::attachments::{Attachment, loader_overrides};
pub(crate) use flow::flows::{
    ContainedFlow, Flows, WantedFlow, contained, export_text, is_whole_export, listed, stores_in, watched,
};
pub(crate) use flow::inspect::{Inspected, Inspection, check_export, inspect, why_not_embedded};
pub(crate) use flow::wants::{Want, wanting, wants};
pub(crate) use memory::{CHATS_FILE, ImportedChat, ImportedRecords, RECORDS_FILE, import_chats, import_records};
pub(crate) use memory::{InProcess, InStore, OnDisk, serve_predecessor};
pub(crate) use threads::EngineThreads;
pub(crate) use threads::answer::UpsertTarget;
pub(crate) use threads::delegate::{Answer, PredictionContext, answer};
pub(crate) use threads::error::EngineError;
pub(crate) use threads::link::LOST;
pub(crate) use threads::reading::read_attachments;
pub(crate) use threads::wakes::WakeQueue;
