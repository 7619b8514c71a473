//! Flows of agents, from exports written in the test.

mod approval;
mod code;
mod refused;
mod sequence;
mod team;

use serde_json::{Value, json};

use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{Predicted, load};

/// An export of nodes `(id, kind, inputs)`. References between them become edges; `outputs` are those of conditions:
/// the condition, the output's label, and the node that it leads to.
fn export(nodes: &[(&str, &str, Value)], outputs: &[(&str, &str, &str)]) -> Value {
    let handle = |id: &str, label: &str| format!("{id}-output-{}-Condition", label.to_lowercase().replace(' ', ""));
    let mut edges = Vec::new();
    for (target, _, inputs) in nodes {
        let text = inputs.to_string();
        for (source, kind, _) in nodes {
            let is_led_by_output = kind.starts_with("seqCondition");
            if !is_led_by_output && text.contains(&format!("{{{{{source}.data.instance")) {
                edges.push(json!({ "source": source, "target": target }));
            }
        }
    }
    for (source, label, target) in outputs {
        edges.push(json!({ "source": source, "sourceHandle": handle(source, label), "target": target }));
    }
    let node = |(id, kind, inputs): &(&str, &str, Value)| {
        let options: Vec<Value> = outputs
            .iter()
            .filter(|(source, ..)| source == id)
            .map(|(_, label, _)| json!({ "id": handle(id, label), "label": label }))
            .collect();
        let mut inputs = inputs.clone();
        let leads = outputs.iter().filter(|(_, _, target)| target == id).map(|(source, ..)| reference(source));
        let leads: Vec<String> = leads.collect();
        if !leads.is_empty() {
            inputs["sequentialNode"] = leads.into();
        }
        let params = json!([{ "name": "promptValues", "acceptVariable": true }]);
        let data = json!({
            "name": kind, "label": id, "inputs": inputs, "inputParams": params,
            "outputAnchors": [{ "options": options }],
        });
        json!({ "id": id, "data": data })
    };
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>(), "edges": edges })
}

fn drawn(nodes: &[(&str, &str, Value)], outputs: &[(&str, &str, &str)]) -> Result<CompiledFlow, String> {
    load(&export(nodes, outputs))
}

fn reference(id: &str) -> String {
    format!("{{{{{id}.data.instance}}}}")
}

fn model() -> (&'static str, &'static str, Value) {
    ("m_0", "testModel", json!({}))
}

fn start(more: Value) -> (&'static str, &'static str, Value) {
    ("start_0", "seqStart", with(json!({ "model": reference("m_0") }), more))
}

/// An agent's or a model's node behind others.
fn behind(before: &[&str], more: Value) -> Value {
    let before: Vec<String> = before.iter().map(|id| reference(id)).collect();
    with(json!({ "sequentialNode": before }), more)
}

fn end(id: &'static str, before: &str) -> (&'static str, &'static str, Value) {
    (id, "seqEnd", json!({ "sequentialNode": reference(before) }))
}

fn with(mut value: Value, more: Value) -> Value {
    let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) else { panic!() };
    fields.extend(more);
    value
}

/// A call of a tool, as the model of these tests gives it.
fn calls(name: &str, arguments: &Value) -> Value {
    json!([{ "name": name, "arguments": arguments }])
}

impl Predicted {
    fn text(&self) -> String {
        self.reply.as_ref().unwrap().said.clone().into_text()
    }

    fn reasoning(&self) -> Vec<Value> {
        self.reply.as_ref().unwrap().agents.clone().unwrap().reasoning
    }

    /// Names of events, in order.
    fn names(&self) -> Vec<&str> {
        self.events.iter().map(|(name, _)| name.as_str()).collect()
    }
}
