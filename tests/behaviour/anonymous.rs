//! How much a caller without a key may ask: by address, as the chatflow's plan says.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, wait_for};
use crate::rate_limits::{PREDICT, QUESTION, STREAMING, assert_limited, holding};

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
    let plans = "plans: { anonymous: { requests: 100000/min, burst: 10000, concurrent: 2, wait: 0s } }";
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
    let plans = "plans: { anonymous: { requests: 100000/min, burst: 10000, concurrent: 1, wait: 0s } }";
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

const PAGE: &str = "https://app.example.com";

fn hold_public(gateway: &Gateway, address: &str, more: &[(&str, &str)]) -> Connection {
    let headers = [&[("x-forwarded-for", address), ("origin", PAGE)], more].concat();
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &headers, r#"{"question":"hold","streaming":true}"#));
    assert_eq!(connection.read_head().expect("an answer").status, 200);
    assert!(connection.read_chunk().expect("a chunk").is_some());
    connection
}

#[test]
fn an_anonymous_stream_holds_its_place_until_its_last_byte() {
    let (upstream, go) = holding();
    let plans = "plans: { anonymous: { requests: 100000/min, burst: 10000, concurrent: 2, wait: 0s } }";
    let chatflow = format!(", access: public, allowed_origins: ['{PAGE}']");
    let gateway = start(&upstream, &chatflow, plans);
    let ask = |address: &str| {
        client::post(gateway.http, PREDICT, &[("x-forwarded-for", address), ("origin", PAGE)], QUESTION)
    };
    let mut streams = [hold_public(&gateway, "2001:db8::1", &[]), hold_public(&gateway, "2001:db8::2", &[])];
    ask("2001:db8::3").assert_refused(429, "too_many_concurrent");
    assert_eq!(ask("2001:db8:0:1::1").status, 200);
    go.send(()).unwrap();
    wait_for("the place of one stream", || (ask("2001:db8::3").status == 200).then_some(()));
    gateway.wait_metric("flowgate_streams_open", 1.0);
    go.send(()).unwrap();
    for stream in &mut streams {
        while stream.read_chunk().expect("a chunk").is_some() {}
    }
}

#[test]
fn a_visitor_with_a_publishable_key_cannot_use_up_everybodys_share() {
    let upstream = Upstream::answering();
    let plans = "plans: { default: { requests: 3/day, burst: 3 }, anonymous: { requests: 2/day, burst: 2 } }";
    let keys = keys(&format!(", kind: publishable, allowed_origins: ['{PAGE}']"));
    let config = config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", "", plans);
    let gateway = Gateway::start_with(&config, &keys, |_| {});
    let ask = |address: &str| {
        let headers = [("x-forwarded-for", address), ("origin", PAGE), ("x-api-key", KEY)];
        client::post(gateway.http, PREDICT, &headers, QUESTION)
    };
    assert_eq!((ask("192.0.2.7").status, ask("192.0.2.7").status), (200, 200));
    // What this visitor may not have is not taken from the key.
    assert_limited(&ask("192.0.2.7"), "anonymous");
    let response = ask("192.0.2.8");
    assert_eq!(response.status, 200);
    let lists: Vec<_> = response.headers.iter().filter(|(name, _)| name == "ratelimit-policy").collect();
    assert_eq!(lists.len(), 2, "{lists:?}");
    // The key's own number still stands.
    ask("192.0.2.9").assert_refused(429, "rate_limited");
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"requests\"}", 2.0);
}

