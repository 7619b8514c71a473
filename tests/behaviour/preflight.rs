//! What a browser asks before it calls: answered without a key, without Flowise and at nobody's expense.

use crate::cors::{assert_readable, assert_unreadable};
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PREDICT, QUESTION};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, wait_for};

const PAGE: &str = "https://app.example.com";
const PUBLIC: &str = ", access: public, allowed_origins: [\"https://app.example.com\"]";
const ONE: &str = "requests: 1/day, burst: 1, concurrent: 1, quota: 1/month";

/// Both the key and an address may ask once, ever.
fn start(upstream: &Upstream, state: &std::path::Path) -> Gateway {
    let keyed = format!(
        "  keyed: {{ upstream: flowise, id: {}, allowed_origins: ['{PAGE}'] }}\n\
         plans: {{ default: {{ {ONE} }}, anonymous: {{ {ONE} }} }}\nstate_dir: {}",
        FLOW.replace("9d2b", "9d2c"),
        state.display()
    );
    Gateway::start_with(&config(upstream.address, "", "", PUBLIC, &keyed), &keys(""), |_| {})
}

fn preflight(gateway: &Gateway, path: &str, more: &[(&str, &str)]) -> Response {
    let asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    client::send(gateway.http, "OPTIONS", path, &[&asked, more].concat(), "")
}

#[test]
fn preflights_are_charged_to_nobody() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path());
    let page = ("origin", PAGE);
    let before_and_after = |count: u32| {
        for path in [PREDICT, "/api/v1/prediction/keyed"] {
            for _ in 0..count {
                let answer = preflight(&gateway, path, &[page]);
                assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
                assert_readable(&answer, PAGE);
                assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
            }
        }
    };
    before_and_after(5);
    assert!(upstream.seen().is_empty());
    // The only request that either has is still there.
    let keyed = || client::post(gateway.http, "/api/v1/prediction/keyed", &[page, ("x-api-key", KEY)], QUESTION);
    let public = || client::post(gateway.http, PREDICT, &[page], QUESTION);
    assert_eq!((public().status, keyed().status), (200, 200));
    assert_eq!((public().status, keyed().status), (429, 429));
    // And who has none left may go on asking whether it might.
    before_and_after(3);
    assert_eq!(upstream.seen().len(), 2);
    for chatflow in ["support", "keyed"] {
        let counted =
            format!("flowgate_requests_total{{chatflow=\"{chatflow}\",code=\"204\",key=\"-\",route=\"preflight\"}}");
        gateway.wait_metric(&counted, 8.0);
    }
    let counts = wait_for("the counts on disk", || {
        let text = std::fs::read_to_string(state.path().join("quota.json")).ok()?;
        let counts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        (counts["keys"]["app"]["count"] == 1).then_some(counts)
    });
    assert_eq!(counts["visitors"]["anonymous"]["127.0.0.1"]["count"], 1, "{counts}");
}

#[test]
fn a_preflight_takes_no_place_among_the_requests_in_flight() {
    let (upstream, go) = crate::rate_limits::holding();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path());
    let mut running = client::Connection::open(gateway.http);
    running.write(client::request("POST", PREDICT, &[("origin", PAGE)], r#"{"question":"hold"}"#));
    upstream.wait_seen(1);
    assert_eq!(preflight(&gateway, PREDICT, &[("origin", PAGE)]).status, 204);
    go.send(()).unwrap();
    assert_eq!(running.read_response().expect("an answer").status, 200);
}

#[test]
fn a_credential_in_a_preflight_is_not_looked_at() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path());
    for number in 0..40 {
        let wrong = format!("guess-0123456789-{number}");
        assert_eq!(preflight(&gateway, PREDICT, &[("origin", PAGE), ("x-api-key", &wrong)]).status, 204);
    }
    // No guess was counted.
    let guess = client::post(gateway.http, PREDICT, &[("x-api-key", "guess-0123456789-x")], QUESTION);
    guess.assert_refused(401, "invalid_api_key");
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_does_not_exist_has_no_preflight() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path());
    for path in ["/api/v1/prediction/nowhere", "/api/v1/prediction/", "/api/v1/chatflows", "/", "*"] {
        // Pages of other origins hear nothing, and a listed one no more than that there is nothing.
        for origin in ["https://evil.example", "null"] {
            let answer = preflight(&gateway, path, &[("origin", origin)]);
            answer.assert_refused(404, "not_found");
            assert_unreadable(&answer);
        }
        let answer = preflight(&gateway, path, &[("origin", PAGE)]);
        answer.assert_refused(404, "not_found");
        for field in ["access-control-allow-methods", "access-control-allow-headers", "access-control-max-age", "allow"]
        {
            assert_eq!(answer.header(field), None, "{path}");
        }
    }
    assert!(upstream.seen().is_empty());
}
