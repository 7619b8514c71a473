//! Chatflows and keys for pages: who may call without a secret, and from where.

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256};

const PREDICT: &str = "/api/v1/prediction/support";
const PAGE: (&str, &str) = ("origin", "https://app.example.com");
const PUBLIC: &str = ", access: public, allowed_origins: [\"https://app.example.com\"]";

fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Response {
    client::post(gateway.http, PREDICT, headers, r#"{"question":"hi"}"#)
}

#[test]
fn a_public_chatflow_answers_listed_pages_without_a_key() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, "", "", PUBLIC, ""));
    assert_eq!(ask(&gateway, &[PAGE]).status, 200);
    assert_eq!(ask(&gateway, &[("x-api-key", KEY)]).status, 200, "a server has no origin, but a key");
    let seen = upstream.seen().len();
    for refused in [vec![], vec![("origin", "null")], vec![("origin", "https://evil.example")]] {
        ask(&gateway, &refused).assert_refused(403, "origin_not_allowed");
    }
    let misplaced = ask(&gateway, &[("x-flowgate-key", KEY)]);
    let sentence = misplaced.assert_refused(403, "origin_not_allowed").json()["message"].as_str().unwrap().to_owned();
    assert!(sentence.contains("Neither an API key nor") && sentence.contains("X-API-KEY"), "{sentence}");
    ask(&gateway, &[PAGE, ("x-api-key", "unknown-key-0123456789")]).assert_refused(401, "invalid_api_key");
    client::post(gateway.http, "/api/v1/vector/upsert/support", &[PAGE], "{}").assert_refused(401, "missing_api_key");
    assert_eq!(upstream.seen().len(), seen, "nothing refused is forwarded");
    gateway.wait_metric("flowgate_rejected_total{rule=\"origin\"}", 4.0);
}

#[test]
fn a_visitor_of_another_page_reads_why_it_is_refused() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, "", "", PUBLIC, "cors: { allow_credentials: true }"));
    let evil = ("origin", "https://evil.example");
    let stream = ask(&gateway, &[evil, ("accept", "text/event-stream")]);
    assert_eq!((stream.status, &*stream.text()), (403, "This chat may not be used from this website."));
    let preflight =
        client::send(gateway.http, "OPTIONS", PREDICT, &[evil, ("access-control-request-method", "POST")], "");
    assert_eq!(preflight.header("access-control-max-age"), Some("0"));
    for response in [stream, preflight] {
        assert_eq!(response.header("access-control-allow-origin"), Some(evil.1));
        assert_eq!(response.header("access-control-allow-credentials"), None);
    }
}

#[test]
fn a_publishable_key_works_only_in_its_pages_and_chatflows() {
    let (here, elsewhere) = (publishable(), publishable());
    let entry = |id: &str, key: &str, flow: &str| {
        format!(
            "  - {{ id: {id}, sha256: {}, kind: publishable, chatflows: [{flow}], allowed_origins: [\"{}\"] }}\n",
            sha256(key),
            PAGE.1
        )
    };
    let file = keys("") + &entry("here", &here, "support") + &entry("elsewhere", &elsewhere, "sales");
    let upstream = Upstream::answering();
    let sales = format!("\n  sales: {{ upstream: flowise, id: {} }}", crate::harness::FLOW.replace("9d2b", "9d2c"));
    let written = config(upstream.address, "", "", "", "").replace("}\n\n", &format!("}}{sales}\n"));
    let gateway = Gateway::start_with(&written, &file, |_| {});
    assert_eq!(ask(&gateway, &[PAGE, ("x-api-key", &here)]).status, 200);
    for refused in [vec![], vec![("origin", "null")], vec![("origin", "https://evil.example")]] {
        let headers: Vec<_> = refused.into_iter().chain([("x-api-key", &*here)]).collect();
        ask(&gateway, &headers).assert_refused(403, "origin_not_allowed");
    }
    ask(&gateway, &[PAGE, ("x-api-key", &elsewhere)]).assert_refused(403, "chatflow_not_allowed");
    for path in ["/api/v1/vector/upsert/support", "/api/v1/tokens"] {
        let response = client::post(gateway.http, path, &[PAGE, ("x-api-key", &here)], r#"{"chatflow":"support"}"#);
        response.assert_refused(403, "chatflow_not_allowed");
    }
    assert_eq!(upstream.seen().len(), 1);
}

/// A complete publishable key.
fn publishable() -> String {
    flowgate::keys::secret::generate(flowgate::keys::KeyKind::Publishable).expect("random bytes").expose().to_owned()
}