#[test]
fn what_the_key_refuses_is_not_taken_from_the_visitor() {
    let upstream = Upstream::answering();
    let plans =
        "plans: { default: { requests: 1/day, burst: 1 }, anonymous: { requests: 3/day, burst: 3, quota: 9/day } }";
    let keys = keys(&format!(", kind: publishable, allowed_origins: ['{PAGE}']"));
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", plans), &keys, |_| {});
    let ask = || client::post(gateway.http, PREDICT, &[("origin", PAGE), ("x-api-key", KEY)], QUESTION);
    assert_eq!(ask().status, 200);
    for _ in 0..4 {
        let refused = ask();
        refused.assert_refused(429, "rate_limited");
        let state = refused.header("ratelimit").expect("the visitor's state");
        assert!(state.starts_with("\"anonymous\";r=2;") && state.contains("\"anonymous-quota\";r=8;"), "{state}");
    }
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

#[test]
fn a_call_that_names_its_chatflow_late_is_counted_on_that_chatflows_plan() {
    let upstream = streaming();
    let chatflow = ", access: public, allowed_origins: [\"https://app.example.com\"], plan: visitors";
    let plans = "plans: { visitors: { requests: 1/day, burst: 1 }, anonymous: { requests: 100/day, burst: 100 } }";
    let gateway = start(&upstream, chatflow, plans);
    let call = |address: &str, method: &str, path: &str, body: &str| {
        let headers =
            [("x-forwarded-for", address), ("origin", "https://app.example.com"), ("content-type", "application/json")];
        client::send(gateway.http, method, &format!("/api/v1/{path}"), &headers, body)
    };
    let message = "813dcf2c-cef3-4a52-a559-18542176aa3a";
    let named = r#""chatflowId":"support","chatId":"mine""#;
    for (number, (method, path, body)) in [
        ("POST", "leads", r#"{"chatflowid":"support","chatId":"mine"}"#.to_owned()),
        ("POST", "leads/", r#"{"chatflowid":"support","chatId":"mine"}"#.to_owned()),
        ("POST", "openai-assistants-file/download", format!(r#"{{{named},"fileName":"a.txt"}}"#)),
        ("POST", "text-to-speech/generate", format!(r#"{{{named},"chatMessageId":"{message}","text":"hi"}}"#)),
        ("POST", "text-to-speech/abort", format!(r#"{{{named},"chatMessageId":"{message}"}}"#)),
        ("GET", "get-upload-file?chatflowId=support&chatId=mine&fileName=a.txt", String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("192.0.2.{number}");
        let answer = call(&address, method, path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("ratelimit-policy"), Some("\"visitors\";q=1;w=86400"), "{path}");
        assert_limited(&call(&address, method, path, &body), "visitors");
    }
    assert_eq!(upstream.seen().len(), 6);

    // What names none, or none that there is, is counted all the same, and refused for what it is.
    let long = format!(r#"{{"chatflowid":"support","name":"{}"}}"#, "x".repeat(70_000));
    for (path, body, status) in [
        ("leads", "{", 400),
        ("leads", "{}", 400),
        ("leads", "", 400),
        ("leads", r#"{"chatflowid":"nobody","chatId":"mine"}"#, 404),
        ("leads", long.as_str(), 413),
    ] {
        let answer = call("198.51.100.1", "POST", path, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(answer.header("ratelimit-policy"), Some("\"anonymous\";q=100;w=86400"), "{body}");
    }
    // Nor does it count as anything else where the page may not call.
    let headers = [("x-forwarded-for", "198.51.100.2"), ("origin", "https://evil.example")];
    let lead = r#"{"chatflowid":"support","chatId":"mine"}"#;
    let answer = client::post(gateway.http, "/api/v1/leads", &headers, lead);
    answer.assert_refused(403, "origin_not_allowed");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"visitors\";q=1;w=86400"));
    assert_eq!(upstream.seen().len(), 6);
}

#[test]
fn a_body_that_names_its_chatflow_is_read_within_its_time() {
    let upstream = streaming();
    let server = ", body_timeout: 300ms";
    let gateway = Gateway::start(&config(upstream.address, server, "", "", ""));
    let mut connection = Connection::open(gateway.http);
    let head = format!(
        "POST /api/v1/leads HTTP/1.1\r\nHost: x\r\nX-API-KEY: {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"chatflowid\":"
    );
    connection.write(head);
    connection.read_response().unwrap().assert_refused(408, "request_timeout");
    gateway.wait_metric("flowgate_rejected_total{rule=\"request_timeout\"}", 1.0);
    assert!(upstream.seen().is_empty());
}
