//! Conditions, each in a flow of its own.

use serde_json::{Value, json};

use super::draw::{Drawing, reply};
use super::lab::{Lab, run};

fn flow(condition: &Value) -> String {
    Drawing::new(&json!({}))
        .node("if", "conditionAgentflow", &json!({ "conditions": [condition] }))
        .node("yes", "directReplyAgentflow", &reply("yes"))
        .node("no", "directReplyAgentflow", &reply("no"))
        .line(&["start", "if:0", "yes"])
        .line(&["if:1", "no"])
        .export()
}

#[test]
fn values_are_compared_by_their_type() {
    for (condition, expected) in [
        (json!({ "type": "string", "value1": "**A**", "operation": "equal", "value2": "A" }), "yes"),
        (json!({ "type": "number", "value1": "12 things", "operation": "smallerEqual", "value2": "11" }), "no"),
        (json!({ "type": "number", "value1": "", "operation": "smallerEqual", "value2": "11" }), "yes"),
        (json!({ "type": "boolean", "value1": "true", "operation": "equal", "value2": true }), "yes"),
        (json!({ "type": "string", "value1": "", "operation": "isEmpty" }), "yes"),
        // Long ones are compared elsewhere.
        (json!({ "type": "string", "value1": "{{ question }}", "operation": "contains", "value2": "a a" }), "yes"),
        (json!({ "type": "string", "value1": "{{ question }}", "operation": "regex", "value2": "b" }), "no"),
    ] {
        run(async {
            let lab = Lab::new(&flow(&condition)).await;
            let answer = lab.ask(json!({ "question": "*a* ".repeat(50_000), "chatId": "c" })).await;
            assert_eq!(answer.text(), expected, "{condition}");
        });
    }
}
