//! How much a caller without a key may ask: by address, as the chatflow's plan says.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, wait_for};
use crate::rate_limits::{PREDICT, QUESTION, STREAMING, assert_limited};

/// The address that the proxy on loopback says.
fn asked_from(gateway: &Gateway, address: &str) -> Response {
    client::get(gateway.http, STREAMING, &[("x-forwarded-for", address)])
}

fn start(upstream: &Upstream, chatflow: &str, more: &str) -> Gateway {
    let server = ", trusted_proxies: [127.0.0.1]";
    Gateway::start(&config(upstream.address, server, "", chatflow, more))
}

fn streaming() -> Upstream {
    Upstream::start(|_, reply| reply.json("200 OK", r#"{"isStreaming":true}"#))
}

/// Answers each request once it is told to.
fn told() -> (Upstream, Sender<()>) {
    let (go, told) = channel::<()>();
    let told: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(told));
    let upstream = Upstream::start(move |_, reply| {
        let _ = told.lock().unwrap().recv();
        reply.json("200 OK", r#"{"isStreaming":true}"#);
    });
    (upstream, go)
}

#[test]
fn callers_without_a_key_are_counted_by_address() {
    let upstream = streaming();
    let plans = "plans: { anonymous: { requests: 2/day, burst: 2 } }";
    let gateway = start(&upstream, "", plans);
    let ask = |address: &str| asked_from(&gateway, address);
    for (one, other) in [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::2")] {
        let response = ask(one);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("ratelimit-policy"), Some("\"anonymous\";q=2;w=86400"));
        assert_eq!(ask(other).status, 200);
        // An IPv6 subscriber has many addresses.
        assert_limited(&ask(one), "anonymous");
        assert_limited(&ask(other), "anonymous");
    }
    for address in ["192.0.2.8", "2001:db8:0:1::1"] {
        assert_eq!(ask(address).status, 200, "{address}");
    }
    // A key does not help: nobody looks at it here.
    let headers = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", KEY)];
    assert_limited(&client::get(gateway.http, STREAMING, &headers), "anonymous");
    assert_eq!(upstream.seen().len(), 6);
    gateway.wait_metric("flowgate_limited_total{key=\"anonymous\",limit=\"requests\"}", 5.0);
    // Whoever has a key is not counted with them.
    let headers = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", KEY)];
    assert_eq!(client::post(gateway.http, PREDICT, &headers, QUESTION).status, 200);
}

#[test]
fn an_untrusted_client_cannot_choose_the_address_it_is_counted_by() {
    let upstream = streaming();
    let plans = "plans: { anonymous: { requests: 1/day, burst: 1 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", plans));
    assert_eq!(client::get(gateway.http, STREAMING, &[]).status, 200);
    for field in [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.8"), ("x-real-ip", "192.0.2.9")] {
        assert_limited(&client::get(gateway.http, STREAMING, &[field]), "anonymous");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_address_may_have_so_many_requests_in_flight() {
    let (upstream, go) = told();
    let plans = "plans: { anonymous: { requests: 100000/min, burst: 10000, concurrent: 2 } }";
    let gateway = start(&upstream, "", plans);
    let begin = |address: &str| {
        let mut connection = Connection::open(gateway.http);
        connection.write(request("GET", STREAMING, &[("x-forwarded-for", address)], ""));
        connection
    };
    let mut first = begin("2001:db8::1");
    upstream.wait_seen(1);
    let _second = begin("2001:db8::2");
    upstream.wait_seen(2);
    let refused = asked_from(&gateway, "2001:db8::3");
    refused.assert_refused(429, "too_many_concurrent");
    assert_eq!(refused.header("retry-after"), Some("1"));
    gateway.wait_metric("flowgate_limited_total{key=\"anonymous\",limit=\"concurrent\"}", 1.0);
    // Other subscribers are not concerned.
    let mut other = begin("2001:db8:0:1::1");
    upstream.wait_seen(3);
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    assert_eq!(first.read_response().unwrap().status, 200);
    assert_eq!(other.read_response().unwrap().status, 200);
    go.send(()).unwrap();
    assert_eq!(asked_from(&gateway, "2001:db8::4").status, 200);
}

#[test]
fn a_client_that_leaves_gives_its_addresss_place_back() {
    let (upstream, go) = told();
    let plans = "plans: { anonymous: { requests: 100000/min, burst: 10000, concurrent: 1 } }";
    let gateway = start(&upstream, "", plans);
    let mut connection = Connection::open(gateway.http);
    connection.write(request("GET", STREAMING, &[("x-forwarded-for", "192.0.2.7")], ""));
    upstream.wait_seen(1);
    asked_from(&gateway, "192.0.2.7").assert_refused(429, "too_many_concurrent");
    drop(connection);
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    wait_for("the place", || (asked_from(&gateway, "192.0.2.7").status == 200).then_some(()));
}

#[test]
fn a_chatflow_says_which_plan_its_anonymous_callers_have() {
    let upstream = streaming();
    let more = format!(
        "  other: {{ upstream: flowise, id: {}, plan: visitors }}\n  third: {{ upstream: flowise, id: {} }}\n\
         plans: {{ visitors: {{ requests: 2/day, burst: 2, concurrent: 1 }}, anonymous: {{ requests: 1/day, burst: 1 }} }}",
        FLOW.replace("9d2b", "aaaa"),
        FLOW.replace("9d2b", "bbbb"),
    );
    let gateway = start(&upstream, ", plan: visitors", &more);
    let ask = |chatflow: &str| {
        let path = format!("/api/v1/chatflows-streaming/{chatflow}");
        client::get(gateway.http, &path, &[("x-forwarded-for", "192.0.2.7")])
    };
    let response = ask("support");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("ratelimit-policy"), Some("\"visitors\";q=2;w=86400"));
    // Two chatflows of one plan share what an address has; another plan is another matter.
    assert_eq!(ask("other").status, 200);
    for chatflow in ["support", "other"] {
        assert_limited(&ask(chatflow), "visitors");
    }
    let response = ask("third");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("ratelimit-policy"), Some("\"anonymous\";q=1;w=86400"));
    assert_limited(&ask("third"), "anonymous");

    // The same after a reload, and a changed rate starts anew.
    let file = gateway.file("flowgate.yaml");
    let written = std::fs::read_to_string(&file).unwrap();
    let reloaded = "flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}";
    std::fs::write(&file, written.replace("requests: 1/day, burst: 1", "requests: 3/day, burst: 3")).unwrap();
    gateway.wait_metric(reloaded, 1.0);
    assert_limited(&ask("support"), "visitors");
    assert_eq!(ask("third").status, 200);
}
