//! Expected: what Flowise 3.1.4's own node sent and gave with the same answers of a model.

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{flow, predictions};

#[test]
fn tools_and_answers_stand_in_tags() {
    let own = json!({
        "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": ["{{c_0.data.instance}}"],
    });
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("c_0", "calculator", json!({})),
        ("agent_0", "xmlAgent", own),
    ])
    .unwrap();
    let first = "<tool>calculator</tool><tool_input>1+1";
    let answers = vec![first.into(), "<tool>nope</tool>".into(), "hm <final_answer>two</final_answer> x".into()];
    let predicted = predictions(
        &flow,
        &[(json!({ "question": "hi" }), vec!["yo".into()]), (json!({ "question": "What is {x}?" }), answers)],
    );
    assert_eq!(predicted[0].reply.as_ref().unwrap().said, ReplyContent::Text("yo".into()));
    let asked = &predicted[1].asked;
    assert_eq!((asked.len(), &asked[0]["stop"]), (3, &json!(["</tool_input>", "</final_answer>"])));
    let prompt = asked[0]["messages"][0]["content"].as_str().unwrap();
    assert!(prompt.contains("following tools:\n\n[\"calculator: Useful for getting the result"), "{prompt}");
    let end = "Begin!\n\nPrevious Conversation:\n\\nHuman:hi\\nAI:yo\n\nQuestion: What is {x}?\n[]";
    assert!(prompt.ends_with(end), "{prompt}");
    let prompt = asked[1]["messages"][0]["content"].as_str().unwrap();
    let pad = format!(
        "Question: What is {{x}}?\n[{{\"lc\":1,\"type\":\"constructor\",\"id\":[\"langchain_core\",\"messages\",\
         \"AIMessage\"],\"kwargs\":{{\"content\":\"{first}\",\"tool_calls\":[],\"invalid_tool_calls\":[],\
         \"additional_kwargs\":{{}},\"response_metadata\":{{}}}}}},{{\"lc\":1,\"type\":\"constructor\",\"id\":\
         [\"langchain_core\",\"messages\",\"HumanMessage\"],\"kwargs\":{{\"content\":\"2\",\"additional_kwargs\":{{}},\
         \"response_metadata\":{{}}}}}}]"
    );
    assert!(prompt.ends_with(&pad), "{prompt}");
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let steps = [
        turn("assistant", first),
        turn("user", "2"),
        turn("assistant", "<tool>nope</tool>"),
        turn("user", "nope is not a valid tool, try another one."),
    ];
    assert_eq!(Value::from(&asked[2]["messages"].as_array().unwrap()[1..]), json!(steps));
    let reply = predicted[1].reply.as_ref().unwrap();
    // As Flowise, whose model stops before the end of the tag.
    assert_eq!(reply.said, ReplyContent::Text("two</final_answer> x".into()));
    let used = json!([{ "tool": "calculator", "toolInput": "1+1", "toolOutput": "2" }]);
    assert_eq!(reply.fields.get("usedTools"), Some(&used));
}

#[test]
fn a_prompt_without_a_place_for_tools_is_refused() {
    let own = json!({
        "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "systemMessage": "{input}",
    });
    let refused =
        flow(&[("m_0", "testModel", json!({})), ("mem_0", "bufferMemory", json!({})), ("a_0", "xmlAgent", own)]);
    assert!(refused.unwrap_err().contains("missing required input variables"));
}
