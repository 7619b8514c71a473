use serde_json::json;
use std::cell::RefCell;

use super::*;
use crate::engine::contract::flows::{FlowIndex, Subflow};
use crate::engine::contract::node::Reply;
use crate::engine::contract::request::RunRequest;
use crate::engine::mcp::lab::{response, server};
use crate::engine::testing::{flow, flow_with, predict, within};

/// Question, chat and session.
type Questions = Vec<(String, String, String)>;

thread_local! {
    static ASKED: RefCell<Questions> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Other;

impl Subflow for Other {
    fn name(&self) -> &'static str {
        "other"
    }

    fn answer<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Reply> {
        let RunRequest { chat_id, session_id, .. } = run.request;
        let asked = (run.request.question().to_owned(), chat_id.clone(), session_id.clone());
        ASKED.with_borrow_mut(|all| all.push(asked));
        Box::pin(async { Ok(Reply::text("fine")) })
    }
}

fn tool() -> AsksFlow {
    let spec = ToolSpec { name: "t".into(), description: String::new(), parameters: json!({}) };
    let (flow, overrides) = ("id".to_owned(), Overriding::default());
    AsksFlow {
        spec,
        flow,
        elsewhere: None,
        kind: "chatflow",
        overrides,
        is_new: false,
        asks_own: false,
        custom: None,
        is_direct: false,
    }
}

/// What came of it, and what the other flow was asked.
fn called(tool: &AsksFlow, arguments: &Value) -> (Result<String, String>, Questions) {
    let body = json!({ "question": "Q", "chatId": "c", "overrideConfig": { "sessionId": "s" } });
    let result = within(&body, async |run| {
        let flows = Arc::new(FlowIndex::from_iter([("id".to_owned(), Arc::new(Other))]));
        let request = RunRequest { flows, ..run.request.clone() };
        tool.call(arguments, &Run { request: &request, ..*run }).await
    });
    (result.map(|result| result.text).map_err(|failure| failure.to_string()), ASKED.take())
}

fn asked(question: &str, chat: &str, session: &str) -> Questions {
    vec![(question.to_owned(), chat.to_owned(), session.to_owned())]
}

#[test]
fn another_flow_answers_in_the_session_that_asks() {
    let input = json!({ "input": "x" });
    assert_eq!(called(&tool(), &input), (Ok("fine".into()), asked("x", "c", "s")));
    let own = AsksFlow { asks_own: true, ..tool() };
    assert_eq!(called(&own, &input).1, asked("Q", "c", "s"));
    let custom = AsksFlow { custom: Some(Mustache::plain("fixed")), ..tool() };
    assert_eq!(called(&custom, &json!({})).1, asked("fixed", "c", "s"));
    let (new, all) = called(&AsksFlow { is_new: true, ..tool() }, &input);
    assert!(new.is_ok() && all[0].1 == all[0].2 && all[0].1 != "c", "{all:?}");
    let (failed, none) = called(&tool(), &json!({ "question": "x" }));
    assert_eq!((failed.unwrap_err().contains("did not match expected schema"), none), (true, Vec::new()));
    let unknown = AsksFlow { flow: "nowhere".into(), ..tool() };
    assert_eq!(called(&unknown, &input).0.unwrap_err(), "Chatflow nowhere not found");
}

#[test]
fn it_is_told_of_as_flowise_tells_it() {
    let flow = |kind: &str, inputs: Value| {
        flow(&[
            ("m_0", "testModel", json!({})),
            ("mem_0", "bufferMemory", json!({})),
            ("t_0", kind, inputs),
            (
                "agent_0",
                "toolAgent",
                json!({
                    "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}",
                    "tools": ["{{t_0.data.instance}}"],
                }),
            ),
        ])
    };
    let built =
        flow("agentAsTool", json!({ "selectedAgentflow": "id", "description": "Asks.", "baseURL": "" })).unwrap();
    let asked = predict(&built, &json!({ "question": "Q" }), &["A".into()]).asked;
    let parameters = json!({
        "type": "object",
        "properties": { "input": { "type": "string", "description": "input question" } },
        "required": ["input"],
        "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    });
    let told = json!([{ "name": "agentflow_tool", "description": "Asks.", "parameters": parameters }]);
    assert_eq!(asked[0]["tools"], told);
    let refused = flow("ChatflowTool", json!({ "selectedChatflow": "id", "baseURL": "nowhere" })).unwrap_err();
    assert!(refused.contains("input baseURL: expected a URL"), "{refused}");
    assert_eq!(flow("ChatflowTool", json!({})).unwrap().missing[0].need.to_string(), "selectedChatflow");
}

#[test]
fn a_flow_of_another_flowise_is_asked_there() {
    let (origin, hearing) = server(|heard| {
        if heard.line.ends_with("/gone") {
            return response("404 Not Found", "", "{\"message\":\"Chatflow gone not found\"}");
        }
        response("200 OK", "", "{\"text\":\"from afar\"}")
    });
    let ask = |id: &str| {
        let tool = json!({ "selectedChatflow": id, "baseURL": format!("{origin}/flowise/"),
            "overrideConfig": { "vars": { "a": "1" }, "temperature": 0.5 } });
        let nodes = [
            ("m", "testModel", json!({})),
            ("b", "bufferMemory", json!({})),
            ("t", "ChatflowTool", tool),
            (
                "a",
                "toolAgent",
                json!({ "model": "{{m.data.instance}}", "memory": "{{b.data.instance}}",
                "tools": ["{{t.data.instance}}"] }),
            ),
        ];
        let flow = flow_with(&[("chatflowApi", "chatflowApiKey", "its-key")], &nodes).unwrap();
        assert_eq!(flow.missing, []);
        let call = json!([{ "name": "chatflow_tool", "arguments": { "input": "x" } }]);
        let body = json!({ "question": "Q", "overrideConfig": { "sessionId": "s", "vars": { "secret": "ours" } } });
        let predicted = predict(&flow, &body, &[call, "done".into()]);
        let told = predicted.asked[1]["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        (hearing.try_iter().next().unwrap(), told.as_str().unwrap().to_owned())
    };
    let (heard, told) = ask("an/id");
    assert_eq!((heard.line.as_str(), told.as_str()), ("POST /flowise/api/v1/prediction/an%2Fid", "from afar"));
    assert!(
        heard.head.contains("authorization: bearer its-key") && heard.head.contains("flowise-tool: true"),
        "{}",
        heard.head
    );
    let overrides = json!({ "sessionId": "s", "temperature": 0.5, "vars": { "a": "1" } });
    assert_eq!(heard.body, json!({ "question": "x", "chatId": "chat", "overrideConfig": overrides }));
    let (_, told) = ask("gone");
    assert!(told.contains("404") && told.contains("Chatflow gone not found"), "{told}");
}
