//! Trying a chatflow from the console.

use std::fs;

use serde_json::{Value, json};

use super::{HERE, read};
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::{FLOW, sha256, wait_for};
use crate::telemetry::{STREAM, talking};

fn token(gateway: &Gateway, wanted: &Value) -> Response {
    client::post(gateway.admin, "/api/try", &[HERE], &wanted.to_string())
}

fn ask(gateway: &Gateway, chatflow: &str, token: &str, body: &str) -> Response {
    client::post(gateway.admin, &format!("/api/try/{chatflow}"), &[HERE, ("x-api-key", token)], body)
}

#[test]
fn a_chatflow_is_tried_by_a_token_and_streams() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let made = token(&gateway, &json!({ "chatflow": "support" }));
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!((&made["key"], &made["expiresIn"]), (&json!("app"), &json!(60)));
    let given = made["token"].as_str().unwrap();
    let answer = ask(&gateway, "support", given, STREAM);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    assert!(answer.text().contains(r#""data":"hel""#) && answer.text().contains(r#""data":"lo""#), "{}", answer.text());
    assert!(answer.header("x-request-id").is_some() && answer.header("ratelimit").is_some());
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    // It is a request like any other, of that key and of the console's own subject.
    let line = gateway.access_line(answer.header("x-request-id").unwrap());
    assert_eq!(
        (&line["key"], &line["subject"], &line["status"]),
        (&json!("app"), &json!("flowgate-console"), &json!(200))
    );
    let told = gateway.log_line(|line| line["message"] == "a token to try a chatflow was made");
    assert!(!told.to_string().contains(given));
    wait_for("its count", || (read(&gateway, "/api/chatflows")["chatflows"][0]["answered"] == 1).then_some(()));
}

#[test]
fn a_token_is_for_one_chatflow_and_of_a_key_that_may() {
    let upstream = talking();
    let id = FLOW.replace("9d2b", "9d2c");
    let more = format!(
        "  sales: {{ upstream: flowise, id: {id} }}\nplans: {{ default: {{ requests: 1000/min, burst: 100 }} }}"
    );
    let digest = |name: &str| sha256(&format!("{name}-key-0123456789abcdef"));
    let keys = format!(
        "keys:\n  - {{ id: ended, sha256: {}, expires_at: 2020-01-01T00:00:00Z }}\n  - {{ id: page, sha256: {}, kind: publishable, \
         chatflows: [support], allowed_origins: ['https://a.example'] }}\n  - {{ id: narrow, sha256: {}, chatflows: [support] }}\n",
        digest("ended"),
        digest("page"),
        digest("narrow")
    );
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", &more), &keys, |_| {});
    let made = token(&gateway, &json!({ "chatflow": "support" })).json();
    assert_eq!(made["key"], "narrow", "the first that counts and may");
    let given = made["token"].as_str().unwrap();
    assert_eq!(ask(&gateway, "sales", given, STREAM).status, 403);
    assert_eq!(ask(&gateway, "support", "", STREAM).status, 401, "without the token nobody is let in");
    for (wanted, expected) in [
        (json!({ "chatflow": "nothing" }), 404),
        (json!({ "chatflow": "sales" }), 409),
        (json!({ "chatflow": "sales", "key": "narrow" }), 403),
        (json!({ "chatflow": "support", "key": "ended" }), 409),
        (json!({ "chatflow": "support", "key": "page" }), 409),
        (json!({ "chatflow": "support", "key": "nobody" }), 409),
        (json!({ "chatflow": "support", "colour": 1 }), 400),
        (json!([]), 400),
    ] {
        assert_eq!(token(&gateway, &wanted).status, expected, "{wanted}");
    }
    for path in ["/api/try/", "/api/try/a/b", "/api/try/%2e"] {
        assert_eq!(client::post(gateway.admin, path, &[HERE], STREAM).status, 404, "{path}");
    }
}

#[test]
fn the_page_is_one_file_that_talks_to_nobody_else() {
    let gateway = Gateway::start(&simple(talking().address));
    let page = client::get(gateway.admin, "/", &[HERE]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.len() <= 64 * 1024);
    let policy = page.header("content-security-policy").unwrap();
    for wanted in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "script-src 'sha256-",
        "style-src 'sha256-",
    ] {
        assert!(policy.contains(wanted), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !page.text().contains("http://") && !page.text().contains("https://"));
    assert_eq!(client::get(gateway.admin, "/", &[("host", "evil.example")]).status, 403);
}

#[test]
fn with_a_token_the_page_is_asked_for_by_the_browser() {
    let upstream = talking();
    let config = simple(upstream.address).replace("admin: { ", "admin: { token_file: token, ");
    let gateway =
        Gateway::start_with(&config, &keys(""), |folder| fs::write(folder.join("token"), "0123456789abcdef").unwrap());
    let refused = client::get(gateway.admin, "/", &[HERE, ("accept", "text/html")]);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers.iter().filter(|(_, value)| value.starts_with("Basic ")).count(), 1);
    for path in ["/api/try", "/api/explain", "/api/try/support"] {
        assert_eq!(client::post(gateway.admin, path, &[HERE], "{}").status, 401, "{path}");
    }
}
