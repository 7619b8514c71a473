//! From an export to parts that can run: each node is built once, after the nodes that it refers to.

pub(crate) mod export;
pub(crate) mod inputs;
pub(crate) mod problem;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use self::export::{Export, Node};
use self::problem::Problem;
use super::nodes;
use super::provider::Targets;
use crate::config::{EngineLimits, Secret};
use crate::engine::contract::part::Part;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::text::settled::Overrides;

/// What Flowise keeps in its credential store, by the credential's name and the field's.
pub(crate) type Credentials = HashMap<String, HashMap<String, Secret>>;

/// What building needs beside the flow.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) credentials: Credentials,
    pub(crate) targets: Targets,
    pub(crate) stores: Arc<DocumentStores>,
    /// What one run may take.
    pub(crate) limits: EngineLimits,
}

impl Workshop {
    pub(crate) fn new(credentials: Credentials, targets: Targets) -> Self {
        Self { credentials, targets, stores: Arc::default(), limits: EngineLimits::default() }
    }

    pub(crate) fn with_limits(self, limits: EngineLimits) -> Self {
        Self { limits, ..self }
    }

    pub(crate) fn with_stores(self, stores: Arc<DocumentStores>) -> Self {
        Self { stores, ..self }
    }
}

/// What a node asks for beside its flow and does not get. It is loaded without, and fails when it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The node's id.
    pub(crate) node: String,
    pub(crate) label: String,
    pub(crate) need: Need,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A field of a credential that the configuration does not have.
    Credential { name: String, field: String },
    /// A file that nobody chose.
    File { input: String },
    /// A host of this machine or its network that the configuration does not allow to be called.
    Network { host: String },
    /// Another flow, by Flowise's id or its file's name; whether the engine has it is known once all flows are loaded.
    Flow { name: String },
    /// A document store that no file brings along; `None`: nobody chose one.
    Store { name: Option<String> },
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential { name, field } => write!(f, "credential {name}.{field}"),
            Self::File { input } => write!(f, "a file in {input}"),
            Self::Network { host } => write!(f, "allow_networks for {host}"),
            Self::Flow { name } => write!(f, "flow {name}"),
            Self::Store { name: Some(name) } => write!(f, "document store {name}"),
            Self::Store { name: None } => f.write_str("a document store"),
        }
    }
}

/// Nodes that refer to nodes: each is built, and asked, on the stack of the one that refers to it.
const DEEPEST: usize = 64;

/// What became of a node.
struct BuiltPart {
    part: Option<Part>,
    /// Nodes in the longest row of those that it refers to, itself included.
    depth: usize,
}

struct Waiting<'a> {
    id: &'a str,
    /// Of what it refers to, as far as that is built.
    depth: usize,
}

/// See the module.
pub(crate) struct Compiler<'a> {
    pub(crate) export: &'a Export,
    pub(crate) workshop: &'a Workshop,
    /// `overrideConfig`, as far as policy lets it through.
    pub(crate) overrides: &'a Overrides,
    built: HashMap<&'a str, BuiltPart>,
    /// Nodes that wait for what they refer to.
    waiting: Vec<Waiting<'a>>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) missing: Vec<Missing>,
    /// Whether some node looks at what was said before.
    pub(crate) remembers: bool,
    /// The names of the models that were built.
    pub(crate) models: Vec<Box<str>>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(export: &'a Export, workshop: &'a Workshop, overrides: &'a Overrides) -> Self {
        Self {
            export,
            workshop,
            overrides,
            built: HashMap::new(),
            waiting: Vec::new(),
            problems: Vec::new(),
            missing: Vec::new(),
            remembers: false,
            models: Vec::new(),
        }
    }

    /// The part that a node becomes; `None`: it cannot be built, and a problem says why.
    pub(crate) fn part(&mut self, id: &str) -> Option<Part> {
        let known = self.built.get(id).map(|BuiltPart { part, depth }| (part.clone(), *depth));
        let (part, depth) = match known {
            Some(known) => known,
            None => self.build(id)?,
        };
        if let Some(outer) = self.waiting.last_mut() {
            outer.depth = outer.depth.max(depth);
        }
        part
    }

    /// With the length of its row.
    fn build(&mut self, id: &str) -> Option<(Option<Part>, usize)> {
        let Some(node) = self.export.node(id) else {
            self.of_flow(format!("it refers to a node {id} that is not in it"));
            return None;
        };
        if self.waiting.iter().any(|waiting| waiting.id == id) {
            self.of_node(node, None, "refers to itself, by way of others");
            return None;
        }
        let too_long = format!("more than {DEEPEST} nodes refer to each other in a row");
        if self.waiting.len() >= DEEPEST {
            self.of_node(node, None, too_long);
            return None;
        }
        let (mut part, mut depth) = (None, 0);
        if let Some(kind) = nodes::find(&node.data.name) {
            self.waiting.push(Waiting { id: &node.id, depth: 0 });
            let inputs = inputs::overridden(node, self.overrides);
            part = inputs::Inputs::new(node, inputs, self).build(kind);
            depth = self.waiting.pop().map_or(0, |waiting| waiting.depth) + 1;
            if depth > DEEPEST {
                self.of_node(node, None, too_long);
                (part, depth) = (None, 0);
            }
        } else {
            self.of_node(node, None, "the engine does not know this kind of node");
        }
        self.built.insert(&node.id, BuiltPart { part: part.clone(), depth });
        Some((part, depth))
    }

    pub(crate) fn of_flow(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::of_flow(message));
    }

    pub(crate) fn of_node(&mut self, node: &Node, input: Option<&str>, message: impl Into<String>) {
        let problem = Problem {
            node: node.id.clone(),
            label: node.data.label.clone(),
            kind: node.data.name.clone(),
            input: input.map(str::to_owned),
            message: message.into(),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// A field of a credential; `None` is noted as missing.
    pub(crate) fn credential(&mut self, node: &Node, name: &str, field: &str) -> Option<Secret> {
        let found = self.workshop.credentials.get(name).and_then(|fields| fields.get(field));
        let found = found.filter(|secret| !secret.expose().is_empty()).cloned();
        if found.is_none() {
            self.miss(node, Need::Credential { name: name.to_owned(), field: field.to_owned() });
        }
        found
    }

    /// Notes what a node needs; the flow can be loaded without it.
    pub(crate) fn miss(&mut self, node: &Node, need: Need) {
        let missing = Missing { node: node.id.clone(), label: node.data.label.clone(), need };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }
}

/// The nodes that a flow of the first generation ends with: those whose output goes nowhere.
pub(crate) fn last_nodes(export: &Export) -> Vec<&Node> {
    let is_source = |node: &Node| export.edges.iter().any(|edge| edge.source == node.id);
    export.nodes.iter().filter(|node| !nodes::is_note(&node.data.name) && !is_source(node)).collect()
}
