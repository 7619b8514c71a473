//! Connections that only an edge tells, or an input by the name that it had in an earlier version: some programs that write
//! flows know of edges alone, and Flowise's first versions called some inputs otherwise.

use serde_json::{Map, Value};

use super::export::{Edge, Export, ExportNode};

/// A kind of node, an input by its earlier name, and its name since.
const RENAMED: &[(&str, &str, &str)] = &[
    ("conversationalRetrievalQAChain", "llm", "model"),
    ("conversationalAgent", "llm", "model"),
    ("queryEngineToolLlamaIndex", "vectorStoreIndex", "baseQueryEngine"),
];
/// Agents of Agentflow V1 that follow one another.
const IN_SEQUENCE: &[&str] = &[
    "seqStart",
    "seqAgent",
    "seqLLMNode",
    "seqToolNode",
    "seqCondition",
    "seqConditionAgent",
    "seqCustomFunction",
    "seqExecuteFlow",
    "seqLoop",
    "seqEnd",
];

/// Adds inputs that are not there by what leads to them. One that is there and empty stays so, as in Flowise.
pub(super) fn connect(export: &mut Export) {
    for node in &mut export.nodes {
        for (_, earlier, name) in RENAMED.iter().filter(|(kind, ..)| *kind == node.data.name) {
            let value = node.data.inputs.get(*earlier).filter(|value| !is_nothing(Some(value))).cloned();
            if let Some(value) = value.filter(|_| is_nothing(node.data.inputs.get(*name))) {
                node.data.inputs.remove(*earlier);
                node.data.inputs.insert((*name).to_owned(), value);
            }
        }
    }
    // Where one input refers to a node, all of those that are connected do.
    let is_of_edges = export.nodes.iter().all(|node| node.data.referred().is_empty());
    let led = export.edges.iter().filter_map(|edge| led_to(export, edge, is_of_edges));
    let found: Vec<(usize, String, String)> = led.collect();
    let mut given: Vec<(usize, String)> = Vec::new();
    for (at, input, source) in found {
        let Some(target) = export.nodes.get_mut(at) else { continue };
        let inputs = &mut target.data.inputs;
        let place = (at, input);
        if !given.contains(&place) && inputs.contains_key(&place.1) {
            continue;
        }
        add(inputs, &place.1, format!("{{{{{source}.data.instance}}}}"));
        given.push(place);
    }
}

/// The node and the input that an edge leads to, and the node that it comes from.
fn led_to(export: &Export, edge: &Edge, is_of_edges: bool) -> Option<(usize, String, String)> {
    let (at, target) = export.nodes.iter().enumerate().find(|(_, node)| node.id == edge.target)?;
    let source = export.node(&edge.source)?;
    let is_in_sequence = |node: &ExportNode| IN_SEQUENCE.contains(&&*node.data.name);
    let input = if is_in_sequence(source) && is_in_sequence(target) {
        if target.data.name == "seqToolNode" { "llmNode" } else { "sequentialNode" }
    } else {
        if !is_of_edges {
            return None;
        }
        let rest = edge.target_handle.strip_prefix(&*edge.target)?.strip_prefix("-input-")?;
        rest.split('-').next()?
    };
    Some((at, input.to_owned(), source.id.clone()))
}

fn add(inputs: &mut Map<String, Value>, input: &str, reference: String) {
    let value = match inputs.remove(input) {
        None => Value::String(reference),
        Some(Value::Array(mut items)) => {
            items.push(Value::String(reference));
            Value::Array(items)
        }
        Some(one) => Value::Array(vec![one, Value::String(reference)]),
    };
    inputs.insert(input.to_owned(), value);
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connected(nodes: &Value, edges: &Value) -> Vec<Value> {
        let export = Export::read(&json!({ "nodes": nodes, "edges": edges }).to_string()).unwrap();
        export.nodes.into_iter().map(|node| Value::Object(node.data.inputs)).collect()
    }

    fn edge(source: &str, target: &str, handle: &str) -> Value {
        json!({ "source": source, "target": target, "targetHandle": handle })
    }

    #[test]
    fn an_edge_stands_for_an_input_that_is_not_there() {
        let node = |id: &str, inputs: Value| json!({ "id": id, "data": { "name": "any", "inputs": inputs } });
        let edges = json!([
            edge("m", "a", "a-input-model-BaseChatModel"),
            edge("m", "a", "a-input-tools-Tool"),
            edge("t", "a", "a-input-tools-Tool"),
            edge("t", "a", "a"),
            edge("gone", "a", "a-input-prompt-BasePrompt"),
            edge("t", "a", "a-input-cache-BaseCache"),
        ]);
        let one = |id: &str| format!("{{{{{id}.data.instance}}}}");
        let nodes = json!([node("m", json!({})), node("t", json!({})), node("a", json!({ "cache": "" }))]);
        let expected = json!({ "cache": "", "model": one("m"), "tools": [one("m"), one("t")] });
        assert_eq!(connected(&nodes, &edges)[2], expected);
        // As the editor saves it, which leaves out what is not connected.
        let saved = json!([node("m", json!({})), node("t", json!({ "x": one("m") })), node("a", json!({}))]);
        assert_eq!(connected(&saved, &edges)[2], json!({}));
    }

    #[test]
    fn agents_follow_one_another_as_they_are_drawn() {
        let node = |id: &str, kind: &str| json!({ "id": id, "data": { "name": kind } });
        let nodes =
            json!([node("s", "seqStart"), node("l", "seqLLMNode"), node("t", "seqToolNode"), node("m", "chatOpenAI")]);
        let edges = json!([
            edge("s", "l", "l-input-seqAgent-SeqAgent"),
            edge("l", "t", "t-input-x-y"),
            edge("m", "l", "l-input-model-M")
        ]);
        let inputs = connected(&nodes, &edges);
        assert_eq!(inputs[1], json!({ "sequentialNode": "{{s.data.instance}}", "model": "{{m.data.instance}}" }));
        assert_eq!(inputs[2], json!({ "llmNode": "{{l.data.instance}}" }));
    }

    #[test]
    fn an_input_is_found_by_its_earlier_name() {
        let kind = "conversationalRetrievalQAChain";
        let node = |inputs: Value| json!({ "id": "c", "data": { "name": kind, "inputs": inputs } });
        let nodes = json!([node(json!({ "llm": "{{a.data.instance}}" })), node(json!({ "llm": "x", "model": "y" }))]);
        let inputs = connected(&nodes, &json!([]));
        assert_eq!(inputs[0], json!({ "model": "{{a.data.instance}}" }));
        assert_eq!(inputs[1], json!({ "llm": "x", "model": "y" }));
    }
}
