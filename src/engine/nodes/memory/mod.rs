//! Memory nodes: what a chat remembers of itself.

mod dynamo;
mod kept;
mod mem0;
mod mongo;
mod redis;
mod stored;
mod summary;
mod upstash;
mod zep;
mod zep_cloud;

use std::sync::Arc;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::history::{HistoryStrategy, Memory};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &BufferMemory,
    &BufferWindowMemory,
    &summary::ConversationSummaryMemory,
    &summary::ConversationSummaryBufferMemory,
    &dynamo::DynamoMemory,
    &mongo::MongoChatMemory,
    &redis::RedisBackedChatMemory,
    &upstash::UpstashRedisChatMemory,
    &zep::ZepMemory,
    &zep_cloud::ZepCloudMemory,
    &mem0::Mem0,
];

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

/// The memory of a node that may go without: then nothing was said before.
pub(super) fn optional(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<Memory>> {
    if inputs.has("memory") {
        return inputs.part_as("memory", Part::into_memory, "a memory");
    }
    Some(Arc::new(Memory { turns: None, label: String::new(), by: Some(Arc::new(NoMemory)) }))
}

#[derive(Debug)]
struct NoMemory;

impl HistoryStrategy for NoMemory {
    fn recall<'a>(&'a self, _: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

fn memory(inputs: &mut Inputs<'_, '_, '_>, turns: Option<usize>) -> Part {
    kept::kept_here(inputs);
    Part::Memory(Arc::new(Memory::verbatim(inputs.node.data.label.clone(), turns)))
}
