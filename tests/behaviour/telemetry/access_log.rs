//! The access log.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde_json::Value;

use super::{PREDICT, QUESTION, STREAM, endless, talking};
use crate::harness::client::{Connection, request};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::ports::nowhere;
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{KEY, client, wait_for};

fn names(line: &Value) -> BTreeSet<&str> {
    line.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Waits for the access-log line of that request in the format `text`.
fn text_line(gateway: &Gateway, request_id: &str) -> String {
    let part = format!(" INFO request {request_id} ");
    wait_for("a line", || gateway.log().into_iter().find(|line| line.contains(&part)))
}

#[test]
fn a_request_has_one_line_with_everything_about_it() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let headers = [("x-api-key", KEY), ("x-request-id", "whole-answer"), ("user-agent", "app/1")];
    let path = format!("{PREDICT}?question=private&api_key={KEY}");
    assert_eq!(client::post(gateway.http, &path, &headers, r#"{"question":"private"}"#).status, 200);
    let line = gateway.access_line("whole-answer");
    let expected = [
        "timestamp",
        "level",
        "message",
        "request_id",
        "client",
        "method",
        "path",
        "protocol",
        "route",
        "chatflow",
        "key",
        "status",
        "bytes",
        "duration_ms",
        "upstream_ms",
        "end",
    ];
    assert_eq!(names(&line), BTreeSet::from(expected));
    for (name, value) in [
        ("level", "INFO"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("path", PREDICT),
        ("protocol", "HTTP/1.1"),
        ("route", "prediction"),
        ("chatflow", "support"),
        ("key", "app"),
        ("end", "complete"),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], ANSWER.len());
    assert!(line["timestamp"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()));
    let (all, behind) = (line["duration_ms"].as_f64().unwrap(), line["upstream_ms"].as_f64().unwrap());
    assert!(behind > 0.0 && all >= behind, "{all} {behind}");
    let count = gateway.log().iter().filter(|line| line.contains("whole-answer")).count();
    assert_eq!(count, 1);
}

#[test]
fn a_stream_is_logged_at_its_end_with_its_events() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        reply.event("token", "hel");
        let _ = told.lock().unwrap().recv();
        reply.event("token", "lo");
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "one-stream")], STREAM));
    assert_eq!(connection.read_head().expect("an answer").status, 200);
    let mut bytes = connection.read_chunk().expect("a chunk").expect("an event").len();
    gateway.wait_metric("flowgate_streams_open", 1.0);
    // Another request's line comes first, although it was sent later.
    assert_eq!(client::get(gateway.http, "/api/v1/ping", &[("x-request-id", "a-later-one")]).status, 200);
    gateway.access_line("a-later-one");
    assert!(!gateway.log().iter().any(|line| line.contains("one-stream")));
    go.send(()).unwrap();
    while let Some(chunk) = connection.read_chunk().expect("a chunk") {
        bytes += chunk.len();
    }
    let line = gateway.access_line("one-stream");
    assert_eq!(line["end"], "done");
    assert_eq!(line["status"], 200);
    assert_eq!(line["events"], 3);
    assert_eq!(line["bytes"], bytes);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"done\"}", 1.0);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 3.0);
}

