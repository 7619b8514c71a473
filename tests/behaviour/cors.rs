//! Which pages may read answers.

use crate::harness::KEY;
use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::predictions::PLENTY;
use crate::harness::upstream::Upstream;

const PREDICT: &str = "/api/v1/prediction/support";
const PAGE: &str = "https://app.example.com";
const LISTED: &str = ", allowed_origins: [\"https://app.example.com\", \"https://*.example.org\"]";

fn start(upstream: &Upstream, more: &str) -> Gateway {
    Gateway::start(&config(upstream.address, "", "", LISTED, more))
}

fn preflight(gateway: &Gateway, path: &str, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-api-key"),
    ];
    client::send(gateway.http, "OPTIONS", path, &headers, "")
}

pub(crate) fn varies_by(response: &Response, name: &str) -> bool {
    let fields = response.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case("vary"));
    fields.flat_map(|(_, value)| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(name))
}

#[track_caller]
pub(crate) fn assert_readable(response: &Response, origin: &str) {
    assert_eq!(response.header("access-control-allow-origin"), Some(origin), "{}", response.status);
    assert_eq!(response.header("access-control-allow-credentials"), None);
    assert!(varies_by(response, "origin"), "{:?}", response.headers);
}

#[track_caller]
pub(crate) fn assert_unreadable(response: &Response) {
    let told = response.headers.iter().find(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-"));
    assert_eq!(told, None, "{}", response.status);
}

#[test]
fn a_preflight_needs_no_key_and_reaches_no_upstream() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "cors: { max_age: 5m }");
    let response = preflight(&gateway, PREDICT, PAGE);
    assert_eq!(response.status, 204);
    assert_readable(&response, PAGE);
    assert_eq!(response.header("access-control-max-age"), Some("300"));
    assert!(response.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    let allowed = response.header("access-control-allow-headers").expect("fields");
    for field in ["content-type", "authorization", "x-api-key"] {
        assert!(allowed.split(", ").any(|name| name == field), "{field} in {allowed}");
    }
    assert!(varies_by(&response, "access-control-request-method"));
    assert!(varies_by(&response, "access-control-request-headers"));
    assert!(upstream.seen().is_empty());
}

#[test]
fn pages_that_are_not_listed_are_told_nothing() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "");
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://example.org",
        "https://evil-example.org",
        "null",
    ] {
        let response = preflight(&gateway, PREDICT, origin);
        assert_eq!(response.status, 204, "{origin}");
        assert_unreadable(&response);
        let headers = [("origin", origin), ("x-api-key", KEY)];
        assert_unreadable(&client::post(gateway.http, PREDICT, &headers, r#"{"question":"hi"}"#));
    }
    for origin in ["https://a.example.org", "https://a.b.example.org"] {
        assert_readable(&preflight(&gateway, PREDICT, origin), origin);
    }
}

#[test]
fn refusals_can_be_read_by_listed_pages() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "plans: { default: { requests: 1/day, burst: 1 } }");
    let page = ("origin", PAGE);
    let key = ("x-api-key", KEY);
    let post = |headers: &[(&str, &str)], body: &str| client::post(gateway.http, PREDICT, headers, body);
    let question = r#"{"question":"hi"}"#;
    for (status, response) in [
        (401, post(&[page], question)),
        (401, post(&[page, ("x-api-key", "unknown-key-0123456789")], question)),
        (405, client::send(gateway.http, "DELETE", PREDICT, &[page], "")),
        (200, post(&[page, key], question)),
        (429, post(&[page, key], question)),
    ] {
        assert_eq!(response.status, status, "{}", response.text());
        assert_readable(&response, PAGE);
        let exposed = response.header("access-control-expose-headers").expect("fields").to_ascii_lowercase();
        for field in ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"] {
            assert!(exposed.split(", ").any(|name| name == field), "{field} in {exposed}");
        }
    }
}

