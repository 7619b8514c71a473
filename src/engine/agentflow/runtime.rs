//! What is known of an agentflow while it runs.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::shown;
use crate::engine::text::size::bytes_of;
use crate::wire::json;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Runtime {
    pub(super) state: Map<String, Value>,
    /// Turns of the chat before this request, `{role, content}`.
    pub(super) past: Rc<[Value]>,
    /// What nodes have said so far, `{role, content, name}`.
    pub(super) history: Vec<Value>,
    /// Of an earlier request of the session.
    pub(super) form: Value,
    /// What was run, with more than clients are [shown](shown::steps).
    pub(super) executed: ExecutedNodes,
    /// How often each loop has gone back, by its node's id.
    pub(super) loops: HashMap<String, u64>,
}

/// What was run, in order.
#[derive(Debug, Default)]
pub(super) struct ExecutedNodes {
    entries: Vec<Value>,
    /// The last entry of each node, by its id.
    last: HashMap<String, usize>,
    /// The last entry of a loop.
    last_loop: Option<usize>,
    /// About the size of the entries, and what it was when they were told last.
    bytes: usize,
    told: usize,
}

/// Entries that take less are told anew with each step, as Flowise does.
const ALWAYS_TOLD: usize = 512 * 1024;

impl Deref for ExecutedNodes {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.entries
    }
}

impl From<Vec<Value>> for ExecutedNodes {
    fn from(entries: Vec<Value>) -> Self {
        let mut executed = Self::default();
        for entry in entries {
            let bytes = bytes_of(&entry);
            executed.push(entry, bytes);
        }
        executed
    }
}

impl ExecutedNodes {
    /// `bytes`: its size.
    pub(super) fn push(&mut self, entry: Value, bytes: usize) {
        let at = self.entries.len();
        if entry.get("data").and_then(|data| data.get("name")?.as_str()) == Some("loopAgentflow") {
            self.last_loop = Some(at);
        }
        if let Some(id) = entry.get("nodeId").and_then(Value::as_str) {
            self.last.insert(id.to_owned(), at);
        }
        self.bytes += bytes;
        self.entries.push(entry);
    }

    /// The last entry of a node.
    fn of(&self, id: &str) -> Option<&Value> {
        self.entries.get(*self.last.get(id)?)
    }

    /// What the last entry gave, to be changed.
    pub(super) fn last_output_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.entries.last_mut()?.get_mut("data")?.get_mut("output")?.as_object_mut()
    }

    /// Without the last entry.
    pub(super) fn forget_last(&mut self) {
        let told = self.told;
        let mut entries = std::mem::take(self).entries;
        entries.pop();
        *self = Self { told, ..entries.into() };
    }

    /// Without the entries of a node.
    pub(super) fn forget(&mut self, id: &str) {
        let told = self.told;
        let mut entries = std::mem::take(self).entries;
        entries.retain(|entry| entry.get("nodeId").and_then(Value::as_str) != Some(id));
        *self = Self { told, ..entries.into() };
    }

    pub(super) fn into_entries(self) -> Vec<Value> {
        self.entries
    }

    /// As one list, where it is time to tell it. All of it with each step is the square of it in the end: where it is
    /// long, it is told when it has grown by an eighth, which is at most nine times itself.
    pub(super) fn told(&mut self, is_end: bool, tell: impl FnOnce(&Value)) {
        let grown = self.bytes.saturating_sub(self.told);
        if self.bytes > ALWAYS_TOLD && !is_end && grown < self.told / 8 {
            return;
        }
        if is_end && grown == 0 {
            return;
        }
        self.told = self.bytes;
        tell(&shown::steps(&self.entries).into());
    }
}

/// One round of an iteration.
#[derive(Debug)]
pub(super) struct Iteration {
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) value: Value,
}

impl Iteration {
    /// As clients see it.
    pub(super) fn shown(&self, session: &str) -> Value {
        serde_json::json!({
            "index": self.index,
            "value": self.value,
            "isFirst": self.index == 0,
            "isLast": self.index + 1 == self.count,
            "sessionId": session,
        })
    }
}

impl Runtime {
    /// What a node gave the last time that it was run.
    pub(super) fn output(&self, id: &str) -> Option<&Value> {
        self.executed.of(id)?.get("data")?.get("output")
    }

    /// What a node that waits for its user needs to go on.
    pub(super) fn pending(&self, id: &str) -> Option<&Value> {
        let waits = |entry: &&Value| {
            let field = |name: &str| entry.get(name).and_then(Value::as_str);
            field("nodeId") == Some(id) && field("status") == Some("STOPPED")
        };
        self.executed.iter().rev().find(waits)?.get("data")?.get("pending")
    }

    /// How often the loop that was run last has gone back.
    pub(super) fn loop_count(&self) -> u64 {
        let last = self.executed.last_loop.and_then(|at| self.executed.get(at));
        let id = last.and_then(|entry| entry.get("nodeId")?.as_str());
        id.and_then(|id| self.loops.get(id)).copied().unwrap_or_default()
    }

    /// What the last node gave.
    pub(super) fn last_output(&self) -> Option<&Value> {
        self.executed.last()?.get("data")?.get("output")
    }
}

/// The turn of a person or a model.
pub(super) fn turn(role: &str, content: &str) -> Value {
    serde_json::json!({ "role": role, "content": content })
}

/// A state as authors write it: a list of keys and values, an object, or either as JSON.
pub(super) fn state(written: Option<&Value>) -> Map<String, Value> {
    match written {
        Some(Value::Array(items)) => {
            let item = |item: &Value| Some((item.get("key")?.as_str()?.to_owned(), item.get("value").cloned()?));
            items.iter().filter_map(item).collect()
        }
        Some(Value::Object(state)) => state.clone(),
        Some(Value::String(text)) => {
            let parsed: Option<Value> = json::read_str(text).ok();
            parsed.filter(|parsed| !parsed.is_string()).map(|parsed| state(Some(&parsed))).unwrap_or_default()
        }
        _ => Map::new(),
    }
}
