//! Sequential agents, and the ways that the edges make between them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::built::BuiltStep;
use super::order::order;
use super::{memory, with_inputs};
use crate::engine::compile::Compiler;
use crate::engine::compile::export::{Export, ExportNode};
use crate::engine::compile::inputs::referred;
use crate::engine::compile::part::Part;
use crate::engine::compile::unset::Unset;
use crate::engine::contract::history::Memory;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::toolset::{ToolSource, Toolset};
use crate::engine::nodes::moderation::{Moderations, moderations};
use crate::engine::sequential::flow::{FlowForm, SequentialFlow, StateDefinition, name_of};
use crate::engine::sequential::graph::{AgentBranch, AgentGraph, GraphNode};
use crate::engine::sequential::nodes::AgentContext;
use crate::engine::sequential::nodes::conditions::{self, BuiltCondition};
use crate::engine::sequential::nodes::state;
use crate::engine::sequential::state::Channels;

pub(super) const KINDS: &[&str] = &[
    "seqStart",
    "seqState",
    "seqAgent",
    "seqLLMNode",
    "seqToolNode",
    "seqCondition",
    "seqConditionAgent",
    "seqLoop",
    "seqEnd",
    "seqExecuteFlow",
    "seqCustomFunction",
];

/// Steps of such a flow, its start counted.
const MOST_STEPS: u64 = 25;

pub(super) fn compile(
    export: &Export,
    nodes: &[&ExportNode],
    agents: &HashSet<&str>,
    compiler: &mut Compiler<'_>,
) -> Option<SequentialFlow> {
    let of_kind = |kind: &str| nodes.iter().copied().filter(|node| node.data.name == kind).collect::<Vec<_>>();
    let start = match of_kind("seqStart").as_slice() {
        [start] => with_inputs(start, compiler, |inputs| StartParts {
            label: start.data.label.clone(),
            // Agents may all have their own.
            model: inputs.part_as("model", Part::into_model, "a chat model"),
            memory: memory(inputs, nodes),
            moderations: {
                inputs.references("state");
                moderations(inputs)
            },
        }),
        starts => {
            compiler.of_flow(format!("a flow has one start; this one has {}", starts.len()));
            return None;
        }
    };
    let state = match of_kind("seqState").first() {
        Some(node) => with_inputs(node, compiler, state::build),
        None => None,
    };
    let Some(order) = order(export, nodes) else {
        compiler.of_flow("its edges lead in a circle; it is for a Loop to lead back");
        return None;
    };
    let mut drawing = GraphBuilder::new(export, agents, start.model.as_ref());
    for id in order.into_iter().filter(|id| agents.contains(id)) {
        if let Some(node) = export.node(id) {
            drawing.add(node, compiler);
        }
    }
    drawing.link(compiler);
    let labels = labels(nodes);
    let GraphBuilder { graph, unready, .. } = drawing;
    Some(SequentialFlow {
        form: FlowForm::Sequence,
        graph,
        state: state.unwrap_or_else(|| StateDefinition::Table(Channels::new())),
        moderations: start.moderations,
        keeps_state: start.memory.is_some(),
        history: start.memory.unwrap_or_else(|| Memory::verbatim(String::new(), None)),
        most_steps: MOST_STEPS,
        model: start.model.unwrap_or_else(|| Arc::new(Unset::of_connection(start.label, "model"))),
        unready,
        labels,
    })
}

struct StartParts {
    label: String,
    model: Option<Arc<dyn ChatModel>>,
    memory: Option<Memory>,
    moderations: Moderations,
}

/// Where an id stands in the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GraphPosition {
    Start,
    Node(usize),
    Branch(usize),
    End,
    /// Leads back to the node of a name.
    Loop,
}

/// A flow that is being put together.
pub(super) struct GraphBuilder<'a> {
    pub(super) export: &'a Export,
    pub(super) agents: &'a HashSet<&'a str>,
    model: Option<Arc<dyn ChatModel>>,
    pub(super) graph: AgentGraph,
    pub(super) places: HashMap<&'a str, GraphPosition>,
    /// What nodes follow, in the order of the flow.
    pub(super) follows: Vec<(&'a ExportNode, Vec<String>)>,
    pub(super) names: HashMap<String, usize>,
    unready: Option<String>,
}

impl<'a> GraphBuilder<'a> {
    fn new(export: &'a Export, agents: &'a HashSet<&'a str>, model: Option<&Arc<dyn ChatModel>>) -> Self {
        let (graph, places, names) = (AgentGraph::default(), HashMap::new(), HashMap::new());
        let model = model.cloned();
        Self { export, agents, model, graph, places, follows: Vec::new(), names, unready: None }
    }

