//! What there is, and that there is nothing else.

use crate::harness::client::{Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::ports::nowhere;
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, client};

const QUESTION: &str = r#"{"question":"hi"}"#;
const UNKNOWN_UUID: &str = "0f0f0f0f-1f5e-4c00-9000-000000000000";

fn post(gateway: &Gateway, path: &str) -> Response {
    client::post(gateway.http, path, &[("x-api-key", KEY)], QUESTION)
}

#[test]
fn every_other_spelling_of_a_route_is_404_and_reaches_nobody() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let paths = [
        // Case.
        "/API/v1/prediction/support",
        "/api/V1/prediction/support",
        "/api/v1/Prediction/support",
        "/api/v1/prediction/Support",
        // Encodings, once and twice.
        "/api/v1/%70rediction/support",
        "/%61pi/v1/prediction/support",
        "/api/v1/prediction/%73upport",
        "/api/v1/prediction%2fsupport",
        "/api/v1/prediction%2Fsupport",
        "/api%2fv1%2fprediction%2fsupport",
        "/api/v1/%2570rediction/support",
        "/api/v1/prediction/%2573upport",
        "/api/v1/prediction%252fsupport",
        "/api/v1/prediction/support%00",
        "/api/v1/prediction/support%20",
        "/api/v1/prediction/support%0d%0a",
        "/api/v1/prediction/sup%c0%afport",
        // Slashes.
        "//api/v1/prediction/support",
        "/api//v1/prediction/support",
        "/api/v1//prediction/support",
        "/api/v1/prediction//support",
        "/api/v1/prediction/support/",
        "/api/v1/prediction/support//",
        "/api\\v1\\prediction\\support",
        "/api/v1/prediction\\support",
        // Parameters.
        "/api/v1/prediction/support;x",
        "/api/v1/prediction;x=1/support",
        "/api;/v1/prediction/support",
        // Dot segments, plain and encoded.
        "/./api/v1/prediction/support",
        "/api/v1/./prediction/support",
        "/api/v1/prediction/./support",
        "/api/v1/chatflows/../prediction/support",
        "/api/v1/prediction/../prediction/support",
        "/api/v1/prediction/support/..",
        "/api/v1/prediction/support/.",
        "/api/v1/prediction/..",
        "/api/v1/%2e/prediction/support",
        "/api/v1/x/%2e%2e/prediction/support",
        "/api/v1/prediction/%2e%2e/credentials",
        "/api/v1/x/%252e%252e/prediction/support",
        "/api/v1/prediction/support/../../credentials",
        "/api/v1/x/..;/prediction/support",
        // Missing and superfluous parts.
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/prediction",
        "/api/v1/prediction/",
        "/api/v1/prediction/support/more",
        "/api/v2/prediction/support",
        "/v1/prediction/support",
        "/prediction/support",
        "/x/api/v1/prediction/support",
        "/api/v1/predictions/support",
        "/api/v1/vector/upsert",
        "/api/v1/vector/upsert/",
        "/api/v1/vector/support",
        "/api/v1/vector/upsert/support/more",
        "/api/v1/internal-prediction/support",
        // Flowise's own id is not a public name.
        "/api/v1/prediction/9d2b4ae3-1f5e-4c00-9000-000000000000",
        "/api/v1/prediction/nobody",
        "/api/v1/prediction/*",
    ];
    for path in paths {
        let response = post(&gateway, path);
        assert_eq!(response.status, 404, "{path} {}", response.text());
        response.assert_refused(404, "not_found");
    }
    // What is no route is nobody's: no key is asked for, none counted.
    client::post(gateway.http, "/api/v1/credentials", &[], QUESTION).assert_refused(404, "not_found");
    assert!(upstream.seen().is_empty());
    let count = f64::from(u32::try_from(paths.len()).unwrap() + 1);
    gateway.wait_metric("flowgate_requests_total{chatflow=\"-\",code=\"404\",key=\"-\",route=\"other\"}", count);
    gateway.wait_metric("flowgate_rejected_total{rule=\"unknown_route\"}", count);
    assert_eq!(post(&gateway, "/api/v1/prediction/support?a=b#c").status, 200);
    assert_eq!(upstream.wait_seen(1)[0].path, format!("/api/v1/prediction/{FLOW}"));
}

