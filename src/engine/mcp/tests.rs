//! The protocol, with servers on the loopback and a program.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use http::HeaderName;
use serde_json::{Value, json};

use super::lab::{Heard, echo_server, echoing, events_server, json_answer, program, response, server};
use super::*;
use crate::config::Secret;
use crate::engine::provider::Targets;
use crate::engine::provider::address::Address;
use crate::engine::testing::within;
use crate::engine::text::mustache::Mustache;

fn remote(origin: &str, path: &str) -> RemoteServer {
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let address = Address::of_operator(&format!("{origin}{path}"), &targets, PATIENCE).unwrap();
    let key = Mustache::plain("Bearer s3cret-key");
    RemoteServer { address, headers: vec![(HeaderName::from_static("authorization"), key)] }
}

/// The tools, then what a call of `echo` gives.
fn used(origin: &str, path: &str) -> Result<(Vec<String>, String), String> {
    let remote = remote(origin, path);
    within(&json!({ "question": "q" }), async |run| {
        let server = ReachedServer::Remote(remote.place([], run)?);
        let tools = server.tools(run).await?;
        let names = tools.iter().map(|tool| tool.spec.name.clone()).collect();
        // The list is kept.
        assert!(Arc::ptr_eq(&tools, &server.tools(run).await?));
        let result = server.call("echo", &json!({ "text": "hi" }), run).await?;
        Ok((names, as_models_read(&result)))
    })
    .map_err(|failure: Failure| failure.to_string())
}

const ECHOED: &str = "[{\"type\":\"text\",\"text\":\"{\\\"text\\\":\\\"hi\\\"}\"}]";

fn all(hearing: &mpsc::Receiver<Heard>) -> Vec<Heard> {
    hearing.try_iter().collect()
}

#[test]
fn a_server_is_greeted_asked_and_called() {
    let (origin, hearing) = echo_server();
    let (names, text) = used(&origin, "/mcp?k=1").unwrap();
    assert_eq!((names, text.as_str()), (vec!["echo".to_owned(), "other_tool".to_owned()], ECHOED));
    let heard = all(&hearing);
    let methods: Vec<&str> = heard.iter().map(Heard::method).collect();
    let each = ["initialize", "notifications/initialized"];
    assert_eq!(methods, [each.as_slice(), &["tools/list"], &each, &["tools/call"]].concat());
    assert!(heard.iter().all(|heard| heard.line == "POST /mcp?k=1"), "{heard:?}");
    let accepts = "\r\naccept: application/json, text/event-stream\r\n";
    assert!(heard.iter().all(|heard| heard.head.contains(accepts)), "{heard:?}");
    assert!(heard.iter().all(|heard| heard.head.contains("\r\nauthorization: bearer s3cret-key")), "{heard:?}");
    // The server's session and the version that it chose, once it has said so.
    assert!(!heard[0].head.contains("mcp-session-id") && !heard[0].head.contains("mcp-protocol-version"));
    assert!(heard[1..3].iter().all(|heard| heard.head.contains("\r\nmcp-session-id: s-1")), "{heard:?}");
    assert!(heard[2].head.contains("\r\nmcp-protocol-version: 2025-06-18"), "{heard:?}");
    assert_eq!(heard[0].body["params"]["clientInfo"]["name"], "flowgate");
    assert_eq!(heard[5].body["params"], json!({ "name": "echo", "arguments": { "text": "hi" } }));
}

#[test]
fn answers_may_come_as_events_with_questions_in_between() {
    let (origin, hearing) = server(|heard| {
        if heard.method().starts_with("notifications/") || heard.body.get("result").is_some() {
            return response("202 Accepted", "", "");
        }
        let ping = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
        let answer = json!({ "jsonrpc": "2.0", "id": heard.body["id"], "result": echoing(heard) });
        let body = format!(": hello\n\nid: 1\ndata:\n\nevent: message\ndata: {ping}\n\ndata: {answer}\n\n");
        response("200 OK", "content-type: text/event-stream; charset=utf-8\r\n", &body)
    });
    assert_eq!(used(&origin, "/mcp").unwrap().1, ECHOED);
    let replies = all(&hearing).into_iter().filter(|heard| heard.body.get("result").is_some());
    assert_eq!(replies.map(|heard| heard.body["id"].clone()).collect::<Vec<_>>(), vec![json!(7); 4]);
}

#[test]
fn servers_of_the_first_version_are_listened_to() {
    let (origin, hearing) = events_server();
    assert_eq!(used(&origin, "/sse").unwrap().1, ECHOED);
    let heard = all(&hearing);
    let lines: Vec<&str> = heard.iter().map(|heard| heard.line.as_str()).collect();
    let message = "POST /messages?id=1";
    let each = ["POST /sse", "GET /sse", message, message, message];
    assert_eq!(lines, [each, each].concat());
    assert!(heard.iter().all(|heard| heard.head.contains("\r\nauthorization: bearer s3cret-key")), "{heard:?}");
}

