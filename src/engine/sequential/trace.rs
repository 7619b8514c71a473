//! What clients hear of a flow at work: who did what, and who is next.

use serde_json::{Map, Value, json};

use super::flow::{FlowForm, SequentialFlow};
use super::message::AgentMessage;
use super::state::{Channels, Update};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::text::javascript::is_falsy;
use crate::engine::text::size::bytes_of;
use crate::predict::answer::EventName;

/// Bytes of what agents did so far that a stream tells after each step; more, when it has grown by an eighth.
const TOLD_EACH_TIME: usize = 512 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct StepTrace {
    pub(super) reasoning: Vec<Value>,
    pub(super) used: Vec<Value>,
    pub(super) sources: Vec<Value>,
    pub(super) artifacts: Vec<Value>,
    /// The last message of the node that spoke last.
    pub(super) last: Option<AgentMessage>,
    /// What the last worker said that said something.
    pub(super) last_worker: Option<String>,
    /// What the supervisor says of it all.
    pub(super) summary: Option<String>,
    has_started: bool,
    bytes: usize,
    /// So many when a stream heard of them.
    heard: usize,
}

impl StepTrace {
    /// A node has run.
    pub(super) fn tell(
        &mut self,
        flow: &SequentialFlow,
        channels: &Channels,
        (at, update): (usize, Update),
        run: &Run<'_>,
    ) -> Result<(), Failure> {
        let Some(node) = flow.graph.nodes.get(at).filter(|node| !node.is_hidden) else { return Ok(()) };
        let entries = self.reasoning.len();
        let messages = update.messages.as_deref().unwrap_or_default();
        let mut columns: [Vec<Value>; 3] = Default::default();
        for said in messages {
            for (column, list) in columns.iter_mut().zip(found(said)) {
                match list {
                    Some(values) => column.extend(values.iter().cloned()),
                    // Nothing is told of it.
                    None => column.push(Value::Null),
                }
            }
        }
        for (all, column) in [&mut self.used, &mut self.sources, &mut self.artifacts].into_iter().zip(&columns) {
            all.extend(column.iter().filter(|value| !value.is_null()).cloned());
        }
        let contents: Vec<&str> = messages.iter().map(|said| &*said.content).collect();
        if let Some((_, before)) = contents.split_last() {
            for branch in node.behind.iter().filter_map(|at| flow.graph.branches.get(*at)) {
                let messages: Vec<&str> = before.iter().copied().chain([&*node.label]).collect();
                self.reasoning.push(json!({
                    "agentName": branch.label, "messages": messages, "nodeName": branch.kind, "nodeId": branch.id,
                }));
            }
        }
        let mut entry = Map::new();
        entry.insert("agentName".to_owned(), node.label.as_str().into());
        entry.insert("messages".to_owned(), contents.into());
        for name in ["next", "instructions"].into_iter().filter(|name| names(channels, name)) {
            if let Some(value) = update.value(name) {
                entry.insert(name.to_owned(), value.clone());
            }
        }
        for (name, column) in ["usedTools", "sourceDocuments", "artifacts"].into_iter().zip(columns) {
            entry.insert(name.to_owned(), column.into());
        }
        entry.insert("state".to_owned(), state(channels, &update));
        if flow.form == FlowForm::Sequence {
            entry.insert("nodeName".to_owned(), node.kind.as_str().into());
        }
        let id = messages.last().map_or("", |_| &*node.id);
        entry.insert("nodeId".to_owned(), id.into());
        let next = entry.get("next").filter(|next| !is_falsy(next)).cloned();
        self.reasoning.push(Value::Object(entry));
        if let Some(summary) = update.value("summarization").and_then(Value::as_str) {
            self.summary = Some(summary.to_owned());
        }
        self.last = update.messages.and_then(|mut messages| messages.pop());
        if let Some(said) = self.last.as_ref().filter(|said| said.is_worker) {
            self.last_worker = Some(said.content.clone());
        }
        let bytes = self.reasoning.iter().skip(entries).map(bytes_of).sum();
        run.budget().hold(bytes)?;
        self.bytes += bytes;
        self.tell_stream(flow, next.as_ref(), run);
        Ok(())
    }

    fn tell_stream(&mut self, flow: &SequentialFlow, next: Option<&Value>, run: &Run<'_>) {
        if !run.sink.streams() {
            return;
        }
        let has_grown = self.bytes <= TOLD_EACH_TIME || self.bytes - self.heard > self.heard / 8;
        if has_grown {
            self.heard = self.bytes;
            let so_far = || Value::from(self.reasoning.clone());
            if !self.has_started {
                run.sink.event(EventName::Start, so_far());
            }
            self.has_started = true;
            run.sink.event(EventName::AgentReasoning, so_far());
        }
        if let Some(next) = next.filter(|next| !["FINISH", "END"].iter().any(|end| **next == *end)) {
            let label = next.as_str().and_then(|name| flow.label_of(name));
            run.sink.event(EventName::NextAgent, label.map_or_else(|| next.clone(), Into::into));
        }
    }

    /// Tells what was left out.
    pub(super) fn tell_rest(&mut self, run: &Run<'_>) {
        if run.sink.streams() && self.heard < self.bytes {
            self.heard = self.bytes;
            run.sink.event(EventName::AgentReasoning, Value::from(self.reasoning.clone()));
        }
    }
}

/// What came of the work that a message tells of.
fn found(said: &AgentMessage) -> [Option<&Vec<Value>>; 3] {
    [said.used_tools.as_ref(), said.sources.as_ref(), said.artifacts.as_ref()]
}

/// What a node changed in the state.
fn state(channels: &Channels, update: &Update) -> Value {
    let value = |(name, value): &(String, Option<Value>)| {
        names(channels, name).then_some(())?;
        Some((name.clone(), value.clone()?))
    };
    Value::Object(update.values.iter().filter_map(value).collect())
}

/// Whether the state has a value of that name.
fn names(channels: &Channels, name: &str) -> bool {
    channels.iter().any(|channel| channel.name == name)
}
