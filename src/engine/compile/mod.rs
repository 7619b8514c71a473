//! From an export to parts that can run: each node is built once, after the nodes that it refers to.

pub(crate) mod context;
mod drawn;
pub(crate) mod export;
pub(crate) mod flowise;
pub(crate) mod form;
pub(crate) mod inputs;
pub(crate) mod kind;
pub(crate) mod part;
pub(crate) mod problem;
mod reasons;
pub(crate) mod remote_flow;
pub(crate) mod unset;
pub(crate) mod varied;

use std::collections::HashMap;
use std::sync::Arc;

use self::context::{CompileContext, Missing, Need};
use self::export::{Export, ExportNode};
use self::kind::NodeKinds;
use self::part::Part;
use self::problem::NodeProblem;
use self::unset::Unset;
use self::varied::VariedInput;
use crate::config::Secret;
use crate::engine::documents::index::Indexes;
use crate::engine::text::overrides::Overrides;

/// Nodes that refer to nodes: each is built, and asked, on the stack of the one that refers to it.
const DEEPEST: usize = 64;

/// What became of a node.
struct BuiltPart {
    part: Option<Part>,
    /// Nodes in the longest row of those that it refers to, itself included.
    depth: usize,
}

struct PendingPart<'a> {
    id: &'a str,
    /// Of what it refers to, as far as that is built.
    depth: usize,
}

/// See the module.
pub(crate) struct Compiler<'a> {
    pub(crate) export: &'a Export,
    pub(crate) context: &'a CompileContext,
    /// `overrideConfig`, as far as policy lets it through.
    pub(crate) overrides: &'a Overrides,
    pub(crate) kinds: NodeKinds,
    /// What was made of the flow's documents, for as long as it is loaded.
    pub(crate) indexes: &'a Indexes,
    built: HashMap<&'a str, BuiltPart>,
    /// Nodes that wait for what they refer to.
    waiting: Vec<PendingPart<'a>>,
    pub(crate) problems: Vec<NodeProblem>,
    /// What stands in nodes and changes nothing, here or in Flowise.
    pub(crate) passed_over: Vec<NodeProblem>,
    pub(crate) missing: Vec<Missing>,
    /// Why the flow as a whole cannot answer, which was found where no node stands for it.
    pub(crate) unset: Option<Arc<Unset>>,
    /// Settings in which variables stand, and that are filled in for each request.
    pub(crate) varied: Vec<VariedInput>,
    /// Whether some node looks at what was said before.
    pub(crate) remembers: bool,
    /// The names of the models that were built.
    pub(crate) models: Vec<Box<str>>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        export: &'a Export,
        context: &'a CompileContext,
        overrides: &'a Overrides,
        kinds: NodeKinds,
        indexes: &'a Indexes,
    ) -> Self {
        Self {
            export,
            context,
            overrides,
            kinds,
            indexes,
            built: HashMap::new(),
            waiting: Vec::new(),
            problems: Vec::new(),
            passed_over: Vec::new(),
            missing: Vec::new(),
            unset: None,
            varied: Vec::new(),
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
            let export = self.export;
            let by = self.waiting.last().and_then(|referring| export.node(referring.id));
            match by {
                Some(by) => self.of_node(by, None, format!("refers to a node {id} that is not in the flow")),
                None => self.of_flow(format!("it refers to a node {id} that is not in it")),
            }
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
        if let Some(kind) = self.kinds.find(&node.data.name) {
            self.waiting.push(PendingPart { id: &node.id, depth: 0 });
            let inputs = inputs::overridden(node, self.overrides);
            part = inputs::Inputs::new(node, inputs, self).build(kind);
            depth = self.waiting.pop().map_or(0, |waiting| waiting.depth) + 1;
            if depth > DEEPEST {
                self.of_node(node, None, too_long);
                (part, depth) = (None, 0);
            }
        } else {
            self.of_node(node, None, flowise::why_unknown(&node.data.name, &node.data.category));
        }
        self.built.insert(&node.id, BuiltPart { part: part.clone(), depth });
        Some((part, depth))
    }

    pub(crate) fn of_flow(&mut self, message: impl Into<String>) {
        self.problems.push(NodeProblem::of_flow(message));
    }

    pub(crate) fn of_node(&mut self, node: &ExportNode, input: Option<&str>, message: impl Into<String>) {
        let problem = NodeProblem::of_node(node, input, message);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Notes what stands in a node and changes nothing.
    pub(crate) fn pass_over(&mut self, node: &ExportNode, input: Option<&str>, message: impl Into<String>) {
        let found = NodeProblem::of_node(node, input, message);
        if !self.passed_over.contains(&found) {
            self.passed_over.push(found);
        }
    }

    /// See [`CompileContext::credential`]; `None` is noted as missing.
    pub(crate) fn credential(
        &mut self,
        node: &ExportNode,
        chosen: Option<&str>,
        name: &str,
        field: &str,
    ) -> Option<Secret> {
        let found = self.context.credential(chosen, name, field);
        if found.is_none() {
            self.miss(node, Need::Credential { name: name.to_owned(), field: field.to_owned() });
        }
        found
    }

    /// Notes what a node needs; the flow can be loaded without it.
    pub(crate) fn miss(&mut self, node: &ExportNode, need: Need) {
        let missing = Missing { node: node.id.clone(), label: node.data.label.clone(), need };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }
}
