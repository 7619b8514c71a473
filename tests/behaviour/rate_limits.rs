//! How much a caller may ask.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::harness::client::{Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{KEY, client, sha256, wait_for};

pub(crate) const PREDICT: &str = "/api/v1/prediction/support";
pub(crate) const STREAMING: &str = "/api/v1/chatflows-streaming/support";
pub(crate) const QUESTION: &str = r#"{"question":"hi"}"#;
pub(crate) const SECOND: &str = "second-key-0123456789";
const PARTNER: &str = "partner-key-0123456789";
const DAY: u64 = 86_400;

pub(crate) fn two_keys(partner: &str) -> String {
    format!(
        "{}  - {{ id: second, sha256: {} }}\n  - {{ id: partner, sha256: {}{partner} }}\n",
        keys(""),
        sha256(SECOND),
        sha256(PARTNER)
    )
}

pub(crate) fn start(upstream: SocketAddr, plans: &str) -> Gateway {
    Gateway::start_with(&config(upstream, "", "", "", &format!("plans: {{ {plans} }}")), &two_keys(""), |_| {})
}

pub(crate) fn ask(gateway: &Gateway, key: &str) -> Response {
    client::post(gateway.http, PREDICT, &[("x-api-key", key)], QUESTION)
}

/// `retry-after` of a refused answer, whose `ratelimit` must say the same.
#[track_caller]
pub(crate) fn assert_limited(response: &Response, plan: &str) -> u64 {
    response.assert_refused(429, "rate_limited");
    let wait: u64 = response.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!(wait >= 1);
    assert_eq!(response.header("ratelimit"), Some(&*format!("\"{plan}\";r=0;t={wait}")));
    wait
}

/// An upstream that answers a request whose body has `hold` when told to, and streams until then.
pub(crate) fn holding() -> (Upstream, Sender<()>) {
    let (go, told) = channel::<()>();
    let told: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(told));
    let upstream = Upstream::start(move |seen, reply| {
        let text = String::from_utf8_lossy(&seen.body);
        if text.contains("hold") {
            let streams = text.contains("streaming");
            if streams {
                reply.stream_head();
                reply.event("token", "one");
            }
            let _ = told.lock().unwrap().recv();
            if streams {
                reply.event("end", "[DONE]");
                reply.finish();
                return;
            }
        }
        reply.json("200 OK", ANSWER);
    });
    (upstream, go)
}

/// A stream that has begun and is not over.
pub(crate) fn hold(gateway: &Gateway, key: &str) -> Connection {
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", key)], r#"{"question":"hold","streaming":true}"#));
    assert_eq!(connection.read_head().expect("an answer").status, 200);
    assert!(connection.read_chunk().expect("a chunk").is_some());
    connection
}

#[test]
fn a_burst_is_let_through_and_the_next_request_must_wait() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "default: { requests: 2/day, burst: 3 }");
    for (left, reset) in [(2, DAY / 2), (1, DAY), (0, DAY / 2 * 3)] {
        let response = ask(&gateway, KEY);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("ratelimit-policy"), Some("\"default\";q=2;w=86400"));
        // What has come back since the first request is less than a second's worth.
        let state = response.header("ratelimit").expect("a state");
        assert_eq!(state, format!("\"default\";r={left};t={reset}"));
        assert_eq!(response.header("retry-after"), None);
    }
    for _ in 0..3 {
        let response = ask(&gateway, KEY);
        let wait = assert_limited(&response, "default");
        assert!((DAY / 2 - 60..=DAY / 2).contains(&wait), "{wait}");
        assert_eq!(response.header("ratelimit-policy"), Some("\"default\";q=2;w=86400"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    assert_eq!(upstream.seen().len(), 3);
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"requests\"}", 3.0);
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"429\",key=\"app\",route=\"prediction\"}";
    gateway.wait_metric(series, 3.0);
}

#[test]
fn after_the_wait_a_request_is_let_through_again() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "default: { requests: 120/min, burst: 1 }");
    assert_eq!(ask(&gateway, KEY).status, 200);
    let refused = wait_for("a refusal", || Some(ask(&gateway, KEY)).filter(|response| response.status == 429));
    assert_eq!(assert_limited(&refused, "default"), 1, "half a second is a whole one");
    wait_for("the next one", || (ask(&gateway, KEY).status == 200).then_some(()));
}