#[test]
fn the_rest_of_flowise_is_404_with_every_method() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for path in [
        "/api/v1/chatflows",
        "/api/v1/chatflows/9d2b4ae3-1f5e-4c00-9000-000000000000",
        "/api/v1/apikey",
        "/api/v1/credentials",
        "/api/v1/variables",
        "/api/v1/get-upload-files",
        "/api/v1/node-load-method/x",
        "/api/v1/account/forgot-password",
        "/api/v1/public-chatflows/support",
        "/api/v1/export-import/export",
        "/api/v1/version",
        "/index.html",
        "/chatbot/support",
        "/metrics",
        "/livez",
        "/readyz",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
            let response = client::send(gateway.http, method, path, &[("x-api-key", KEY)], "");
            response.assert_refused(404, "not_found");
            assert_eq!(response.header("allow"), None);
        }
        let mut connection = Connection::open(gateway.http);
        connection.write(request("HEAD", path, &[], ""));
        assert_eq!(connection.read_head().expect("an answer").status, 404);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn absolute_form_and_other_targets_are_no_routes() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for target in [
        "http://gateway.test/api/v1/prediction/support",
        "HTTP://gateway.test/api/v1/prediction/support",
        "https://gateway.test/api/v1/prediction/support",
        "http://127.0.0.1:3000/api/v1/prediction/support",
        "//gateway.test/api/v1/prediction/support",
    ] {
        post(&gateway, target).assert_refused(404, "not_found");
    }
    client::send(gateway.http, "OPTIONS", "*", &[], "").assert_refused(404, "not_found");
    client::send(gateway.http, "CONNECT", "127.0.0.1:3000", &[], "").assert_refused(404, "not_found");
    assert!(upstream.seen().is_empty());
}

#[test]
fn the_wildcard_stands_for_uuids_and_nothing_else() {
    let upstream = Upstream::answering();
    let more = "  '*': { upstream: flowise }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", more));
    for name in [
        "nobody",
        "*",
        "%2a",
        "0f0f0f0f1f5e4c009000000000000000",
        "0f0f0f0f-1f5e-4c00-9000-00000000000",
        "0f0f0f0f-1f5e-4c00-9000-00000000000g",
        "{0f0f0f0f-1f5e-4c00-9000-000000000000}",
        "0f0f0f0f-1f5e-4c00-9000-000000000000;x",
        "0f0f0f0f-1f5e-4c00-9000-000000000000/",
        "0f0f0f0f-1f5e-4c00-9000-000000000000%2f..",
        "..%2f0f0f0f0f-1f5e-4c00-9000-0000000000",
    ] {
        post(&gateway, &format!("/api/v1/prediction/{name}")).assert_refused(404, "not_found");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(post(&gateway, &format!("/api/v1/prediction/{UNKNOWN_UUID}")).status, 200);
    assert_eq!(post(&gateway, &format!("/api/v1/prediction/{}", UNKNOWN_UUID.to_uppercase())).status, 200);
    assert_eq!(post(&gateway, "/api/v1/prediction/support").status, 200);
    let paths: Vec<_> = upstream.wait_seen(3).into_iter().map(|seen| seen.path).collect();
    let expected = [UNKNOWN_UUID, UNKNOWN_UUID, FLOW].map(|id| format!("/api/v1/prediction/{id}"));
    assert_eq!(paths, expected);
    // One label for all of them.
    gateway.wait_metric("flowgate_requests_total{chatflow=\"*\",code=\"200\",key=\"app\",route=\"prediction\"}", 2.0);
}

#[test]
fn the_wildcard_is_no_way_around_the_policy_of_a_named_chatflow() {
    let upstream = Upstream::answering();
    let own = "aaaaaaaa-1f5e-4c00-9000-000000000000";
    let more = format!(
        "  {own}: {{ upstream: flowise, max_question_chars: 1 }}\n  '*': {{ upstream: flowise, body: passthrough }}"
    );
    let gateway = Gateway::start(&config(upstream.address, "", "", "", &more));
    for name in [FLOW.to_owned(), FLOW.to_uppercase(), own.to_uppercase()] {
        post(&gateway, &format!("/api/v1/prediction/{name}")).assert_refused(404, "not_found");
    }
    post(&gateway, &format!("/api/v1/prediction/{own}")).assert_refused(400, "invalid_request");
    assert!(upstream.seen().is_empty());
    assert_eq!(post(&gateway, &format!("/api/v1/prediction/{UNKNOWN_UUID}")).status, 200);
    assert_eq!(post(&gateway, "/api/v1/prediction/support").status, 200);
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn a_key_may_be_bound_to_one_of_the_wildcards_chatflows() {
    let upstream = Upstream::answering();
    let keys = keys(&format!(", chatflows: [{UNKNOWN_UUID}]"));
    let more = "  '*': { upstream: flowise }";
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", more), &keys, |_| {});
    for name in ["aaaaaaaa-1f5e-4c00-9000-000000000000", "support"] {
        post(&gateway, &format!("/api/v1/prediction/{name}")).assert_refused(403, "chatflow_not_allowed");
    }
    assert!(upstream.seen().is_empty());
    for name in [UNKNOWN_UUID.to_owned(), UNKNOWN_UUID.to_uppercase()] {
        assert_eq!(post(&gateway, &format!("/api/v1/prediction/{name}")).status, 200);
    }
}

#[test]
fn another_method_is_405_and_says_which_are_allowed() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let (post, get) = ("POST, OPTIONS", "GET, HEAD, OPTIONS");
    for (path, allow, wrong) in [
        ("/api/v1/prediction/support", post, vec!["GET", "PUT", "DELETE", "PATCH", "TRACE", "post", "POSTS"]),
        ("/api/v1/vector/upsert/support", post, vec!["GET", "PUT", "DELETE"]),
        ("/api/v1/chatflows-streaming/support", get, vec!["POST", "PUT", "DELETE", "get"]),
        ("/api/v1/health", get, vec!["POST", "PUT", "DELETE"]),
        ("/api/v1/ping", get, vec!["POST", "PUT", "DELETE"]),
    ] {
        for method in wrong {
            let response = client::send(gateway.http, method, path, &[("x-api-key", KEY)], "");
            response.assert_refused(405, "method_not_allowed");
            assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
        }
    }
    // A method in a header does not change the method.
    let headers = [("x-api-key", KEY), ("x-http-method-override", "POST")];
    client::get(gateway.http, "/api/v1/prediction/support", &headers).assert_refused(405, "method_not_allowed");
    assert!(upstream.seen().is_empty());
}

