//! Expected: what Flowise 3.1.4's own node sent and gave with the same answers of a model.

use serde_json::{Value, json};

use super::super::super::super::testing::{Predicted, flow, predict, predictions};
use crate::engine::contract::node::ReplyContent;

fn agent(inputs: &Value, answers: &[Value]) -> Predicted {
    let mut own = json!({
        "model": "{{m_0.data.instance}}",
        "memory": "{{mem_0.data.instance}}",
        "tools": ["{{c_0.data.instance}}", "{{d_0.data.instance}}"],
    });
    own.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("c_0", "calculator", json!({})),
        ("d_0", "currentDateTime", json!({})),
        ("agent_0", "conversationalAgent", own),
    ]);
    let body = json!({ "question": "What is {x}?", "history": [{ "role": "userMessage", "content": "hi" }] });
    predict(&flow.unwrap(), &body, answers)
}

const SYSTEM_END: &str =
    " However, above all else, all responses must adhere to the format of RESPONSE FORMAT INSTRUCTIONS.";

fn block(json: &str) -> Value {
    format!("```json\n{json}\n```").into()
}

#[test]
fn tools_are_called_in_json_and_what_they_gave_is_told() {
    let answers = [
        block(r#"{"action":"calculator","action_input":"1+1"}"#),
        r#"{"action":"nope","action_input":{"a":1}}"#.into(),
        block(r#"{"action":"Final Answer","action_input":"two"}"#),
    ];
    let predicted = agent(&json!({ "systemMessage": "Sys {\"a\":1}" }), &answers);
    let asked = &predicted.asked;
    assert_eq!((asked.len(), &asked[0]["stop"]), (3, &json!(["\nObservation"])));
    let messages = asked[2]["messages"].as_array().unwrap();
    assert_eq!(messages[0], json!({ "role": "system", "content": format!("Sys {{\"a\":1}}{SYSTEM_END}") }));
    assert_eq!(messages[1], json!({ "role": "user", "content": "hi" }));
    let human = messages[2]["content"].as_str().unwrap();
    let tools = "The tools the human can use are:\n\ncalculator: Useful for getting the result of a math expression.";
    let option = "```json\n{\n    \"action\": string, // The action to take. Must be one of [calculator, \
                  current_date_time]\n    \"action_input\": string // The input to the action. May be a stringified \
                  object.\n}\n```";
    assert!(human.starts_with("TOOLS\n------\nAssistant can ask") && human.contains(tools), "{human}");
    let end = "(begin with \"```json\" and end with \"```\")!\n\n\nUSER'S INPUT\n--------------------\nHere is the \
               user's input (remember to respond with a markdown code snippet of a json blob with a single action, and \
               NOTHING else):\n\nWhat is {x}?";
    assert!(human.contains(option) && human.ends_with(end), "{human}");
    let told = |what: &str| {
        format!(
            "TOOL RESPONSE:\n---------------------\n{what}\n\nUSER'S INPUT\n--------------------\n\nOkay, so what is the \
             response to my last comment? If using information obtained from the tools you must mention it explicitly \
             without mentioning the tool names - I have forgotten all TOOL RESPONSES! Remember to respond with a \
             markdown code snippet of a json blob with a single action, and NOTHING else."
        )
    };
    let pad = json!([
        { "role": "assistant", "content": answers[0] },
        { "role": "user", "content": told("2") },
        { "role": "assistant", "content": answers[1] },
        { "role": "user", "content": told("nope is not a valid tool, try another one.") },
    ]);
    assert_eq!(Value::from(&messages[3..]), pad);
    let reply = predicted.reply.unwrap();
    assert_eq!(reply.said, ReplyContent::Text("two".into()));
    let used = json!([{ "tool": "calculator", "toolInput": "1+1", "toolOutput": "2" }]);
    assert_eq!(reply.fields.get("usedTools"), Some(&used));
}

#[test]
fn what_cannot_be_read_is_mended_once() {
    let predicted = agent(&json!({}), &["not json".into(), r#"{"action":"Final Answer","action_input":"ok"}"#.into()]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("ok".into()));
    let system = predicted.asked[0]["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Assistant is a large language model trained by OpenAI.\n\n"), "{system}");
    assert!(system.ends_with(&format!("Assistant is here to assist.{SYSTEM_END}")), "{system}");
    let mending = predicted.asked[1][0]["content"].as_str().unwrap();
    let start = "Instructions:\n--------------\nRESPONSE FORMAT INSTRUCTIONS\n----------------------------\n\nOutput a";
    let end = "--------------\nCompletion:\n--------------\nnot json\n--------------\n\nAbove, the Completion did not \
               satisfy the constraints given in the Instructions.\nError:\n--------------\n{\"sendToLLM\":false,\
               \"lc_error_code\":\"OUTPUT_PARSING_FAILURE\"}\n--------------\n\nPlease try again. Please only respond \
               with an answer that satisfies the constraints laid out in the Instructions:";
    assert!(mending.starts_with(start) && mending.contains("```json\n{{\n") && mending.ends_with(end), "{mending}");
    let failed = agent(&json!({}), &["not json".into(), "still not".into()]).reply.unwrap_err();
    assert!(failed.to_string().starts_with("Failed to parse. Text: \"still not\"."), "{failed}");
}

#[test]
fn an_object_goes_to_tools_that_take_one_and_the_end_comes_after_so_many_calls() {
    let call = block(r#"{"action":"current_date_time","action_input":{}}"#);
    let predicted = agent(&json!({ "maxIterations": 2 }), &[call.clone(), call.clone(), call]);
    assert_eq!(predicted.asked.len(), 2);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text(super::STOPPED.into()));
}

#[test]
fn a_summary_is_made_anew_before_each_call_and_only_of_the_last_exchange() {
    let own = json!({
        "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "tools": ["{{c_0.data.instance}}"],
        "systemMessage": "S",
    });
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "conversationSummaryMemory", json!({ "model": "{{m_0.data.instance}}" })),
        ("c_0", "calculator", json!({})),
        ("agent_0", "conversationalAgent", own),
    ]);
    let answer: Value = r#"{"action":"Final Answer","action_input":"A"}"#.into();
    let call: Value = r#"{"action":"calculator","action_input":"1+1"}"#.into();
    let predicted = predictions(
        &flow.unwrap(),
        &[
            (json!({ "question": "one" }), vec![answer.clone()]),
            (json!({ "question": "two" }), vec!["first".into(), call, "second".into(), answer]),
        ],
    );
    // Of nothing there is a summary of nothing.
    assert_eq!(predicted[0].asked[0]["messages"][1], json!({ "role": "system", "content": "" }));
    let asked = &predicted[1].asked;
    assert_eq!(asked.len(), 4);
    let prompt = asked[0][0]["content"].as_str().unwrap();
    assert!(prompt.ends_with("Current summary:\n\n\nNew lines of conversation:\nHuman: one\nAI: A\n\nNew summary:"));
    assert_eq!(asked[1]["messages"][1], json!({ "role": "system", "content": "first" }));
    assert_eq!(asked[3]["messages"][1], json!({ "role": "system", "content": "second" }));
    assert_eq!(asked[3]["messages"].as_array().unwrap().len(), 5);
}