#[test]
fn a_refused_request_is_logged_with_its_code_and_rule() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let key = ("x-api-key", KEY);
    for (method, path, headers, expected) in [
        ("GET", "/nothing/here", vec![], ("other", "-", "-", 404, "not_found", Some("unknown_route"))),
        ("POST", PREDICT, vec![], ("prediction", "support", "-", 401, "missing_api_key", None)),
        ("GET", PREDICT, vec![key], ("prediction", "support", "-", 405, "method_not_allowed", Some("method"))),
        (
            "POST",
            PREDICT,
            vec![key, ("content-type", "text/plain")],
            ("prediction", "support", "app", 415, "unsupported_media_type", Some("media_type")),
        ),
        ("POST", PREDICT, vec![key], ("prediction", "support", "app", 400, "invalid_request", Some("unknown_field"))),
    ] {
        let response = client::send(gateway.http, method, path, &headers, r#"{"question":"hi","private":1}"#);
        let line = gateway.access_line(response.header("x-request-id").expect("an id"));
        let (route, chatflow, key, status, code, rule) = expected;
        assert_eq!(line["route"], route, "{line}");
        assert_eq!(line["chatflow"], chatflow, "{line}");
        assert_eq!(line["key"], key, "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["rule"].as_str(), rule, "{line}");
        assert_eq!(line["path"], path, "{line}");
        assert_eq!(line["bytes"], response.body.len(), "{line}");
        assert_eq!(line["end"], "complete", "{line}");
        assert!(line.get("upstream_ms").is_none(), "{line}");
    }
}

#[test]
fn a_client_that_leaves_while_it_waits_is_logged_as_499() {
    let upstream = endless();
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "left-waiting")], QUESTION));
    upstream.wait_seen(1);
    drop(connection);
    let line = gateway.access_line("left-waiting");
    assert_eq!((line["status"].as_u64(), line["end"].as_str()), (Some(499), Some("client_gone")));
    assert_eq!(line["bytes"], 0);
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"499\",key=\"app\",route=\"prediction\"}";
    gateway.wait_metric(series, 1.0);
}

#[test]
fn a_client_that_leaves_a_stream_is_logged_as_gone() {
    let upstream = endless();
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "left-a-stream")], STREAM));
    assert_eq!(connection.read_head().expect("an answer").status, 200);
    assert!(connection.read_chunk().expect("a chunk").is_some());
    drop(connection);
    let line = gateway.access_line("left-a-stream");
    assert_eq!((line["status"].as_u64(), line["end"].as_str()), (Some(200), Some("client_gone")));
    assert_eq!(line["events"], 1);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"client_gone\"}", 1.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
}

#[test]
fn an_answer_that_breaks_off_is_logged_as_broken() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"text\":");
        reply.cut();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "broken-answer")], QUESTION));
    assert!(connection.read_response().is_err(), "the client sees a cut");
    let line = gateway.access_line("broken-answer");
    assert_eq!(line["end"], "broken");
}

