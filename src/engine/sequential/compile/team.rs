//! A supervisor and its workers.

use super::{memory, with_inputs};
use crate::engine::compile::Compiler;
use crate::engine::compile::export::{Export, ExportNode};
use crate::engine::compile::inputs::referred;
use crate::engine::contract::history::Memory;
use crate::engine::nodes::moderation::moderations;
use crate::engine::sequential::flow::{FlowForm, SequentialFlow, StateDefinition};
use crate::engine::sequential::graph::{AgentBranch, AgentGraph, EdgeTarget, GraphNode};
use crate::engine::sequential::nodes::NodeName;
use crate::engine::sequential::nodes::supervisor::{FINISH, NextWorker, Supervisor};
use crate::engine::sequential::nodes::worker::{self, BuiltWorker};
use crate::engine::sequential::state::{Reducer, StateChannel};

pub(super) const KINDS: &[&str] = &["supervisor", "worker"];

/// Steps, where the author says nothing.
const MOST_STEPS: f64 = 100.0;

pub(super) fn compile(export: &Export, nodes: &[&ExportNode], compiler: &mut Compiler<'_>) -> Option<SequentialFlow> {
    let supervisor_of =
        |node: &ExportNode| node.data.inputs.get("supervisor")?.as_str().and_then(referred).map(str::to_owned);
    let workers: Vec<&&ExportNode> = nodes.iter().filter(|node| node.data.name == "worker").collect();
    // A flow has one; further ones are never asked.
    let id = workers.iter().find_map(|node| supervisor_of(node));
    let Some(node) = id.and_then(|id| nodes.iter().find(|node| node.id == id && node.data.name == "supervisor")) else {
        compiler.of_flow("it has no supervisor with a worker");
        return None;
    };
    let mut workers: Vec<&&ExportNode> =
        workers.into_iter().filter(|worker| supervisor_of(worker).as_deref() == Some(&*node.id)).collect();
    // In the order in which they were connected.
    let place = |to: &str| export.edges.iter().position(|edge| edge.source == node.id && edge.target == to);
    workers.sort_by_key(|worker| place(&worker.id).unwrap_or(usize::MAX));
    let model = with_inputs(node, compiler, |inputs| {
        let known =
            ["supervisorName", "supervisorPrompt", "agentMemory", "summarization", "recursionLimit", "inputModeration"];
        inputs.ignore(&known);
        inputs.model("model")
    })?;
    let built = workers.into_iter().map(|node| with_inputs(node, compiler, |inputs| worker::build(inputs, &model)));
    let built: Vec<BuiltWorker> = built.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    let names: Vec<NodeName> = built.iter().map(|worker| worker.name.clone()).collect();
    let unready = built.iter().find_map(|worker| worker.unready.clone());
    with_inputs(node, compiler, |inputs| {
        let name = NodeName::read(inputs, "supervisorName");
        inputs.ignore(&["model", "workerNodes"]);
        let step = Supervisor::build(inputs, model.clone(), &names);
        let memory = memory(inputs, nodes);
        let moderations = moderations(inputs);
        let most = inputs.number("recursionLimit").filter(|most| *most != 0.0).unwrap_or(MOST_STEPS);
        let (name, step) = (name?, step?);
        let graph = graph(built, &name, step);
        let labels = names.iter().chain([&name]).map(|name| (name.name.clone(), name.label.clone())).collect();
        let channel = |name: &str| StateChannel { name: name.to_owned(), reducer: Reducer::Replace, default: None };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within bounds")]
        let most_steps = most.ceil().clamp(0.0, 1e9) as u64;
        Some(SequentialFlow {
            form: FlowForm::Team,
            graph,
            state: StateDefinition::Table(["next", "instructions", "team_members"].map(channel).to_vec()),
            moderations,
            keeps_state: memory.is_some(),
            history: memory.unwrap_or_else(|| Memory::verbatim(String::new(), None)),
            most_steps,
            model,
            unready,
            labels,
        })
    })
}

fn graph(workers: Vec<BuiltWorker>, name: &NodeName, step: Supervisor) -> AgentGraph {
    let supervisor = workers.len();
    let mut graph = AgentGraph { starts: vec![supervisor], ..AgentGraph::default() };
    let mut routes: Vec<(String, EdgeTarget)> = vec![(FINISH.to_owned(), EdgeTarget::End)];
    for (at, BuiltWorker { name, step, .. }) in workers.into_iter().enumerate() {
        // Of two with one name, the first is meant.
        if !routes.iter().any(|(known, _)| *known == name.name) {
            routes.push((name.name.clone(), EdgeTarget::Node(at)));
        }
        let node = GraphNode::new(&name.id, &name.label, "worker", Box::new(step));
        graph.nodes.push(GraphNode { next: vec![supervisor], ..node });
    }
    let node = GraphNode::new(&name.id, &name.label, "supervisor", Box::new(step));
    graph.nodes.push(GraphNode { branches: vec![0], ..node });
    let [id, label, kind] = [&*name.id, &*name.label, "supervisor"].map(str::to_owned);
    graph.branches.push(AgentBranch { id, label, kind, decision: Box::new(NextWorker), routes });
    graph
}
