//! A refusal names what helps, and tells nobody what is not theirs to know.

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::predictions::{PLAN, PLENTY, PREDICT, QUESTION, with_chatflow};
use crate::harness::tokens::mint;
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, sha256};

const NARROW: &str = "narrow-key-0123456789";
const FAR: &str = "far-away-key-0123456789";
const OFF: &str = "disabled-key-0123456789";

#[track_caller]
fn message(response: &Response) -> String {
    response.json()["message"].as_str().expect("a message").to_owned()
}

fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    client::post(gateway.http, path, &[&[("x-api-key", KEY)], headers].concat(), body)
}

#[test]
fn a_wrong_media_type_is_told_the_one_that_the_route_takes() {
    let upstream = Upstream::answering();
    let raw = FLOW.replace("9d2b", "9d2c");
    let more = format!("  raw: {{ upstream: flowise, id: {raw}, body: passthrough }}\n{PLENTY}");
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", &more), &keys(", upsert: true"), |_| {});
    let text = [("content-type", "text/plain")];
    for (path, headers, part) in [
        (PREDICT, &text, "takes Content-Type: application/json (UTF-8)."),
        ("/api/v1/feedback/support", &text, "takes Content-Type: application/json (UTF-8)."),
        ("/api/v1/prediction/raw", &text, "application/json (UTF-8) or multipart/form-data."),
        ("/api/v1/vector/upsert/support", &text, "application/json (UTF-8) or multipart/form-data."),
        ("/api/v1/attachments/support/c1", &text, "takes Content-Type: multipart/form-data."),
        (PREDICT, &[("content-encoding", "gzip")], "leave Content-Encoding out"),
    ] {
        let response = post(&gateway, path, headers, QUESTION);
        response.assert_refused(415, "unsupported_media_type");
        assert!(message(&response).contains(part), "{path}: {}", message(&response));
    }
}

#[test]
fn a_body_too_large_is_told_the_limit_and_its_setting() {
    let upstream = Upstream::answering();
    let limits = ", max_body: 128KiB, max_upload: 1000000";
    let chatflow = ", body: passthrough";
    let gateway = Gateway::start(&config(upstream.address, limits, "", chatflow, PLAN));
    let large = "x".repeat(1_000_001);
    for (path, kind, expected) in [
        (PREDICT, "application/json", "The body is larger than 128 KiB (server.max_body)."),
        (PREDICT, "multipart/form-data; boundary=x", "The body is larger than 1000000 bytes (server.max_upload)."),
        ("/api/v1/feedback/support", "application/json", "The body is larger than 64 KiB."),
        ("/api/v1/tokens", "application/json", "The body is larger than 8 KiB."),
    ] {
        let response = post(&gateway, path, &[("content-type", kind)], &large);
        response.assert_refused(413, "body_too_large");
        assert_eq!(message(&response), expected, "{path}");
    }
    let long = "x".repeat(40_000);
    let response = post(&gateway, PREDICT, &[("x-long", &long)], QUESTION);
    response.assert_refused(431, "headers_too_large");
    assert!(message(&response).contains("server.max_header_bytes"));
}

