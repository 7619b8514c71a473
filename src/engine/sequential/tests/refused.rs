//! What cannot be run is told when the flow is loaded.

use serde_json::{Value, json};

use super::{behind, drawn, end, export, model, reference, start};
use crate::engine::testing::{load, predict};

#[test]
fn obstacles_are_told_by_node_and_input() {
    let refused = |agent: Value, more: &[(&'static str, &'static str, Value)]| {
        let mut nodes = vec![model(), start(json!({})), ("a_0", "seqAgent", agent), end("end_0", "a_0")];
        nodes.extend(more.iter().cloned());
        drawn(&nodes, &[]).err().unwrap_or_default()
    };
    let agent = |more: Value| behind(&["start_0"], super::with(json!({ "agentName": "A" }), more));
    assert_eq!(refused(agent(json!({})), &[]), "");
    let unknown =
        "node \"a_0\" (seqAgent), input conversationHistorySelection: Unhandled conversationHistorySelection: x";
    assert_eq!(refused(agent(json!({ "conversationHistorySelection": "x" })), &[]), unknown);
    let looping = ("loop_0", "seqLoop", behind(&["a_0"], json!({ "loopToName": "Nobody" })));
    let nowhere = "node \"loop_0\" (seqLoop), input loopToName: there is no such node in the flow";
    assert_eq!(refused(agent(json!({})), &[looping]), nowhere);
    let second = ("start_1", "seqStart", json!({ "model": reference("m_0") }));
    assert!(refused(agent(json!({})), &[second]).contains("a flow has one start; this one has 2"));
    // A tab that is not chosen is no obstacle.
    assert_eq!(refused(agent(json!({ "updateStateMemoryCode": "return {}" })), &[]), "");
}

#[test]
fn two_nodes_with_one_name_are_two() {
    let agent = |before: &str| behind(&[before], json!({ "agentName": "Same" }));
    let nodes = [
        model(),
        start(json!({})),
        ("a_0", "seqAgent", agent("start_0")),
        ("b_0", "seqAgent", agent("a_0")),
        end("end_0", "b_0"),
    ];
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &json!({ "question": "q" }), &["one".into(), "two".into()]);
    assert_eq!(predicted.text(), "two");
}

#[test]
fn places_without_a_value_are_told_when_somebody_asks() {
    let nodes = [
        model(),
        start(json!({})),
        ("a_0", "seqAgent", behind(&["start_0"], json!({ "agentName": "A", "systemMessagePrompt": "{who}" }))),
        end("end_0", "a_0"),
    ];
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &json!({ "question": "q" }), &["one".into()]);
    assert_eq!(predicted.reply.unwrap_err().to_string(), "Error: Agent input variables values are not provided!");
}

#[test]
fn edges_that_lead_in_a_circle_are_refused() {
    let nodes = [
        model(),
        start(json!({})),
        ("a_0", "seqAgent", behind(&["start_0", "b_0"], json!({ "agentName": "A" }))),
        ("b_0", "seqAgent", behind(&["a_0"], json!({ "agentName": "B" }))),
        end("end_0", "b_0"),
    ];
    let problems = load(&export(&nodes, &[])).err().unwrap();
    assert!(problems.contains("its edges lead in a circle"), "{problems}");
}

#[test]
fn what_its_author_left_empty_is_told_when_somebody_asks() {
    let agent = |more: Value| ("a_0", "seqAgent", behind(&["start_0"], super::with(json!({ "agentName": "A" }), more)));
    let request = ("r_0", "requestsGet", json!({}));
    for (agent, more, told) in [
        (agent(json!({ "agentName": "" })), None, "Nothing is set in agentName of the node \"a_0\"."),
        (
            agent(json!({ "tools": [reference("r_0")] })),
            Some(request),
            "Nothing is set in requestsGetUrl of the node \"r_0\".",
        ),
    ] {
        let mut nodes = vec![model(), start(json!({})), agent, end("end_0", "a_0")];
        nodes.extend(more);
        let flow = drawn(&nodes, &[]).unwrap();
        assert_eq!(flow.missing.len(), 1);
        assert_eq!(predict(&flow, &json!({ "question": "q" }), &["no".into()]).reply.unwrap_err().to_string(), told);
    }
}

#[test]
fn a_start_needs_no_model_where_agents_have_their_own() {
    let agent = |more: Value| ("a_0", "seqAgent", behind(&["start_0"], super::with(json!({ "agentName": "A" }), more)));
    let start = ("start_0", "seqStart", json!({}));
    let own = [model(), start.clone(), agent(json!({ "model": reference("m_0") })), end("end_0", "a_0")];
    let predicted = predict(&drawn(&own, &[]).unwrap(), &json!({ "question": "q" }), &["yes".into()]);
    assert_eq!(predicted.text(), "yes");
    let none = drawn(&[start, agent(json!({})), end("end_0", "a_0")], &[]).err().unwrap();
    assert!(none.contains("input model: a chat model is required, here or at the start"), "{none}");
}
