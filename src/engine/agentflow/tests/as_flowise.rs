//! Where the engine was once of another opinion than Flowise.

use serde_json::json;

use super::draw::{Drawing, reply};
use super::lab::{Lab, export, run};

#[test]
fn an_edge_that_a_condition_no_longer_has_leads_where_the_others_lead() {
    let flow = Drawing::new(&json!({}))
        .node(
            "if",
            "conditionAgentflow",
            &json!({ "conditions": [
            { "type": "string", "value1": "{{ question }}", "operation": "contains", "value2": "alpha" },
        ] }),
        )
        .node("one", "directReplyAgentflow", &reply("one"))
        .node("two", "directReplyAgentflow", &reply("two"))
        .line(&["start", "if:0", "one"])
        .line(&["if:2", "two"])
        .line(&["if:1", "two"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "alpha", "chatId": "c" })).await;
        assert_eq!(answer.path(), ["start", "if", "one"]);
        // As often as edges lead there, as in Flowise.
        let answer = lab.ask(json!({ "question": "beta", "chatId": "c" })).await;
        assert_eq!(answer.path(), ["start", "if", "two", "two"]);
    });
}

#[test]
fn a_flow_whose_inner_flow_fails_goes_on_with_the_error_as_text() {
    let flow = Drawing::new(&json!({}))
        .node(
            "flow",
            "executeFlowAgentflow",
            &json!({ "executeFlowSelectedFlow": "other", "executeFlowInput": "{{ question }}" }),
        )
        .node("end", "directReplyAgentflow", &reply("It said {{ flow }}"))
        .line(&["start", "flow", "end"]);
    run(async {
        let lab = Lab::with_others(&flow.export(), &[("other", &export("llm-chain"))]).await;
        let answer = lab.ask(json!({ "question": "x [[error=400]]", "chatId": "c" })).await;
        let error = "It said {\n  \"statusCode\": 500,\n  \"success\": false,\n  \"message\": \"Error: \
                     predictionsServices.buildChatflow - 400 stub error 400\",\n  \"stack\": {}\n}";
        assert_eq!(answer.text(), error);
    });
}

#[test]
fn items_of_an_iteration_are_filled_in_whatever_they_are() {
    let flow = Drawing::new(&json!({}))
        .node(
            "each",
            "iterationAgentflow",
            &json!({ "iterationInput": "[\"a\", 2.5, 0, \"\", false, null, {\"x\": 1}, [7]]" }),
        )
        .node("say", "directReplyAgentflow", &reply("{{ $iteration }}/{{ $iteration.x }}/{{ $iteration[0] }}"))
        .inside("each")
        .node("end", "directReplyAgentflow", &reply("{{ each }}"))
        .line(&["start", "each", "end"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "q", "chatId": "c" })).await;
        let expected = [
            "a/a/a",
            "2.5/{{ $iteration.x }}/{{ $iteration[0] }}",
            "0/{{ $iteration.x }}/{{ $iteration[0] }}",
            "//",
            "false/{{ $iteration.x }}/{{ $iteration[0] }}",
            "null/{{ $iteration.x }}/{{ $iteration[0] }}",
            "{\"x\":1}/1/undefined",
            "[7]/undefined/7",
        ];
        assert_eq!(answer.text().lines().collect::<Vec<_>>(), expected);
    });
}