#[test]
fn what_a_server_says_no_with_is_told_without_keys() {
    let (origin, _hearing) = server(|heard| {
        if heard.line.starts_with("GET") {
            return response("401 Unauthorized", "", "");
        }
        response("401 Unauthorized", "content-type: text/plain\r\n", "no: s3cret-key")
    });
    assert_eq!(used(&origin, "/mcp").unwrap_err(), "SSE error: Non-200 status code (401)");
    let (origin, _hearing) = server(|heard| match heard.method() {
        "notifications/initialized" => response("202 Accepted", "", ""),
        "tools/list" => response("500 Internal Server Error", "", "broken for s3cret-key"),
        _ => json_answer(heard, &echoing(heard)),
    });
    let told = "Streamable HTTP error: Error POSTing to endpoint: broken for [key]";
    assert_eq!(used(&origin, "/mcp").unwrap_err(), told);
    let (origin, _hearing) = server(|heard| {
        let greeting = json!({ "protocolVersion": "1999-01-01" });
        json_answer(heard, &greeting)
    });
    assert_eq!(used(&origin, "/mcp").unwrap_err(), "Server's protocol version is not supported: 1999-01-01");
}

#[test]
fn a_redirection_keeps_the_message_and_stays_there() {
    let (origin, hearing) = server(|heard| {
        if heard.line == "POST /mcp" {
            return response("307 Temporary Redirect", "location: /mcp/\r\n", "");
        }
        match heard.method() {
            "notifications/initialized" => response("202 Accepted", "", ""),
            _ => json_answer(heard, &echoing(heard)),
        }
    });
    assert_eq!(used(&origin, "/mcp").unwrap().1, ECHOED);
    assert_eq!(all(&hearing).iter().filter(|heard| heard.line == "POST /mcp").count(), 2);
    let (origin, _hearing) =
        server(|_| response("307 Temporary Redirect", "location: http://169.254.169.254/\r\n", ""));
    assert_eq!(used(&origin, "/mcp").unwrap_err(), "it was redirected to another server");
}

struct Started {
    spec: Arc<ProgramSpec>,
    _folder: tempfile::TempDir,
}

fn started(token: &str) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let args = vec![Secret::new("first".to_owned())];
    let env = vec![("TOKEN".to_owned(), Secret::new(token.to_owned()))];
    let spec = Arc::new(ProgramSpec::new("test", &program(folder.path()), args, env));
    Started { spec, _folder: folder }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn a_program_is_started_once_and_ends_with_all_that_it_started() {
    let started = started("t0ken-of-it");
    let (first, second) = within(&json!({ "question": "q" }), async |run| {
        let server = ReachedServer::Program(&started.spec);
        let names: Vec<String> = server.tools(run).await.unwrap().iter().map(|tool| tool.spec.name.clone()).collect();
        assert_eq!(names, ["who", "last"]);
        let error = server.call("fault", &json!({}), run).await.unwrap_err();
        assert_eq!(error.to_string(), "MCP error -32602: no such tool");
        let first = server.call("who", &json!({}), run).await.unwrap();
        let long = json!({ "x": "y".repeat(10_000) });
        let calls = (0..20).map(|_| server.call("who", &long, run));
        let results = futures_util::future::join_all(calls).await;
        let pids = text(&first).split(' ').take(2).map(|pid| PathBuf::from("/proc").join(pid)).collect::<Vec<_>>();
        assert!(pids.iter().all(|pid| pid.exists()), "{pids:?}");
        let stopping = Instant::now();
        run.services.servers.stop();
        assert!(stopping.elapsed() < Duration::from_secs(10));
        let end = Instant::now() + Duration::from_secs(10);
        while pids[0].exists() || is_alive(&pids[1]) {
            assert!(Instant::now() < end, "{pids:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (text(&first).to_owned(), results.into_iter().map(Result::unwrap).collect::<Vec<_>>())
    });
    // Nothing of the gateway's environment, and what the configuration names.
    assert!(first.ends_with(" first t0ken-of-it none"), "{first}");
    assert!(second.iter().all(|result| text(result) == first), "one program for all");
}

/// What was killed may wait for its parent to look.
fn is_alive(process: &std::path::Path) -> bool {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn a_program_that_ends_is_started_again_later() {
    let started = started("t0ken-of-it");
    within(&json!({ "question": "q" }), async |run| {
        let server = ReachedServer::Program(&started.spec);
        let error = server.call("crash", &json!({}), run).await.unwrap_err();
        assert_eq!(error.to_string(), "the MCP server test ended");
        let deadline = Instant::now() + Duration::from_secs(20);
        let again = loop {
            match server.call("who", &json!({}), run).await {
                Ok(result) => break result,
                Err(failure) => {
                    let words = failure.to_string();
                    assert!(words.contains("ended") && Instant::now() < deadline, "{words}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        assert!(text(&again).contains(" first "));
        run.services.servers.stop();
    });
}

#[test]
fn a_program_that_cannot_be_started_is_told_of() {
    let spec = Arc::new(ProgramSpec::new("gone", "/nowhere/server", Vec::new(), Vec::new()));
    within(&json!({ "question": "q" }), async |run| {
        let server = ReachedServer::Program(&spec);
        let error = server.call("x", &json!({}), run).await.unwrap_err();
        assert_eq!(error.to_string(), "the MCP server gone cannot be started");
        let text = String::from_utf8(run.services.metrics.render()).unwrap();
        assert!(text.contains("flowgate_engine_mcp_starts_total{result=\"failed\",server=\"gone\"} 1"), "{text}");
        assert!(text.contains("result=\"unreachable\",transport=\"program\"} 1"), "{text}");
        run.services.servers.stop();
    });
}