#[test]
fn the_window_of_a_rate_is_told_in_seconds() {
    let upstream = Upstream::answering();
    for (rate, policy) in [
        ("60/min", "\"default\";q=60;w=60"),
        ("7/s", "\"default\";q=7;w=1"),
        ("600/hour", "\"default\";q=600;w=3600"),
        ("10000/day", "\"default\";q=10000;w=86400"),
    ] {
        let gateway = start(upstream.address, &format!("default: {{ requests: {rate}, burst: 5 }}"));
        let response = ask(&gateway, KEY);
        assert_eq!(response.header("ratelimit-policy"), Some(policy));
        assert!(response.header("ratelimit").is_some_and(|state| state.starts_with("\"default\";r=4;t=")));
    }
}

#[test]
fn without_plans_the_default_is_sixty_a_minute_and_ten_at_once() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "");
    let response = ask(&gateway, KEY);
    assert_eq!(response.header("ratelimit-policy"), Some("\"default\";q=60;w=60"));
    assert_eq!(response.header("ratelimit"), Some("\"default\";r=9;t=1"));
    let keyless = client::get(gateway.http, STREAMING, &[]);
    assert_eq!(keyless.header("ratelimit-policy"), Some("\"anonymous\";q=10;w=60"));
    assert_eq!(keyless.header("ratelimit"), Some("\"anonymous\";r=4;t=6"));
}

#[test]
fn one_keys_use_is_not_anothers() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "default: { requests: 1/day, burst: 1 }");
    assert_eq!(ask(&gateway, KEY).status, 200);
    assert_limited(&ask(&gateway, KEY), "default");
    assert_eq!(ask(&gateway, SECOND).status, 200);
    assert_limited(&ask(&gateway, SECOND), "default");
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"requests\"}", 1.0);
    gateway.wait_metric("flowgate_limited_total{key=\"second\",limit=\"requests\"}", 1.0);
}

#[test]
fn both_secrets_of_a_rotation_share_one_allowance() {
    let upstream = Upstream::answering();
    let previous = format!(", previous: {{ sha256: {}, until: 2999-01-01T00:00:00Z }}", sha256("old-key-0123456789"));
    let plans = "plans: { default: { requests: 2/day, burst: 2 } }";
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", plans), &keys(&previous), |_| {});
    assert_eq!(ask(&gateway, KEY).status, 200);
    assert_eq!(ask(&gateway, "old-key-0123456789").status, 200);
    assert_limited(&ask(&gateway, KEY), "default");
    assert_limited(&ask(&gateway, "old-key-0123456789"), "default");
}

#[test]
fn a_key_has_the_limits_of_its_plan() {
    let upstream = Upstream::answering();
    let plans = "plans: { default: { requests: 1/day, burst: 1 }, partner: { requests: 3/day, burst: 3 } }";
    let config = config(upstream.address, "", "", "", plans);
    let gateway = Gateway::start_with(&config, &two_keys(", plan: partner"), |_| {});
    for _ in 0..3 {
        let response = ask(&gateway, PARTNER);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("ratelimit-policy"), Some("\"partner\";q=3;w=86400"));
    }
    assert_limited(&ask(&gateway, PARTNER), "partner");
    assert_eq!(ask(&gateway, KEY).status, 200);
    assert_limited(&ask(&gateway, KEY), "default");
}

