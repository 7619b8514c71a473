//! From an export to a flow of agents that can run; every obstacle is told at once.

mod built;
mod links;
mod order;
mod sequence;
mod team;

use std::collections::HashSet;

use super::flow::SequentialFlow;
use crate::engine::compile::Compiler;
use crate::engine::compile::export::{Export, ExportNode};
use crate::engine::compile::flowise;
use crate::engine::compile::inputs::{Inputs, overridden};
use crate::engine::contract::history::Memory;

/// Memories that keep the state of such a flow; wherever they would keep it, the engine does in its own.
const MEMORIES: &[&str] = &["agentMemory", "sqliteAgentMemory", "postgresAgentMemory", "mySQLAgentMemory"];

/// `None`: it cannot be run, and problems say why.
pub(crate) fn compile(export: &Export, compiler: &mut Compiler<'_>) -> Option<SequentialFlow> {
    let loose = export.loose();
    let nodes: Vec<&ExportNode> =
        export.nodes.iter().filter(|node| !node.is_note() && !loose.contains(&*node.id)).collect();
    let agents: HashSet<&str> = nodes.iter().filter(|node| is_of_v1(node)).map(|node| &*node.id).collect();
    for node in &nodes {
        let name = &*node.data.name;
        if !agents.contains(&*node.id) && !MEMORIES.contains(&name) {
            compiler.part(&node.id);
        }
        if agents.contains(&*node.id) && !sequence::KINDS.contains(&name) && !team::KINDS.contains(&name) {
            compiler.of_node(node, None, flowise::GONE);
        }
    }
    let is_sequence = nodes.iter().any(|node| sequence::KINDS.contains(&&*node.data.name));
    let flow = if is_sequence {
        sequence::compile(export, &nodes, &agents, compiler)
    } else {
        team::compile(export, &nodes, compiler)
    };
    flow.filter(|_| compiler.problems.is_empty() && compiler.unset.is_none())
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [MEMORIES, sequence::KINDS, team::KINDS].into_iter().flatten().copied()
}

/// Whether it is one of the flow's own nodes.
fn is_of_v1(node: &ExportNode) -> bool {
    flowise::is_of_agentflow_v1(&node.data.name, &node.data.category)
}

/// Reads a node's inputs.
fn with_inputs<T>(
    node: &ExportNode,
    compiler: &mut Compiler<'_>,
    build: impl FnOnce(&mut Inputs<'_, '_, '_>) -> T,
) -> T {
    let values = overridden(node, compiler.overrides);
    let mut inputs = Inputs::new(node, values, compiler);
    let made = build(&mut inputs);
    inputs.finish();
    inputs.refuse_unfilled();
    // Flowise makes all nodes of such a flow before it asks one.
    if let Some(unset) = inputs.take_unset() {
        compiler.unset.get_or_insert(unset);
    }
    made
}

/// The memory in an input, by its label; `None`: there is none.
fn memory(inputs: &mut Inputs<'_, '_, '_>, export: &[&ExportNode]) -> Option<Memory> {
    let id = inputs.references("agentMemory").into_iter().next()?;
    let node = export.iter().find(|node| node.id == id)?;
    if !MEMORIES.contains(&&*node.data.name) {
        inputs.refuse("agentMemory", "expected an agent memory");
        return None;
    }
    Some(Memory::verbatim(node.data.label.clone(), None))
}
