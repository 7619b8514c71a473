//! The official widget shows its visitor nothing of most errors: on a public chatflow it is told in a stream, and log
//! and metrics know better.

use crate::cors::{assert_readable, assert_unreadable};
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config};
use crate::harness::ports::nowhere;
use crate::harness::predictions::{PLENTY, PREDICT, QUESTION};
use crate::harness::upstream::{Reply, Upstream, record};
use crate::harness::{FLOW, KEY};

const PAGE: &str = "https://app.example.com";
const PUBLIC: &str = ", access: public, allowed_origins: [\"https://app.example.com\"]";
const STREAM_ONLY: (&str, &str) = ("accept", "text/event-stream");

fn start(upstream: std::net::SocketAddr, flowise: &str, more: &str) -> Gateway {
    Gateway::start(&config(upstream, ", max_body: 1KiB", flowise, PUBLIC, more))
}

fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Response {
    client::post(gateway.http, PREDICT, &[&[("origin", PAGE)], headers].concat(), body)
}

fn told(sentence: &str) -> String {
    record("error", sentence) + &record("end", "[DONE]")
}

/// Asserts that the same request is told to the widget as a stream and to everybody else by its status, and that log
/// and metrics know that status both times.
#[track_caller]
fn assert_told_as_a_stream(gateway: &Gateway, headers: &[(&str, &str)], body: &str, status: u16, code: &str) {
    let series =
        format!("flowgate_requests_total{{chatflow=\"support\",code=\"{status}\",key=\"-\",route=\"prediction\"}}");
    let before = gateway.metric(&series);
    let plain = ask(gateway, headers, body);
    plain.assert_refused(status, code);
    let sentence = plain.json()["message"].as_str().expect("a sentence").to_owned();

    let stream = ask(gateway, &[headers, &[STREAM_ONLY]].concat(), body);
    assert_eq!((stream.status, stream.text()), (200, told(&sentence)), "{status}");
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    for response in [&plain, &stream] {
        assert_readable(response, PAGE);
        let line = gateway.access_line(response.header("x-request-id").expect("an id"));
        assert_eq!((&line["status"], &line["code"]), (&status.into(), &code.into()), "{line}");
    }
    gateway.wait_metric(&series, before + 2.0);
    let as_said = "flowgate_requests_total{chatflow=\"support\",code=\"200\",key=\"-\",route=\"prediction\"}";
    assert!(gateway.metric(as_said) < 0.5, "{status}");
}

