//! Session tokens: asked for with a secret key, used by a page.

use crate::harness::KEY;
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::Upstream;

const PREDICT: &str = "/api/v1/prediction/support";
const PAGE: (&str, &str) = ("origin", "https://app.example.com");

fn ask_for(gateway: &Gateway, body: &str) -> Response {
    client::post(gateway.http, "/api/v1/tokens", &[("x-api-key", KEY)], body)
}

fn token(gateway: &Gateway, body: &str) -> String {
    let response = ask_for(gateway, body);
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()["token"].as_str().expect("a token").to_owned()
}

fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)], token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers: Vec<_> = headers.iter().copied().chain([("authorization", &*bearer)]).collect();
    client::post(gateway.http, path, &headers, r#"{"question":"hi"}"#)
}

#[test]
fn a_token_is_made_and_used() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let response = ask_for(&gateway, r#"{"chatflow":"support","ttl":"10m","sub":"ann"}"#);
    assert_eq!((response.status, response.header("cache-control")), (201, Some("no-store")));
    assert_eq!(response.json()["expiresIn"], 600);
    assert!(upstream.seen().is_empty());
    let token = response.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(ask(&gateway, PREDICT, &[], &token).status, 200);
    let seen = upstream.wait_seen(1);
    assert!(!format!("{seen:?}").contains(&token), "never forwarded");
    assert!(!gateway.log().join("").contains(&token), "never logged");
}

#[test]
fn a_token_counts_only_where_it_was_made_for() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let bound = token(&gateway, r#"{"chatflow":"support","origin":"https://app.example.com"}"#);
    assert_eq!(ask(&gateway, PREDICT, &[PAGE], &bound).status, 200);
    for headers in [vec![], vec![("origin", "null")], vec![("origin", "https://evil.example")]] {
        ask(&gateway, PREDICT, &headers, &bound).assert_refused(403, "origin_not_allowed");
    }
    let body = r#"{"chatflow":"support"}"#;
    let bearer = format!("Bearer {bound}");
    client::post(gateway.http, "/api/v1/tokens", &[PAGE, ("authorization", &bearer)], body)
        .assert_refused(403, "chatflow_not_allowed");
    ask(&gateway, "/api/v1/vector/upsert/support", &[PAGE], &bound).assert_refused(403, "chatflow_not_allowed");
}

#[test]
fn a_token_that_was_touched_is_an_unknown_key() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let good = token(&gateway, r#"{"chatflow":"support"}"#);
    let parts: Vec<_> = good.split('.').collect();
    // {"alg":"none","typ":"JWT","kid":"app"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiYXBwIn0.{}.", parts[1]);
    let changed = format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>());
    for bad in [unsigned, changed] {
        ask(&gateway, PREDICT, &[], &bad).assert_refused(401, "invalid_api_key");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_is_asked_for_is_checked() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for body in [
        "{}",
        r#"{"chatflow":1}"#,
        r#"{"chatflow":"support","ttl":0}"#,
        r#"{"chatflow":"support","ttl":"16m"}"#,
        r#"{"chatflow":"support","ttl":1.5}"#,
        r#"{"chatflow":"support","admin":true}"#,
        r#"{"chatflow":"support","origin":"https://*.example.com"}"#,
        r#"{"chatflow":"support","vars":{"a":{"b":1}}}"#,
        r#"{"chatflow":"support","vars":{"__proto__":1}}"#,
        r#"{"chatflow":"support","vars":{"constructor":1}}"#,
        r#"{"chatflow":"support","sessionId":""}"#,
    ] {
        assert_eq!(ask_for(&gateway, body).status, 400, "{body}");
    }
    assert_eq!(ask_for(&gateway, r#"{"chatflow":"unknown"}"#).status, 404);
    let missing = client::post(gateway.http, "/api/v1/tokens", &[], r#"{"chatflow":"support"}"#);
    missing.assert_refused(401, "missing_api_key");
}