#[test]
fn options_needs_no_key_and_charges_nobody() {
    let upstream = Upstream::answering();
    let more = "plans: { default: { requests: 1/day, burst: 1 }, anonymous: { requests: 1/day, burst: 1 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", more));
    for (path, allow) in [
        ("/api/v1/prediction/support", "POST, OPTIONS"),
        ("/api/v1/vector/upsert/support", "POST, OPTIONS"),
        ("/api/v1/chatflows-streaming/support", "GET, HEAD, OPTIONS"),
        ("/api/v1/health", "GET, HEAD, OPTIONS"),
        ("/api/v1/ping", "GET, HEAD, OPTIONS"),
    ] {
        for headers in [
            vec![],
            vec![("x-api-key", KEY)],
            vec![("origin", "https://app.example.com"), ("access-control-request-method", "POST")],
        ] {
            let response = client::send(gateway.http, "OPTIONS", path, &headers, "");
            assert_eq!((response.status, response.body.len()), (204, 0), "{path}");
            assert_eq!(response.header("allow"), Some(allow));
            assert_eq!(response.header("ratelimit"), None);
            assert!(response.header("x-request-id").is_some());
        }
    }
    client::send(gateway.http, "OPTIONS", "/api/v1/prediction/nobody", &[], "").assert_refused(404, "not_found");
    assert!(upstream.seen().is_empty());
    // The one request that the plan allows is still there.
    let response = post(&gateway, "/api/v1/prediction/support");
    assert_eq!(response.status, 200, "{}", response.text());
    let keyless = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
    assert_ne!(keyless.status, 429);
}

#[test]
fn health_and_ping_are_answered_by_the_gateway_for_anyone() {
    // Nobody listens there.
    let nowhere = nowhere();
    let gateway = Gateway::start(&simple(nowhere));
    for headers in [vec![], vec![("x-api-key", "unknown-key-0123456789")]] {
        let health = client::get(gateway.http, "/api/v1/health", &headers);
        assert_eq!((health.status, health.text().as_str()), (200, "{\"status\":\"ok\"}"));
        assert_eq!(health.header("content-type"), Some("application/json"));
        assert_eq!(health.header("cache-control"), Some("no-store"));
        let ping = client::get(gateway.http, "/api/v1/ping?x=y", &headers);
        assert_eq!((ping.status, ping.text().as_str()), (200, "pong"));
        assert!(ping.header("content-type").is_some_and(|value| value.starts_with("text/plain")));
        for response in [health, ping] {
            assert_eq!(response.header("ratelimit"), None);
            assert!(response.header("x-request-id").is_some());
        }
    }
    let mut connection = Connection::open(gateway.http);
    connection.write(request("HEAD", "/api/v1/ping", &[("connection", "close")], ""));
    let head = connection.read_head().expect("an answer");
    assert_eq!((head.status, head.header("content-length")), (200, Some("4")));
    assert!(connection.is_closed(), "no body follows");
}

#[test]
fn whether_a_chatflow_streams_may_be_asked_without_a_key_and_no_more_is_told() {
    let upstream = Upstream::start(|_, reply| {
        reply.json("200 OK", r#"{"isStreaming":true,"secret":"inside","chatbotConfig":{"a":1}}"#);
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let response = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
    assert_eq!((response.status, response.text().as_str()), (200, "{\"isStreaming\":true}"));
    assert!(response.header("content-type").is_some_and(|value| value.starts_with("application/json")));
    let seen = &upstream.wait_seen(1)[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", &*format!("/api/v1/chatflows-streaming/{FLOW}")));
    assert_eq!(seen.body, b"");
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    client::get(gateway.http, "/api/v1/chatflows-streaming/nobody", &[]).assert_refused(404, "not_found");
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_odd_answer_about_streaming_is_not_passed_on() {
    let upstream = Upstream::start(|seen, reply| match seen.header("x-case") {
        Some("text") => reply.json("200 OK", r#"{"isStreaming":"internal 10.0.0.5"}"#),
        Some("page") => reply.raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
        _ => reply.json("200 OK", "[]"),
    });
    let text =
        simple(upstream.address).replace("api_key: upstream-key", "api_key: upstream-key, pass_headers: [x-case]");
    let gateway = Gateway::start(&text);
    for case in ["text", "page", "list"] {
        let response = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[("x-case", case)]);
        response.assert_refused(502, "upstream_error");
        assert!(!response.text().contains("10.0.0.5"));
    }
}