#[test]
fn what_a_page_may_not_ask_is_told_as_a_stream() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "", PLENTY);
    let long = format!(r#"{{"question":"{}"}}"#, "hi ".repeat(400));
    for (headers, body, status, code) in [
        (&[][..], r#"{"question":"hi","admin":true}"#, 400, "invalid_request"),
        (&[], "{}", 400, "invalid_request"),
        (&[], "{", 400, "invalid_request"),
        (&[], &long, 413, "body_too_large"),
        (&[("content-type", "text/plain")], QUESTION, 415, "unsupported_media_type"),
        (&[("content-encoding", "gzip")], QUESTION, 415, "unsupported_media_type"),
    ] {
        assert_told_as_a_stream(&gateway, headers, body, status, code);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_flowise_does_wrong_is_told_as_a_stream() {
    type Script = fn(&mut Reply);
    let cases: [(Script, u16, &str); 5] = [
        (
            |reply| {
                reply
                    .json("500 Internal Server Error", r#"{"message":"Error: stub at http://10.0.0.1/v1","stack":{}}"#);
            },
            500,
            "upstream_error",
        ),
        (|reply| reply.json("404 Not Found", r#"{"message":"Chatflow not found"}"#), 404, "not_found"),
        (|reply| reply.json("401 Unauthorized", r#"{"error":"Unauthorized Access"}"#), 502, "upstream_error"),
        (
            |reply| {
                reply.stream_head();
                reply.event("error", "Error: predictionsServices.buildChatflow - Unauthorized");
                reply.event("end", "[DONE]");
                reply.finish();
            },
            502,
            "upstream_error",
        ),
        (|reply| reply.cut(), 502, "upstream_error"),
    ];
    for (script, status, code) in cases {
        let upstream = Upstream::start(move |_, reply| script(reply));
        let gateway = start(upstream.address, "", PLENTY);
        let body = r#"{"question":"hi","streaming":true}"#;
        assert_told_as_a_stream(&gateway, &[], body, status, code);
        let stream = ask(&gateway, &[STREAM_ONLY], body).text();
        for secret in ["Unauthorized", "10.0.0.1", "stack", FLOW] {
            assert!(!stream.contains(secret), "{secret} in {stream}");
        }
    }
}

#[test]
fn a_flowise_that_is_not_there_is_told_as_a_stream() {
    let gateway = start(nowhere(), "", PLENTY);
    assert_told_as_a_stream(&gateway, &[], QUESTION, 502, "upstream_error");
    let silent = Upstream::start(|_, reply| {
        reply.wait_for_close();
    });
    let gateway = start(silent.address, ", response_timeout: 100ms", PLENTY);
    assert_told_as_a_stream(&gateway, &[], QUESTION, 504, "upstream_timeout");
}

#[test]
fn a_busy_chat_is_told_as_a_stream_without_a_second_one() {
    let upstream = Upstream::start(|seen, reply| {
        if seen.method == "POST" {
            reply.stream_head();
            reply.event("token", "a");
            reply.wait_for_close();
        } else {
            reply.json("200 OK", "{}");
        }
    });
    let gateway = start(upstream.address, "", PLENTY);
    let body = r#"{"question":"hi","streaming":true,"chatId":"c"}"#;
    let mut first = client::Connection::open(gateway.http);
    first.write(client::request("POST", PREDICT, &[("origin", PAGE), STREAM_ONLY], body));
    assert_eq!(first.read_head().expect("a head").status, 200);
    assert_told_as_a_stream(&gateway, &[], body, 409, "chat_busy");
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn what_the_widget_does_show_keeps_its_status_and_is_the_sentence_alone() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "", "plans: { anonymous: { requests: 1/day, burst: 1 } }");
    assert_eq!(ask(&gateway, &[STREAM_ONLY], QUESTION).status, 200);
    let limited = ask(&gateway, &[STREAM_ONLY], QUESTION);
    let unknown = ask(&gateway, &[STREAM_ONLY, ("x-api-key", "unknown-key-0123456789")], QUESTION);
    let evil = "https://evil.example";
    let headers = [("origin", evil), STREAM_ONLY];
    let elsewhere = client::post(gateway.http, PREDICT, &headers, QUESTION);
    for (response, origin, status, code) in [
        (&limited, PAGE, 429, "rate_limited"),
        (&unknown, PAGE, 401, "invalid_api_key"),
        (&elsewhere, evil, 403, "origin_not_allowed"),
    ] {
        assert_eq!((response.status, response.header("content-type")), (status, Some("text/plain; charset=utf-8")));
        assert!(response.text().ends_with('.') && !response.text().contains('{'), "{}", response.text());
        assert_readable(response, origin);
        let line = gateway.access_line(response.header("x-request-id").expect("an id"));
        assert_eq!((&line["status"], &line["code"]), (&status.into(), &code.into()), "{line}");
        let series =
            format!("flowgate_requests_total{{chatflow=\"support\",code=\"{status}\",key=\"-\",route=\"prediction\"}}");
        gateway.wait_metric(&series, 1.0);
    }
    assert!(limited.header("retry-after").is_some() && limited.header("ratelimit").is_some());
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn only_clients_that_accept_nothing_else_on_public_chatflows_are_told_in_a_stream() {
    let upstream = Upstream::answering();
    let keyed = format!("  keyed: {{ upstream: flowise, id: {} }}\n{PLENTY}", FLOW.replace("9d2b", "9d2c"));
    let gateway = start(upstream.address, "", &keyed);
    for accept in ["*/*", "application/json, text/event-stream", "text/event-stream, */*"] {
        ask(&gateway, &[("accept", accept)], "{}").assert_refused(400, "invalid_request");
    }
    let keyed = [("x-api-key", KEY), STREAM_ONLY];
    client::post(gateway.http, "/api/v1/prediction/keyed", &keyed, "{}").assert_refused(400, "invalid_request");
    let nowhere = client::post(gateway.http, "/api/v1/prediction/nowhere", &[STREAM_ONLY], QUESTION);
    nowhere.assert_refused(404, "not_found");
    assert_unreadable(&nowhere);
    // Its other calls read statuses.
    let lead = client::post(gateway.http, "/api/v1/leads", &[("origin", PAGE), STREAM_ONLY], "{");
    lead.assert_refused(400, "invalid_request");
}
