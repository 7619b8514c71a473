//! What services are asked, and what models are told. Expected: what `recorded.jsonl` has of Flowise 3.1.4.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::Receiver;

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::account::{Account, ServiceProof};
use super::service::{OfficeService, ServiceAddress};
use super::tool::{DefaultParam, tools};
use super::{calendar, docs, drive, gmail, jira, outlook, sheets, teams};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::ToolResult;
use crate::engine::mcp::lab::{Heard, response, server};
use crate::engine::provider::Targets;
use crate::engine::testing::within;
use crate::engine::text::mustache::{JsonTemplate, Mustache};
use crate::telemetry::metrics::Metrics;

/// A line a case: written by `tests/flowise/lab/record-office.mjs`.
const RECORDED: &str = include_str!("recorded.jsonl");

fn service(name: &str) -> &'static OfficeService {
    match name {
        "gmail" => &gmail::GMAIL,
        "calendar" => &calendar::CALENDAR,
        "docs" => &docs::DOCS,
        "drive" => &drive::DRIVE,
        "sheets" => &sheets::SHEETS,
        "outlook" => &outlook::OUTLOOK,
        "teams" => &teams::TEAMS,
        _ => &jira::JIRA,
    }
}

/// As in the recording.
fn answer() -> String {
    let content = json!([{ "endIndex": 5 },
        { "endIndex": 9, "paragraph": { "elements": [{ "textRun": { "content": "Hi ü\n" } }, {}] } }]);
    let value = json!([{ "id": "m1", "userId": "userId-1", "message": { "id": "messageId-1" } }, { "id": "m2" }]);
    json!({ "id": "a1", "documentId": "d 1", "value": value, "body": { "content": content } }).to_string()
}

/// A service that answers everything with that status.
fn stub(status: &Arc<AtomicU16>) -> (String, Receiver<Heard>) {
    let status = Arc::clone(status);
    server(move |_| match status.load(Ordering::SeqCst) {
        200 => response("200 OK", "content-type: application/json\r\n", &answer()),
        _ => response("404 Not Found", "content-type: application/json\r\n", "{\"error\":\"no\"}"),
    })
}

fn account(service: &'static OfficeService, origin: &str) -> Arc<Account> {
    let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(origin, None).unwrap();
    let base = match service.place {
        ServiceAddress::Fixed { base, .. } => base,
        ServiceAddress::Jira => "/rest/api/3",
    };
    let proof = ServiceProof::Fixed(HeaderValue::from_static("Bearer T0KEN"));
    Arc::new(Account { service, endpoint, origin: origin.to_owned(), above: Mustache::default(), base, proof })
}

/// Calls an action once.
fn called(case: &Value, account: &Arc<Account>) -> Result<ToolResult, String> {
    let defaults = case["defaults"].as_object().cloned().unwrap_or_default();
    let default = |(name, value): (String, Value)| DefaultParam {
        name: Box::leak(name.into_boxed_str()),
        value: JsonTemplate::Fixed(value),
        always: true,
    };
    let defaults = defaults.into_iter().map(default).collect();
    let chosen = [case["action"].as_str().unwrap().to_owned()];
    let tools = tools(Some(&chosen), account, &defaults);
    let [tool] = tools.as_slice() else { panic!("{case}") };
    within(&json!({ "question": "q" }), async |run| {
        tool.call(&case["args"], run).await.map_err(|failure: Failure| format!("{failure}"))
    })
}

