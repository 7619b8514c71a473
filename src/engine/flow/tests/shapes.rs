//! Files that are not quite as Flowise's editor writes them: made by programs, merged by hand, or of an early version.

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{flow, load, predict};

fn answers(export: &Value) {
    let flow = load(export).unwrap();
    let predicted = predict(&flow, &json!({ "question": "q" }), &["an answer".into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("an answer".into()), "{export}");
}

#[test]
fn what_flowise_does_not_look_at_may_be_anything() {
    let prompt = json!({ "template": "{q}", "promptValues": "{\"q\":\"{{question}}\"}" });
    let chain = json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" });
    let edge = |source: &str| json!({ "source": source, "target": "c_0", "sourceHandle": null, "targetHandle": null });
    let export = json!({
        "nodes": [
            { "id": "m_0", "data": { "name": "testModel", "label": null, "category": null, "inputs": null, "outputs": "" } },
            { "id": "p_0", "parentNode": null, "data": { "name": "promptTemplate", "inputs": prompt,
                "inputParams": null, "outputAnchors": [{ "options": null }] } },
            { "id": "c_0", "data": { "name": "llmChain", "inputs": chain, "inputParams": [{ "label": "Chain" }, null] } },
            // An edge that was put among them.
            { "id": "m_0-c_0", "source": "m_0", "target": "c_0", "data": { "label": "" } },
        ],
        "edges": [edge("m_0"), edge("p_0"), null],
    });
    answers(&export);
    let refused = load(&json!({ "nodes": "none", "edges": [] })).unwrap_err();
    assert!(refused.contains("not an exported Flowise flow"), "{refused}");
}

#[test]
fn a_value_that_refers_to_a_node_that_is_gone_stays_as_it_is() {
    let prompt = json!({ "template": "{q} {a}", "promptValues": { "q": "{{question}}", "a": "{{setVariable_0.data.instance}}" } });
    let chain = json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" });
    let nodes = [("m_0", "testModel", json!({})), ("p_0", "promptTemplate", prompt), ("c_0", "llmChain", chain)];
    let predicted = predict(&flow(&nodes).unwrap(), &json!({ "question": "q" }), &["an answer".into()]);
    assert_eq!(predicted.asked[0][0]["content"], "q {{setVariable_0.data.instance}}");
}
