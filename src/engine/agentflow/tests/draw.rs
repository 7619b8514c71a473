//! Draws flows.

use serde_json::{Value, json};

/// A flow that is drawn node by node; the address of the model stands where [`Lab`](super::lab::Lab) looks for it.
#[derive(Default)]
pub(super) struct Drawing {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

/// The model that a node asks.
pub(super) fn model(prefix: &str, mut inputs: Value) -> Value {
    inputs[format!("{prefix}Model")] = "chatOpenAI".into();
    inputs[format!("{prefix}ModelConfig")] = json!({
        "modelName": "stub-model", "temperature": 0.1, "streaming": true,
        "basepath": "http://LLM_BASE_PATH_PLACEHOLDER/v1", format!("{prefix}Model"): "chatOpenAI",
    });
    inputs
}

impl Drawing {
    /// With a start that asks a question.
    pub(super) fn new(start: &Value) -> Self {
        let mut inputs = json!({ "startInputType": "chatInput" });
        for (name, value) in start.as_object().into_iter().flatten() {
            inputs[name] = value.clone();
        }
        Self::default().node("start", "startAgentflow", &inputs)
    }

    /// Its id is its label, too. Every input may refer to values.
    pub(super) fn node(mut self, id: &str, kind: &str, inputs: &Value) -> Self {
        let fixed = ["startInputType", "startState", "startPersistState"];
        let params: Vec<Value> = inputs
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| json!({ "name": name, "acceptVariable": !name.ends_with("Config") && !fixed.contains(&&**name) }))
            .collect();
        let data = json!({ "id": id, "name": kind, "label": id, "inputs": inputs, "inputParams": params });
        self.nodes.push(json!({ "id": id, "data": data }));
        self
    }

    /// Puts the last node into an iteration.
    pub(super) fn inside(mut self, iteration: &str) -> Self {
        let node = self.nodes.last_mut().expect("a node");
        node["parentNode"] = iteration.into();
        node["extent"] = "parent".into();
        self
    }

    /// Edges from each node to the next; `a:1` leaves by the output 1.
    pub(super) fn line(mut self, nodes: &[&str]) -> Self {
        for pair in nodes.windows(2) {
            let (from, output) = pair[0].split_once(':').unwrap_or((pair[0], pair[0]));
            let to = pair[1].split(':').next().unwrap();
            self.edges.push(json!({
                "source": from, "target": to, "sourceHandle": format!("{from}-output-{output}"), "targetHandle": to,
            }));
        }
        self
    }

    pub(super) fn export(&self) -> String {
        json!({ "nodes": self.nodes, "edges": self.edges }).to_string()
    }
}

/// A node that says something.
pub(super) fn reply(text: &str) -> Value {
    json!({ "directReplyMessage": text })
}