#[test]
fn refused_overrides_are_all_named_at_once() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", override_config: [vars.a, temperature]");
    for (overrides, expected) in [
        (
            r#"{"x":1,"vars":{"a":1,"b":2},"temperature":[1]}"#,
            "The fields overrideConfig.x and overrideConfig.vars.b may not be set for this chatflow (override_config).",
        ),
        (r#"{"x":1}"#, "The field overrideConfig.x may not be set for this chatflow (override_config)."),
        (r#"{"temperature":[1]}"#, "The field overrideConfig.temperature must be a single value."),
    ] {
        let response = gateway.predict(&format!(r#"{{"question":"hi","overrideConfig":{overrides}}}"#));
        response.assert_refused(400, "invalid_request");
        assert_eq!(message(&response), expected);
    }
    // What is attacked is counted as such, whatever else is in the body.
    let response = gateway.predict(r#"{"question":"hi","overrideConfig":{"x":1,"basePath":"http://evil.example"}}"#);
    let told = message(&response);
    assert!(told.contains("overrideConfig.basePath may not be set: it holds"), "{told}");
    assert!(told.contains("overrideConfig.x may not be set") && !told.contains("evil"), "{told}");
    gateway.wait_metric("flowgate_rejected_total{rule=\"override_address\"}", 1.0);
    let many: Vec<String> = (0..200).map(|number| format!("\"field{number}\":1")).collect();
    let response = gateway.predict(&format!(r#"{{"question":"hi","overrideConfig":{{{}}}}}"#, many.join(",")));
    assert!(message(&response).ends_with("190 more may not be set either."), "{}", message(&response));
}

#[test]
fn a_slash_too_many_is_told_the_right_path() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for (path, right) in [
        ("//api/v1/prediction/support", "/api/v1/prediction/support"),
        ("/api/v1/prediction/support/", "/api/v1/prediction/support"),
        ("/api/v1/api/v1/prediction/support", "/api/v1/prediction/support"),
        // Whether there is such a chatflow is not told.
        ("//api/v1/prediction/nobody?key=secret", "/api/v1/prediction/nobody"),
        ("//api/v1/get-upload-file?chatflowId=x", "/api/v1/get-upload-file"),
    ] {
        for headers in [vec![], vec![("x-api-key", KEY)]] {
            let response = client::post(gateway.http, path, &headers, QUESTION);
            response.assert_refused(404, "not_found");
            assert_eq!(message(&response), format!("There is nothing at this path; the right one is {right}."));
        }
    }
    for path in ["//api/v1/chatflows", "//api/v1/prediction/%3Cscript%3E", "//api/v1/prediction/..", "/"] {
        let response = post(&gateway, path, &[], QUESTION);
        response.assert_refused(404, "not_found");
        assert_eq!(message(&response), "There is nothing here.", "{path}");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn who_holds_a_good_key_for_all_is_told_that_there_is_no_such_chatflow() {
    let upstream = Upstream::answering();
    let entry = |id: &str, key: &str, more: &str| format!("  - {{ id: {id}, sha256: {}{more} }}\n", sha256(key));
    let page = ", kind: publishable, chatflows: [support], allowed_origins: ['https://app.example.com']";
    let keys = [
        keys(""),
        entry("narrow", NARROW, ", chatflows: [support]"),
        entry("far", FAR, ", allowed_ips: [192.0.2.7]"),
        entry("off", OFF, ", enabled: false"),
        entry("page", "page-key-0123456789abc", page),
    ];
    let gateway = Gateway::start_with(&simple(upstream.address), &keys.concat(), |_| {});
    let unknown = "/api/v1/prediction/suport";
    let told = "There is no chatflow of this name: its name is the one under `chatflows`.";
    for path in [unknown, "/api/v1/chatflows-uploads/suport"] {
        let method = if path == unknown { "POST" } else { "GET" };
        let response = client::send(gateway.http, method, path, &[("x-api-key", KEY)], "");
        response.assert_refused(404, "not_found");
        assert_eq!(message(&response), told);
    }
    for body in [r#"{"chatflowid":"suport","chatId":"c"}"#, r#"{"chatflow":"suport"}"#] {
        let path = if body.contains("chatId") { "/api/v1/leads" } else { "/api/v1/tokens" };
        assert_eq!(message(post(&gateway, path, &[], body).assert_refused(404, "not_found")), told);
    }
    gateway.wait_metric("flowgate_rejected_total{rule=\"unknown_route\"}", 4.0);
    // To everybody else it is a path like any other that is not there.
    let token = mint("app", KEY, &serde_json::json!({}));
    for key in [NARROW, FAR, OFF, "page-key-0123456789abc", "unknown-key-0123456789", "short", &token] {
        let headers = [("x-api-key", key), ("origin", "https://app.example.com")];
        let response = client::post(gateway.http, unknown, &headers, QUESTION);
        assert_eq!(message(response.assert_refused(404, "not_found")), "There is nothing here.", "{key}");
    }
    client::post(gateway.http, unknown, &[], QUESTION).assert_refused(404, "not_found");
    assert!(upstream.seen().is_empty());
}

#[test]
fn guesses_at_an_unknown_chatflow_are_guesses() {
    let upstream = Upstream::answering();
    let more = "auth_failures: { free: 2, then: 1/day, delay: 0s }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", more));
    let guess = |number: usize| {
        let key = format!("guess-0123456789-{number}");
        client::post(gateway.http, "/api/v1/prediction/nobody", &[("x-api-key", &key)], QUESTION).status
    };
    assert_eq!([guess(0), guess(1), guess(2), guess(3), guess(4)], [404, 404, 404, 429, 429]);
}

#[test]
fn a_configured_id_that_flowise_does_not_know_is_an_error_in_the_log() {
    let upstream = Upstream::start(|seen, reply| {
        let id = seen.path.rsplit('/').next().expect("an id").to_owned();
        let body =
            format!(r#"{{"statusCode":404,"success":false,"message":"Chatflow {id} not found in the database!"}}"#);
        reply.json("404 Not Found", &body);
    });
    let gateway = Gateway::start(&config(upstream.address, "", "", "", "  '*': { upstream: flowise }"));
    // Whoever names an id of its own behind "*" has made the mistake.
    let other = format!("/api/v1/prediction/{}", FLOW.replace("9d2b", "aaaa"));
    assert_eq!(post(&gateway, &other, &[], QUESTION).status, 404);
    for _ in 0..3 {
        let response = gateway.predict(QUESTION);
        response.assert_refused(404, "not_found");
        assert!(!response.text().contains(FLOW));
    }
    let line = gateway.log_line(|line| line["level"] == "ERROR");
    assert_eq!((line["chatflow"].as_str(), line["id"].as_str()), (Some("support"), Some(FLOW)));
    assert_eq!(line["setting"], "chatflows.support.id");
    let errors = gateway.log().iter().filter(|line| line.contains("\"ERROR\"")).count();
    assert_eq!(errors, 1, "once, and not for every request");
}