#[test]
fn what_a_client_writes_cannot_forge_a_line() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let forged = "/x\",\"status\":200,\"key\":\"app\"}{\"message\":\"request\"\\u000a";
    for (path, id) in [
        (forged, "forged-path-1"),
        ("/x%0a{\"message\":\"forged\"}%0d%0a", "forged-path-2"),
        ("/\\\"quotes\\\"", "forged-path-3"),
        ("/\u{2028}\u{85}\u{1f600}", "forged-path-4"),
    ] {
        let mut connection = Connection::open(gateway.http);
        connection.write(request("GET", path, &[("x-request-id", id), ("user-agent", forged)], ""));
        let response = connection.read_response().expect("an answer");
        response.assert_refused(404, "not_found");
        let line = gateway.access_line(id);
        assert_eq!(line["path"], path);
        assert_eq!((line["status"].as_u64(), line["key"].as_str()), (Some(404), Some("-")));
    }
    let long = format!("/{}", "x".repeat(5000));
    client::get(gateway.http, &long, &[("x-request-id", "a-long-path")]).assert_refused(404, "not_found");
    assert_eq!(gateway.access_line("a-long-path")["path"].as_str().map(str::len), Some(256));
    // Ids that might break a line are not taken over, and each line is one JSON object.
    let response = client::get(gateway.http, "/api/v1/ping", &[("x-request-id", "x\",\"status\":\"1")]);
    let line = gateway.access_line(response.header("x-request-id").expect("an id"));
    assert_eq!(line["status"], 200);
    for line in gateway.log() {
        assert!(serde_json::from_str::<Value>(&line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[test]
fn the_log_may_be_text() {
    let upstream = talking();
    let more = "log: { format: text }\nplans: { default: { requests: 60/min, burst: 60 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", more));
    let key = ("x-api-key", KEY);
    let path = format!("{PREDICT}?api_key={KEY}");
    client::post(gateway.http, &path, &[key, ("x-request-id", "text-whole")], QUESTION);
    let line = text_line(&gateway, "text-whole");
    let length = ANSWER.len();
    let (time, rest) = line.split_once(' ').expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    let start = format!(
        "INFO request text-whole POST {PREDICT} 200 client=127.0.0.1 chatflow=support key=app bytes={length} duration_ms="
    );
    assert!(rest.starts_with(&start), "{line}");
    assert!(line.ends_with(" end=complete"), "{line}");

    client::post(gateway.http, PREDICT, &[key, ("x-request-id", "text-stream")], STREAM);
    assert!(text_line(&gateway, "text-stream").ends_with(" end=done"));

    client::post(gateway.http, PREDICT, &[("x-request-id", "text-refused")], QUESTION);
    let line = text_line(&gateway, "text-refused");
    assert!(line.contains(" 401 ") && line.contains(" key=- "), "{line}");
    assert!(line.ends_with(" end=complete code=missing_api_key reason=\"missing\""), "{line}");

    let mut connection = Connection::open(gateway.http);
    connection.write(request("GET", "/\"x\"\\y\u{2028}z", &[("x-request-id", "text-forged")], ""));
    assert_eq!(connection.read_response().expect("an answer").status, 404);
    let line = text_line(&gateway, "text-forged");
    assert!(line.contains(r#" GET /\"x\"\\y\u{2028}z 404 "#), "{line}");
    assert!(!gateway.log().join("\n").contains(KEY));
}

#[test]
fn the_access_log_can_be_turned_off_and_on_by_a_reload() {
    let upstream = talking();
    let of = |log: &str| config(upstream.address, "", "", "", &format!("log: {{ {log} }}"));
    let gateway = Gateway::start(&of("access: false"));
    let ask = |id: &str| {
        let response = client::post(gateway.http, PREDICT, &[("x-api-key", KEY), ("x-request-id", id)], QUESTION);
        assert_eq!(response.status, 200);
    };
    let reload = |log: &str, count: f64| {
        gateway.write("flowgate.yaml", of(log));
        gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", count);
    };
    ask("while-it-is-off");
    reload("access: true", 1.0);
    ask("while-it-is-on");
    gateway.access_line("while-it-is-on");
    reload("access: true, format: text", 2.0);
    ask("while-it-is-text");
    text_line(&gateway, "while-it-is-text");
    assert!(!gateway.log().iter().any(|line| line.contains("while-it-is-off")), "lines keep their order");
    // Counted all the same.
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"200\",key=\"app\",route=\"prediction\"}";
    gateway.wait_metric(series, 3.0);
}

#[test]
fn the_level_can_be_changed_by_a_reload() {
    // Nobody listens there, which is a warning.
    let nowhere = nowhere();
    let of = |log: &str| config(nowhere, "", "", "", &format!("log: {{ {log} }}"));
    let gateway = Gateway::start(&of("level: error"));
    let warnings = || gateway.log().iter().filter(|line| line.contains("upstream not reachable")).count();
    let levels = [("warn", 1), ("error", 1), ("debug", 2)];
    gateway.predict(QUESTION).assert_refused(502, "upstream_error");
    for (count, (level, expected)) in (1_i32..).zip(levels) {
        gateway.write("flowgate.yaml", of(&format!("level: {level}")));
        let series = "flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}";
        gateway.wait_metric(series, f64::from(count));
        // What is swapped in last is the answer to a request.
        let id = format!("at-level-{level}");
        let headers = [("x-api-key", KEY), ("x-request-id", id.as_str())];
        client::post(gateway.http, PREDICT, &headers, QUESTION).assert_refused(502, "upstream_error");
        gateway.access_line(&id);
        wait_for("as many warnings", || (warnings() == expected).then_some(()));
    }
}