    fn add(&mut self, node: &'a ExportNode, compiler: &mut Compiler<'_>) {
        let kind = &*node.data.name;
        let place = match kind {
            "seqStart" => Some(GraphPosition::Start),
            "seqEnd" | "seqLoop" => Some(if kind == "seqEnd" { GraphPosition::End } else { GraphPosition::Loop }),
            "seqCondition" | "seqConditionAgent" => self.branch(node, compiler),
            "seqAgent" | "seqLLMNode" | "seqToolNode" | "seqExecuteFlow" | "seqCustomFunction" => {
                self.node(node, compiler)
            }
            _ => return,
        };
        if let Some(place) = place {
            self.places.insert(&node.id, place);
        }
    }

    fn branch(&mut self, node: &'a ExportNode, compiler: &mut Compiler<'_>) -> Option<GraphPosition> {
        let context = AgentContext { model: self.model.clone(), is_agent: &|id| self.agents.contains(id) };
        let (built, follows) = with_inputs(node, compiler, |inputs| {
            let follows = inputs.references("sequentialNode");
            let is_agent = inputs.node.data.name == "seqConditionAgent";
            (if is_agent { conditions::build_agent(inputs, &context) } else { conditions::build(inputs) }, follows)
        });
        self.follows.push((node, follows));
        let BuiltCondition { name, decision, unready } = built?;
        self.unready = self.unready.take().or(unready);
        let (id, label, kind) = (name.id, name.label, node.data.name.clone());
        self.graph.branches.push(AgentBranch { id, label, kind, decision, routes: Vec::new() });
        Some(GraphPosition::Branch(self.graph.branches.len() - 1))
    }

    fn node(&mut self, node: &'a ExportNode, compiler: &mut Compiler<'_>) -> Option<GraphPosition> {
        let bound = if node.data.name == "seqLLMNode" { self.tools_beside(node, compiler) } else { Toolset::default() };
        let context = AgentContext { model: self.model.clone(), is_agent: &|id| self.agents.contains(id) };
        let (built, follows) = with_inputs(node, compiler, |inputs| {
            let input = if inputs.node.data.name == "seqToolNode" { "llmNode" } else { "sequentialNode" };
            let follows = inputs.references(input);
            if follows.is_empty() {
                inputs.refuse(input, "a predecessor is required");
            }
            (BuiltStep::of(inputs, bound, &context), follows)
        });
        self.follows.push((node, follows));
        let BuiltStep { name, node: built, leave, unready } = built?;
        self.unready = self.unready.take().or(unready);
        let at = self.graph.nodes.len();
        self.names.entry(name).or_insert(at);
        self.graph.nodes.push(GraphNode { leave: leave.is_some().then_some(at + 1), ..built });
        if let Some((step, approval)) = leave {
            let hidden =
                GraphNode::new(&format!("tool_{}", node.id), &node.data.label, &node.data.name, Box::new(step));
            self.graph.nodes.push(GraphNode {
                next: vec![at],
                waits: true,
                approval: Some(approval),
                is_hidden: true,
                ..hidden
            });
        }
        Some(GraphPosition::Node(at))
    }

    /// Tools of the nodes of tools before and behind a model's node, which it may ask for.
    fn tools_beside(&self, node: &ExportNode, compiler: &mut Compiler<'_>) -> Toolset {
        let refers = |node: &ExportNode, input: &str, to: &str| references(node, input).iter().any(|id| id == to);
        let mut tools: Vec<ToolSource> = Vec::new();
        let mut names = HashSet::new();
        for other in self.export.nodes.iter().filter(|other| other.data.name == "seqToolNode") {
            if !refers(other, "llmNode", &node.id) && !refers(node, "sequentialNode", &other.id) {
                continue;
            }
            for tool in references(other, "tools")
                .iter()
                .filter_map(|id| compiler.part(id))
                .filter_map(Part::into_tools)
                .flatten()
            {
                let is_new = match &tool {
                    ToolSource::Known(tool) => names.insert(tool.spec().name.clone()),
                    ToolSource::Server(_) => true,
                };
                tools.extend(is_new.then_some(tool));
            }
        }
        tools.into_iter().collect()
    }
}

/// What nodes are called, by what others call them.
fn labels(nodes: &[&ExportNode]) -> Vec<(String, String)> {
    const NAMES: [&str; 7] = [
        "agentName",
        "llmNodeName",
        "toolNodeName",
        "conditionName",
        "conditionAgentName",
        "seqExecuteFlowName",
        "functionName",
    ];
    let label = |node: &&ExportNode| {
        let inputs = &node.data.inputs;
        let label = NAMES.iter().find_map(|name| inputs.get(*name)?.as_str())?;
        Some((name_of(label), label.to_owned()))
    };
    nodes.iter().filter_map(label).collect()
}

/// Ids that an input refers to.
fn references(node: &ExportNode, input: &str) -> Vec<String> {
    let value = node.data.inputs.get(input);
    let texts = match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    };
    texts.into_iter().filter_map(Value::as_str).filter_map(referred).map(str::to_owned).collect()
}