#[test]
fn an_upstreams_own_permission_is_replaced_and_its_vary_kept() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nvary: Accept-Encoding\r\n\
             access-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\n\r\n{}",
        );
    });
    let gateway = start(&upstream, "");
    let ask =
        |origin| client::post(gateway.http, PREDICT, &[("origin", origin), ("x-api-key", KEY)], r#"{"question":"hi"}"#);
    let response = ask(PAGE);
    assert_readable(&response, PAGE);
    assert!(varies_by(&response, "accept-encoding"));
    assert_unreadable(&ask("https://evil.example"));
}

#[test]
fn credentials_are_allowed_where_that_is_written() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "cors: { allow_credentials: true }");
    let response = preflight(&gateway, PREDICT, PAGE);
    assert_eq!(response.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
    assert_unreadable(&preflight(&gateway, PREDICT, "https://evil.example"));
}

#[test]
fn without_listed_pages_nothing_is_said() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let response = preflight(&gateway, PREDICT, PAGE);
    assert_eq!(response.status, 204);
    assert_unreadable(&response);
}

#[test]
fn headers_that_are_listed_may_be_sent_beside_the_usual_ones() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "cors: { allowed_headers: [X-App-Version, baggage] }");
    let response = preflight(&gateway, PREDICT, PAGE);
    let allowed = response.header("access-control-allow-headers").expect("fields");
    for field in ["content-type", "authorization", "x-api-key", "x-app-version", "baggage"] {
        assert!(allowed.split(", ").any(|name| name == field), "{field} in {allowed}");
    }
}

#[test]
fn apps_and_extensions_are_listed_like_pages() {
    let upstream = Upstream::answering();
    let apps = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "http://tauri.localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "app://obsidian.md",
    ];
    let listed = format!(", access: public, allowed_origins: {apps:?}");
    let gateway = Gateway::start(&config(upstream.address, "", "", &listed, PLENTY));
    for app in apps {
        assert_readable(&preflight(&gateway, PREDICT, app), app);
        let response = client::post(gateway.http, PREDICT, &[("origin", app)], r#"{"question":"hi"}"#);
        assert_eq!(response.status, 200, "{app}");
        assert_readable(&response, app);
    }
    for other in ["capacitor://elsewhere", "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba"] {
        let response = client::post(gateway.http, PREDICT, &[("origin", other)], r#"{"question":"hi"}"#);
        response.assert_refused(403, "origin_not_allowed");
    }
    // Where a chatflow lists none, as `cors` says; and for tokens and keys.
    let more = format!("cors: {{ allowed_origins: {apps:?} }}");
    let gateway = Gateway::start(&config(upstream.address, "", "", "", &more));
    assert_readable(&preflight(&gateway, PREDICT, apps[0]), apps[0]);
    let wanted = r#"{"chatflow":"support","origin":"capacitor://localhost"}"#;
    let token = client::post(gateway.http, "/api/v1/tokens", &[("x-api-key", KEY)], wanted).json()["token"].clone();
    let call = |origin| {
        let headers = [("x-api-key", token.as_str().expect("a token")), ("origin", origin)];
        client::post(gateway.http, PREDICT, &headers, r#"{"question":"hi"}"#).status
    };
    assert_eq!((call("capacitor://localhost"), call("ionic://localhost")), (200, 403));
}

#[test]
fn a_page_that_is_not_listed_is_told_in_the_log_once() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let told = |line: &serde_json::Value| line["level"] == "WARN" && line["rule"] == "origin";
    for _ in 0..3 {
        assert_unreadable(&preflight(&gateway, PREDICT, "https://new.example.com"));
    }
    let line = gateway.log_line(told);
    assert_eq!(line["chatflow"], "support");
    assert!(line["origin"].as_str().is_some_and(|origin| origin.contains("https://new.example.com")), "{line}");
    assert!(line["message"].as_str().is_some_and(|message| message.contains("allowed_origins")), "{line}");
    let many = 400;
    for number in 0..many {
        preflight(&gateway, PREDICT, &format!("https://{number}.example.org"));
    }
    let lines = gateway.log().iter().filter_map(|line| serde_json::from_str(line).ok()).filter(told).count();
    assert!((2..many).contains(&lines), "{lines} lines");
}
