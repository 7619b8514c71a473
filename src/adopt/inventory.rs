//! All that was found in the sources.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::config::Secret;
use crate::counted::counted;
use crate::engine::ImportedRecords;
use crate::exported::{Container, FlowRecord, MessageRecord, VariableRecord};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) flows: Vec<FlowRecord>,
    pub(super) tools: Vec<Value>,
    pub(super) variables: Vec<VariableRecord>,
    pub(super) stores: Vec<Value>,
    /// Passages of stores.
    pub(super) chunks: Vec<Value>,
    pub(super) keys: Vec<FlowiseKey>,
    pub(super) credentials: Vec<FlowiseCredential>,
    pub(super) messages: Vec<MessageRecord>,
    /// What record managers have noted, by their table and namespace.
    pub(super) records: ImportedRecords,
    /// What is not taken along, and how much of it there is.
    pub(super) others: BTreeMap<&'static str, usize>,
    /// Where Flowise keeps files of flows.
    pub(super) storage: Vec<PathBuf>,
    /// What whoever reads the report should know.
    pub(super) notes: Vec<String>,
}

/// A key that Flowise's clients have.
#[derive(Debug)]
pub(super) struct FlowiseKey {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) secret: Secret,
}

/// What nodes prove themselves with.
#[derive(Debug)]
pub(super) struct FlowiseCredential {
    pub(super) id: String,
    /// What its owner calls it.
    pub(super) label: String,
    /// Its kind, such as `openAIApi`.
    pub(super) kind: String,
    /// `None`: it could not be read.
    pub(super) fields: Option<BTreeMap<String, Secret>>,
}

impl Inventory {
    /// Adds what a container holds.
    pub(super) fn add(&mut self, container: Container) {
        let Container { flows, tools, variables, stores, chunks, messages, others } = container;
        self.flows.extend(flows);
        self.tools.extend(tools);
        self.variables.extend(variables);
        self.stores.extend(stores);
        self.chunks.extend(chunks);
        self.messages.extend(messages);
        for (what, count) in others {
            *self.others.entry(what).or_default() += count;
        }
    }

    /// Of what several sources have the first counts.
    pub(super) fn settle(&mut self) {
        let mut seen = HashSet::new();
        let flows = self.flows.len();
        self.flows.retain(|flow| flow.id.as_ref().is_none_or(|id| seen.insert(id.to_ascii_lowercase())));
        let double = flows - self.flows.len();
        if double > 0 {
            let double = counted(double, "flow");
            self.notes.push(format!("more than once in the sources: {double}; the first of each counts"));
        }
        let id = |value: &Value| value.get("id").and_then(Value::as_str).map(str::to_owned);
        for list in [&mut self.tools, &mut self.stores, &mut self.chunks] {
            let mut seen = HashSet::new();
            list.retain(|value| id(value).is_none_or(|id| seen.insert(id)));
        }
        let mut seen = HashSet::new();
        self.variables.retain(|variable| variable.name.as_ref().is_some_and(|name| seen.insert(name.clone())));
    }
}
