//! A request that failed is explained by its line: the client was told less.

use serde_json::Value;

use super::{PREDICT, QUESTION, STREAM, talking};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::ports::nowhere;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client, sha256, wait_for};

const ENDED: &str = "ended-key-0123456789abc";
const FIELDS: [&str; 7] = ["reason", "refused_key", "plan", "origin", "upstream", "error", "subject"];

/// What of the line explains.
fn explained(line: &Value) -> Vec<(&str, &str)> {
    FIELDS.iter().filter_map(|name| Some((*name, line.get(name)?.as_str()?))).collect()
}

fn ask(gateway: &Gateway, id: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let id = format!("explain-{id}");
    let headers: Vec<_> = headers.iter().copied().chain([("x-request-id", &*id)]).collect();
    client::post(gateway.http, PREDICT, &headers, body);
    gateway.access_line(&id)
}

#[test]
fn a_refused_credential_says_why_and_whose_it_was() {
    let upstream = talking();
    let ended =
        format!("{}  - {{ id: old-app, sha256: {}, expires_at: 2020-01-01T00:00:00Z }}\n", keys(""), sha256(ENDED));
    let gateway = Gateway::start_with(&simple(upstream.address), &ended, |_| {});
    for (id, headers, expected) in [
        ("no-key", vec![], vec![("reason", "missing")]),
        ("wrong-key", vec![("x-api-key", "wrong-key-0123456789abc")], vec![("reason", "unknown")]),
        ("bare-key", vec![("authorization", KEY)], vec![("reason", "no_scheme")]),
        ("ended-key", vec![("x-api-key", ENDED)], vec![("reason", "expired"), ("refused_key", "old-app")]),
    ] {
        assert_eq!(explained(&ask(&gateway, id, &headers, QUESTION)), expected, "{id}");
    }
    let log = gateway.log().join("\n");
    assert!(!log.contains(ENDED) && !log.contains(KEY) && !log.contains("wrong-key-0123456789abc"));
}

#[test]
fn a_limit_says_whose_plan_it_was() {
    let upstream = talking();
    let plans = "plans: { default: { requests: 1/day, burst: 1 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", plans));
    let key = [("x-api-key", KEY)];
    assert_eq!(explained(&ask(&gateway, "within", &key, QUESTION)), []);
    assert_eq!(explained(&ask(&gateway, "beyond", &key, QUESTION)), [("plan", "default")]);
}

#[test]
fn a_page_that_is_not_listed_is_named() {
    let upstream = talking();
    let public = ", access: public, allowed_origins: [\"https://app.example.com\"]";
    let gateway = Gateway::start(&config(upstream.address, "", "", public, ""));
    let line = ask(&gateway, "other-page", &[("origin", "https://other.example.com")], QUESTION);
    assert_eq!(line["rule"], "origin");
    assert_eq!(explained(&line), [("origin", "https://other.example.com")]);
}

#[test]
fn a_body_that_is_refused_says_which_field() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let line = ask(&gateway, "odd-field", &[("x-api-key", KEY)], r#"{"question":"hi","colour":"secret words"}"#);
    assert_eq!(explained(&line), [("error", "The field colour is not known.")]);
    assert!(!gateway.log().join("").contains("secret words"));
}

#[test]
fn what_flowise_says_of_a_failure_is_told_as_the_client_is_told() {
    let upstream = Upstream::start(|seen, reply| {
        if String::from_utf8_lossy(&seen.body).contains("streaming") {
            reply.stream_head();
            reply.event("error", "The model is gone: https://10.0.0.7/v1");
            reply.event("end", "[DONE]");
            return reply.finish();
        }
        reply.json("500 Internal Server Error", r#"{"statusCode":500,"success":false,"message":"The model is gone."}"#);
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let key = [("x-api-key", KEY)];
    let line = ask(&gateway, "failed", &key, QUESTION);
    assert_eq!(explained(&line), [("upstream", "flowise"), ("error", "The model is gone.")]);
    let line = ask(&gateway, "failed-stream", &key, STREAM);
    assert_eq!((line["status"].as_u64(), line["end"].as_str()), (Some(200), Some("error_event")));
    assert_eq!(line["upstream"], "flowise");
    let error = line["error"].as_str().expect("an error");
    assert!(error.starts_with("The model is gone") && !error.contains("10.0.0.7"), "{error}");
}

#[test]
fn an_upstream_that_cannot_be_reached_is_found_by_the_requests_id() {
    let nowhere = nowhere();
    let gateway = Gateway::start(&simple(nowhere));
    let line = ask(&gateway, "unreachable", &[("x-api-key", KEY)], QUESTION);
    assert_eq!(line["upstream"], "flowise");
    assert_eq!(line["error"], "The chatflow's server cannot be reached.");
    let warning = wait_for("the reason", || {
        let lines = gateway.log();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .into_iter()
            .find(|line| line["message"] == "upstream not reachable" && line["request_id"] == "explain-unreachable")
    });
    assert_eq!(warning["url"], format!("http://{nowhere}"));
    assert!(warning["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{warning}");
}

#[test]
fn a_token_says_whose_it_is() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let body = r#"{"chatflow":"support","sub":"ann"}"#;
    let response = client::post(gateway.http, "/api/v1/tokens", &[("x-api-key", KEY)], body);
    let bearer = format!("Bearer {}", response.json()["token"].as_str().expect("a token"));
    let line = ask(&gateway, "with-a-token", &[("authorization", &bearer)], QUESTION);
    assert_eq!((line["status"].as_u64(), line["key"].as_str()), (Some(200), Some("app")));
    assert_eq!(explained(&line), [("subject", "ann")]);
}

#[test]
fn what_is_no_request_is_found_by_the_id_of_its_answer() {
    let gateway = Gateway::start(&simple(talking().address));
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(100_000));
    for (head, status, rule) in [
        ("GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n", 400, "malformed"),
        ("G\0T / HTTP/1.1\r\n\r\n", 400, "malformed"),
        (&long, 431, "head_size"),
    ] {
        let mut connection = client::Connection::open(gateway.http);
        connection.write(head.as_bytes());
        let refused = connection.read_response().unwrap();
        assert_eq!(refused.status, status);
        let id = refused.header("x-request-id").expect("an id").to_owned();
        let line = gateway.access_line(&id);
        assert_eq!((&line["status"], &line["rule"]), (&status.into(), &rule.into()), "{line}");
        assert_eq!((&line["client"], &line["code"]), (&"127.0.0.1".into(), &refused.json()["code"]));
        let path = format!("/api/refusals?id={id}");
        let told = client::get(gateway.admin, &path, &[("host", "localhost")]).json();
        assert_eq!((&told["refusals"][0]["status"], &told["refusals"][0]["rule"]), (&status.into(), &rule.into()));
    }
}