#[test]
fn only_who_is_known_is_charged_and_for_nonsense_too() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, "default: { requests: 4/day, burst: 4 }");
    for _ in 0..10 {
        ask(&gateway, "unknown-key-0123456789").assert_refused(401, "invalid_api_key");
        client::get(gateway.http, PREDICT, &[("x-api-key", KEY)]).assert_refused(405, "method_not_allowed");
        client::post(gateway.http, "/nothing", &[("x-api-key", KEY)], QUESTION).assert_refused(404, "not_found");
    }
    let key = ("x-api-key", KEY);
    let nonsense = client::post(gateway.http, PREDICT, &[key], "{}");
    nonsense.assert_refused(400, "invalid_request");
    assert!(nonsense.header("ratelimit").is_some_and(|state| state.starts_with("\"default\";r=3;")));
    let text = client::post(gateway.http, PREDICT, &[key, ("content-type", "text/plain")], QUESTION);
    text.assert_refused(415, "unsupported_media_type");
    assert!(text.header("ratelimit").is_some_and(|state| state.starts_with("\"default\";r=2;")));
    assert_eq!((ask(&gateway, KEY).status, ask(&gateway, KEY).status), (200, 200));
    assert_limited(&ask(&gateway, KEY), "default");
}

#[test]
fn a_stream_holds_its_place_until_its_last_byte() {
    let (upstream, go) = holding();
    let gateway = start(upstream.address, "default: { requests: 100000/min, burst: 10000, concurrent: 2, wait: 0s }");
    let mut streams = [hold(&gateway, KEY), hold(&gateway, KEY)];
    let refused = ask(&gateway, KEY);
    refused.assert_refused(429, "too_many_concurrent");
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!(wait >= 1);
    assert_eq!(upstream.seen().len(), 2);
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"concurrent\"}", 1.0);
    // Others are not concerned.
    assert_eq!(ask(&gateway, SECOND).status, 200);
    go.send(()).unwrap();
    wait_for("the place of one stream", || (ask(&gateway, KEY).status == 200).then_some(()));
    gateway.wait_metric("flowgate_streams_open", 1.0);
    go.send(()).unwrap();
    for stream in &mut streams {
        while stream.read_chunk().expect("a chunk").is_some() {}
    }
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let (upstream, _go) = holding();
    let gateway = start(upstream.address, "default: { requests: 100000/min, burst: 10000, concurrent: 1, wait: 0s }");
    let stream = hold(&gateway, KEY);
    ask(&gateway, KEY).assert_refused(429, "too_many_concurrent");
    drop(stream);
    wait_for("the place of the stream", || (ask(&gateway, KEY).status == 200).then_some(()));
    // The same while an answer is awaited.
    let before = upstream.seen().len();
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY)], r#"{"question":"hold"}"#));
    wait_for("the held request", || {
        upstream.seen().iter().skip(before).any(|seen| seen.method == "POST").then_some(())
    });
    ask(&gateway, KEY).assert_refused(429, "too_many_concurrent");
    drop(connection);
    wait_for("the place of the request", || (ask(&gateway, KEY).status == 200).then_some(()));
}

#[test]
fn what_is_used_stays_used_after_a_reload() {
    let (upstream, go) = holding();
    let gateway = start(
        upstream.address,
        "default: { requests: 2/day, burst: 2, concurrent: 1, wait: 0s }, anonymous: { requests: 1/day, burst: 1 }",
    );
    let mut stream = hold(&gateway, KEY);
    assert_eq!(ask(&gateway, SECOND).status, 200);
    assert_ne!(client::get(gateway.http, STREAMING, &[]).status, 429);
    let reloaded = "flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}";
    for count in [1.0, 2.0] {
        gateway.signal("HUP");
        gateway.wait_metric(reloaded, count);
    }
    ask(&gateway, KEY).assert_refused(429, "too_many_concurrent");
    assert_limited(&ask(&gateway, KEY), "default");
    assert_eq!(ask(&gateway, SECOND).status, 200);
    assert_limited(&ask(&gateway, SECOND), "default");
    assert_limited(&client::get(gateway.http, STREAMING, &[]), "anonymous");
    go.send(()).unwrap();
    while stream.read_chunk().expect("a chunk").is_some() {}
}
