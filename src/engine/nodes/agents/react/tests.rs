//! Expected: what `LangChain`'s parser and executor make of the same answers of a model.

use serde_json::json;

use super::{action, answer};
use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{flow, predictions};

#[test]
fn it_reasons_and_acts_in_turns() {
    let tools = json!(["{{c_0.data.instance}}"]);
    let chat = json!({
        "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": tools,
    });
    let nodes = [
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("c_0", "calculator", json!({})),
        ("agent_0", "reactAgentChat", chat),
    ];
    let first = "Thought: Do I need to use a tool? Yes\nAction: calculator\nAction Input: \"1+1\"";
    let last = "Thought: Do I need to use a tool? No\nFinal Answer: two";
    let requests = [
        (json!({ "question": "hi" }), vec!["yo".into()]),
        (json!({ "question": "What?" }), vec![first.into(), last.into()]),
    ];
    let predicted = predictions(&flow(&nodes).unwrap(), &requests);
    assert_eq!(predicted[0].reply.as_ref().unwrap().said, ReplyContent::Text("yo".into()));
    let asked = &predicted[1].asked;
    assert_eq!((asked.len(), &asked[0]["stop"]), (2, &json!(["\nObservation:"])));
    let prompt = asked[1]["messages"][0]["content"].as_str().unwrap();
    let end = format!(
        "Begin!\n\nPrevious conversation history:\nhi\\nyo\n\nNew input: What?\n{first}\n\nObservation: 2\nThought: "
    );
    assert!(prompt.starts_with("Assistant is a large") && prompt.ends_with(&end), "{prompt}");
    assert!(prompt.contains("should be one of [calculator]\n"), "{prompt}");
    let reply = predicted[1].reply.as_ref().unwrap();
    assert_eq!((&reply.said, reply.fields.len()), (&ReplyContent::Text("two".into()), 0));

    let plain = json!({ "model": "{{m_0.data.instance}}", "tools": tools });
    let remembering =
        [nodes[0].clone(), nodes[1].clone(), nodes[2].clone(), ("agent_0", "mrklAgentChat", nodes[3].2.clone())];
    let last = predictions(&flow(&remembering).unwrap(), &requests).pop().unwrap();
    assert_eq!(last.asked[1]["messages"][0]["content"], prompt);
    // By what it was called before, as well.
    for kind in ["reactAgentLLM", "mrklAgentLLM", "mrklAgentChat", "mrlkAgentLLM", "mrlkAgentChat"] {
        let nodes = [nodes[0].clone(), nodes[2].clone(), ("agent_0", kind, plain.clone())];
        let predicted = predictions(&flow(&nodes).unwrap(), &[(json!({ "question": "Q" }), vec!["A".into()])]);
        let prompt = predicted[0].asked[0]["messages"][0]["content"].as_str().unwrap();
        assert!(prompt.starts_with("Answer the following questions as best you can."), "{prompt}");
        assert!(prompt.ends_with("Begin!\n\nQuestion: Q\nThought:"), "{prompt}");
    }
}

#[test]
fn actions_are_found_as_javascript_finds_them() {
    let found = |text: &str| action(text).unwrap();
    let pair = |tool: &str, input: &str| Some((tool.to_owned(), input.to_owned()));
    assert_eq!(found("Action: a\nAction Input: b c"), pair("a", "b c"));
    assert_eq!(found("Action 1:a b Action 2 Input 3:  \n x\ny"), pair("a b", "x"));
    assert_eq!(found("Action: a\n\nb\nAction Input: c"), None);
    assert_eq!(found("Action: a"), None);
    let both = action("Action: a\nAction Input: b\nFinal Answer: c").unwrap_err();
    assert!(both.to_string().starts_with("Parsing LLM output produced both"), "{both}");
    assert_eq!(answer("x Final Answer: y Final Answer: z"), "y");
    assert_eq!(answer(" no words for it "), " no words for it ");
    // What begins again and again is looked at once.
    assert_eq!(found(&"Action: ".repeat(20_000)), None);
}
