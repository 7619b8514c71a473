//! What is known of an agentflow while it runs.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

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
    /// What was run, as clients see it.
    pub(super) executed: Vec<Value>,
    /// How often each loop has gone back, by its node's id.
    pub(super) loops: HashMap<String, u64>,
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
        let of_node = |entry: &&Value| entry.get("nodeId").and_then(Value::as_str) == Some(id);
        self.executed.iter().rev().find(of_node)?.get("data")?.get("output")
    }

    /// How often the loop that was run last has gone back.
    pub(super) fn loop_count(&self) -> u64 {
        let is_loop =
            |entry: &&Value| entry.get("data").and_then(|data| data.get("name")?.as_str()) == Some("loopAgentflow");
        let id = self.executed.iter().rev().find(is_loop).and_then(|entry| entry.get("nodeId")?.as_str());
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