#[test]
fn each_action_asks_and_tells_what_flowise_does() {
    let status = Arc::new(AtomicU16::new(200));
    let (origin, hearing) = stub(&status);
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let service = service(case["service"].as_str().unwrap());
        status.store(u16::try_from(case["status"].as_u64().unwrap()).unwrap(), Ordering::SeqCst);
        let result = called(&case, &account(service, &origin));
        let heard: Vec<Value> = hearing.try_iter().map(|heard| shown(&heard)).collect();
        let asked: Vec<Value> = case["requests"].as_array().unwrap().iter().map(recorded).collect();
        if let ServiceAddress::Fixed { origin, .. } = service.place {
            assert!(case["requests"].as_array().unwrap().iter().all(|request| request["origin"] == origin), "{case}");
        }
        let told = match result {
            Ok(ToolResult { text, arguments, .. }) => {
                let text = if text == answer() { "=".to_owned() } else { text };
                let called = if case.get("called").is_some() { arguments } else { None };
                json!({ "text": text, "called": called })
            }
            Err(error) => json!({ "failed": error }),
        };
        let expected = match case.get("failed") {
            Some(failed) => json!({ "failed": failed }),
            None => json!({ "text": case["text"], "called": case.get("called") }),
        };
        if (&heard, &told) != (&asked, &expected) {
            wrong.push(format!("{}\n  {heard:?}\n  {asked:?}\n  {told}\n  {expected}", case["action"]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// What a request says; JSON in it by its value.
fn request(line: &str, body: &str) -> Value {
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    // The same to whoever reads an address.
    let line = line.replace("%24", "$").replace('\'', "%27");
    json!([line, body])
}

fn recorded(asked: &Value) -> Value {
    request(asked["line"].as_str().unwrap(), asked["body"].as_str().unwrap())
}

fn shown(heard: &Heard) -> Value {
    assert!(heard.head.contains("\r\nauthorization: bearer t0ken"), "{}", heard.head);
    request(&heard.line, &heard.text)
}

#[test]
fn values_do_not_leave_their_places() {
    let status = Arc::new(AtomicU16::new(200));
    let (origin, hearing) = stub(&status);
    let case = |service: &str, action: &str, args: Value| {
        let case = json!({ "action": action, "args": args, "defaults": {} });
        let result = called(&case, &account(super::tests::service(service), &origin));
        (result, hearing.try_iter().next())
    };
    let line = |service: &str, action: &str, args: Value| case(service, action, args).1.unwrap().line;
    assert_eq!(
        line("gmail", "getMessage", json!({ "id": "a/../b?c" })),
        "GET /gmail/v1/users/me/messages/a%2F..%2Fb%3Fc"
    );
    let (result, heard) = case("outlook", "getEvent", json!({ "eventId": ".." }));
    assert!(heard.is_none() && result.unwrap().text.starts_with("Error getting event: Error: a value in a path"));
    let folder = line("drive", "listFolderContents", json!({ "folderId": "x' or name contains 'a" }));
    assert!(folder.contains("q=%27x%5C%27+or+name+contains+%5C%27a%27+in+parents"), "{folder}");
    let issues = line("jira", "listIssues", json!({ "projectKey": "A\" or x=\"1" }));
    assert!(issues.contains("jql=project+%3D+%22A%5C%22+or+x%3D%5C%221%22&"), "{issues}");
    let sent = case("gmail", "sendMessage", json!({ "to": "a@x\r\nBcc: b@x", "body": "x" })).1.unwrap();
    assert!(sent.body["raw"].as_str().unwrap().starts_with("VG86IGFAeCAgQmNjOiBiQHgN"), "{sent:?}");
    let boundary = "-------314159265358979323846";
    let args = json!({ "name": "n", "mimeType": "text/x", "content": format!("--{boundary}\r\n\r\nmine") });
    let upload = case("drive", "createFile", args).1.unwrap();
    assert_eq!(upload.text.matches(&format!("--{boundary}\r\n")).count(), 1, "{}", upload.text);
    // What a service repeats of its token is not told.
    let (origin, _) = server(|_| response("401 Unauthorized", "", "bad T0KEN"));
    let case = json!({ "action": "listLabels", "args": {}, "defaults": {} });
    let told = called(&case, &account(&gmail::GMAIL, &origin)).unwrap().text;
    assert_eq!(told, "Error listing labels: Error: Gmail API Error 401: Unauthorized - bad [key]");
}

#[test]
fn models_are_told_of_every_action() {
    let all = [
        (&gmail::GMAIL, 24),
        (&calendar::CALENDAR, 13),
        (&docs::DOCS, 9),
        (&drive::DRIVE, 14),
        (&sheets::SHEETS, 10),
        (&outlook::OUTLOOK, 20),
        (&teams::TEAMS, 29),
        (&jira::JIRA, 17),
    ];
    for (service, count) in all {
        let specs: Map<String, Value> = serde_json::from_str(service.specs).unwrap();
        let tools = tools(None, &account(service, "http://127.0.0.1:1"), &Arc::from([]));
        assert_eq!((specs.len(), tools.len()), (count, count), "{:?}", service.names);
        let actions = service.actions.iter().copied().flatten().map(|action| action.name);
        assert!(actions.eq(specs.keys().map(String::as_str)), "{:?}", service.names);
    }
    let account = account(&gmail::GMAIL, "http://127.0.0.1:1");
    let tools = tools(Some(&["getDraft".to_owned()]), &account, &Arc::from([]));
    let spec = tools[0].spec();
    let told = "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"description\":\"ID of the resource\"}},\
                \"required\":[\"id\"],\"additionalProperties\":false,\"$schema\":\"http://json-schema.org/draft-07/schema#\"}";
    assert_eq!((&*spec.name, &*spec.description), ("get_draft", "Get a specific draft from Gmail"));
    assert_eq!(spec.parameters.to_string(), told);
}
