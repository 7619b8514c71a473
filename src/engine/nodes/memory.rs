//! Memory nodes: what a chat remembers of itself.

use std::sync::Arc;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::history::Memory;

pub(super) const KINDS: &[&dyn NodeKind] = &[&BufferMemory, &BufferWindowMemory];

struct BufferMemory;

impl NodeKind for BufferMemory {
    fn names(&self) -> &'static [&'static str] {
        &["bufferMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        Some(memory(inputs, None))
    }
}

struct BufferWindowMemory;

impl NodeKind for BufferWindowMemory {
    fn names(&self) -> &'static [&'static str] {
        &["bufferWindowMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Without a number Flowise looks back to the beginning.
        let turns = inputs.integer("k").and_then(|turns| usize::try_from(turns).ok());
        Some(memory(inputs, turns))
    }
}

/// The memory of a node that must have one.
pub(super) fn required(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<Memory>> {
    if !inputs.has("memory") {
        inputs.refuse("memory", "a memory is required");
    }
    inputs.part_as("memory", Part::into_memory, "a memory")
}

fn memory(inputs: &mut Inputs<'_, '_, '_>, turns: Option<usize>) -> Part {
    // Every request that comes through the gateway names its session, which counts before the node's: one session for
    // all who talk to a flow would show each what the others said.
    inputs.ignore(&["sessionId", "memoryKey"]);
    let label = inputs.node.data.label.clone();
    inputs.compiler.remembers = true;
    Part::Memory(Arc::new(Memory { turns, label }))
}
