//! From an export to an agentflow that can run; every obstacle is told at once.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::flow::Agentflow;
use super::graph::Graph;
use super::inputs::{in_markdown, read_tables};
use super::nodes;
use super::step::{Step, StepNode};
use crate::engine::compile::Compiler;
use crate::engine::compile::export;
use crate::engine::compile::export::Export;
use crate::engine::compile::flowise;
use crate::engine::compile::inputs;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::unset::Unset;
use crate::engine::scripts::post_processor::PostProcessor;
use crate::engine::text::mustache::{Dialect, JsonTemplate};

/// `None`: it cannot be run, and problems say why.
pub(crate) fn compile(export: &Export, compiler: &mut Compiler<'_>) -> Option<Agentflow> {
    let mut built = Vec::new();
    let loose = loose(export);
    for node in export.nodes.iter().filter(|node| !node.is_note() && !loose.contains(&*node.id)) {
        built.extend(self::node(node, compiler));
    }
    check(export, &loose, compiler);
    if !compiler.problems.is_empty() {
        return None;
    }
    let whole: Vec<usize> = (0..built.len()).collect();
    let mut graph = Graph::new(&built, &whole, &export.edges);
    graph.starts.retain(|&at| built.get(at).is_some_and(|node| node.parent.is_none()));
    if graph.starts.len() != 1 {
        let label = |&at: &usize| built.get(at).map(|node| format!("\"{}\"", node.label));
        let labels: Vec<String> = graph.starts.iter().filter_map(label).collect();
        compiler.of_flow(format!(
            "a flow starts with one node that no edge leads to; of this one those are {}",
            labels.join(", ")
        ));
        return None;
    }
    let mut inside = HashMap::new();
    for (at, iteration) in built.iter().enumerate() {
        let is_inside = |&at: &usize| built.get(at).is_some_and(|node| node.parent.as_ref() == Some(&iteration.id));
        let own: Vec<usize> = whole.iter().copied().filter(is_inside).collect();
        if !own.is_empty() {
            inside.insert(at, Graph::new(&built, &own, &export.edges));
        }
    }
    let start = built.iter().find(|node| node.kind == "startAgentflow");
    let set = |name: &str, value: &Value| start.is_some_and(|start| start.inputs.get(name) == Some(value));
    let (has_form, keeps_state) = (set("startInputType", &"formInput".into()), set("startPersistState", &true.into()));
    let may_wait = built.iter().any(|node| node.kind == "humanInputAgentflow" || asks_first(&node.inputs));
    let after = PostProcessor::read(compiler);
    Some(Agentflow { nodes: built, whole: graph, inside, has_form, keeps_state, may_wait, after })
}

fn node(node: &export::ExportNode, compiler: &mut Compiler<'_>) -> Option<StepNode> {
    let Some(kind) = nodes::find(&node.data.name) else {
        compiler.of_node(node, None, flowise::why_unknown(&node.data.name, &node.data.category));
        return None;
    };
    let params = node.data.input_params.iter().filter(|param| param.accept_variable == Some(true));
    let settled = compiler.overrides.settled.of(&node.id, &node.data.inputs);
    let mut values = inputs::overridden(node, compiler.overrides);
    read_tables(node, &settled, &mut values);
    for name in params.clone().map(|param| &param.name) {
        if let Some(value) = values.get_mut(name) {
            in_markdown(value, &settled, &mut vec![name.clone()]);
        }
    }
    let template = |param: &export::ExportParam| {
        let value = values.get(&param.name)?;
        let template = JsonTemplate::of(value, Dialect::Agentflow, &settled, &mut vec![param.name.clone()]);
        template.fixed().is_none().then(|| (param.name.clone(), template))
    };
    let templates = params.filter_map(template).collect();
    let mut inputs = Inputs::new(node, values.clone(), compiler).of_agentflow();
    let step = kind.build(&mut inputs);
    inputs.finish();
    let step = inputs.take_unset().map(|unset| Box::new(Unset::clone(&unset)) as Box<dyn Step>).or(step);
    Some(StepNode {
        id: node.id.clone(),
        label: node.data.label.clone(),
        kind: kind.name(),
        parent: node.parent.clone().filter(|parent| !parent.is_empty()),
        decides: kind.decides(),
        inputs: values,
        templates,
        step: step?,
    })
}

/// Whether a node has a tool that is called with its user's leave only.
fn asks_first(inputs: &Map<String, Value>) -> bool {
    let tools = inputs.get("agentTools").and_then(Value::as_array);
    tools.into_iter().flatten().any(nodes::asks_first)
}

/// Iterations within iterations.
const MOST_AROUND: usize = 4;

/// The iterations that a node is in, the innermost first, as far as anybody wants to know.
fn around<'a>(export: &'a Export, node: &'a export::ExportNode) -> impl Iterator<Item = &'a export::ExportNode> {
    let parent = |node: &&'a export::ExportNode| export.node(node.parent.as_deref()?);
    std::iter::successors(parent(&node), move |node| parent(node)).take(MOST_AROUND + 1)
}

/// Nodes that the flow never comes to: nothing leads to them from its start. Those inside an iteration are judged as it
/// is.
pub(crate) fn loose(export: &Export) -> HashSet<&str> {
    let mut waiting: Vec<&str> =
        export.nodes.iter().filter(|node| node.data.name == "startAgentflow").map(|node| &*node.id).collect();
    let mut seen = HashSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        waiting.extend(export.edges.iter().filter(|edge| edge.source == id).map(|edge| &*edge.target));
        waiting.extend(export.nodes.iter().filter(|node| node.parent.as_deref() == Some(id)).map(|node| &*node.id));
    }
    if seen.is_empty() {
        return HashSet::new();
    }
    export.nodes.iter().filter(|node| !node.is_note()).map(|node| &*node.id).filter(|id| !seen.contains(id)).collect()
}

/// What no node can see by itself.
fn check(export: &Export, loose: &HashSet<&str>, compiler: &mut Compiler<'_>) {
    let starts = export.nodes.iter().filter(|node| node.data.name == "startAgentflow").count();
    if starts != 1 {
        compiler.of_flow(format!("a flow has one start; this one has {starts}"));
    }
    for node in export.nodes.iter().filter(|node| !loose.contains(&*node.id)) {
        if let Some(parent) = node.parent.as_deref().filter(|parent| !parent.is_empty()) {
            match export.node(parent) {
                Some(parent) if parent.data.name == "iterationAgentflow" => {
                    if node.data.name == "humanInputAgentflow" {
                        compiler.of_node(node, None, "it is inside an iteration, where nobody can be asked");
                    }
                    if around(export, node).count() > MOST_AROUND {
                        compiler.of_node(node, None, "iterations lie too deep within each other, or one in itself");
                    }
                }
                _ => compiler.of_node(node, None, "it is inside a node that is no iteration"),
            }
        }
        if node.data.name == "loopAgentflow" {
            let target = node.data.inputs.get("loopBackToNode").and_then(Value::as_str).unwrap_or_default();
            let target = target.split('-').next().unwrap_or_default();
            if !target.is_empty() && export.node(target).is_none() {
                compiler.of_node(node, Some("loopBackToNode"), "there is no such node in the flow");
            }
        }
    }
}
