//! HTTP/2: the same gateway, many requests on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::gateway::{Gateway, keys, simple};
use crate::harness::tls::Authority;
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{FLOW, KEY, h2, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;
const STREAM: &str = r#"{"question":"hi","streaming":true,"chatId":"c1"}"#;

fn start(upstream: &Upstream) -> (Gateway, Authority) {
    let authority = Authority::new();
    let text = simple(upstream.address).replace("workers: 1", "workers: 1, tls: { listen: '127.0.0.1:0' }");
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    (gateway, authority)
}

fn client(gateway: &Gateway, authority: &Authority) -> h2::Client {
    h2::Client::connect(authority.client(&[]), gateway.https.expect("a TLS listener"))
}

#[test]
fn a_prediction_is_answered() {
    let upstream = Upstream::answering();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let response = client.send("POST", PATH, &[("x-api-key", KEY), ("x-request-id", "http-2-request")], ASK);
    assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
    assert_eq!(response.header("x-request-id"), Some("http-2-request"));
    for hop in ["connection", "keep-alive", "transfer-encoding"] {
        assert_eq!(response.header(hop), None);
    }
    let seen = &upstream.wait_seen(1)[0];
    assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
    assert!(!format!("{seen:?}").contains(KEY));
    assert_eq!(gateway.access_line("http-2-request")["protocol"], "HTTP/2.0");
}

#[test]
fn credentials_work_and_their_absence_is_refused() {
    let upstream = Upstream::answering();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let bearer = format!("Bearer {KEY}");
    assert_eq!(client.send("POST", PATH, &[("authorization", &bearer)], ASK).status, 200);
    client.send("POST", PATH, &[], ASK).assert_refused(401, "missing_api_key");
    client.send("POST", PATH, &[("x-api-key", "wrong-key-0123456789")], ASK).assert_refused(401, "invalid_api_key");
    client.send("GET", "/api/v1/chatflows", &[("x-api-key", KEY)], "").assert_refused(404, "not_found");
    assert_eq!(client.send("GET", "/api/v1/ping", &[], "").text(), "pong");
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_stream_passes_event_by_event() {
    let go_on = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start({
        let go_on = Arc::clone(&go_on);
        move |_, reply| {
            reply.stream_head();
            for number in 0..3 {
                wait_for("the word", || (go_on.load(Ordering::SeqCst) >= number).then_some(()));
                reply.event("token", &number.to_string());
            }
            reply.event("end", "[DONE]");
            reply.finish();
        }
    });
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let mut exchange = client.start("POST", PATH, &[("x-api-key", KEY)], STREAM);
    assert_eq!(exchange.status(), 200);
    for number in 0..3 {
        let piece = exchange.piece().unwrap().unwrap();
        assert_eq!(piece, format!("message:\ndata:{{\"event\":\"token\",\"data\":\"{number}\"}}\n\n"));
        go_on.store(number + 1, Ordering::SeqCst);
    }
    let rest = exchange.finish();
    assert_eq!(rest.text(), "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n");
    assert_eq!(rest.header("content-type"), Some("text/event-stream"));
    gateway.wait_metric(r#"flowgate_streams_ended_total{reason="done"}"#, 1.0);
}

#[test]
fn many_requests_at_once_share_one_connection() {
    const AT_ONCE: usize = 100;
    let arrived = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start({
        let arrived = Arc::clone(&arrived);
        move |seen, reply| {
            arrived.fetch_add(1, Ordering::SeqCst);
            // Nobody is answered until all are here.
            wait_for("the others", || (arrived.load(Ordering::SeqCst) == AT_ONCE).then_some(()));
            reply.json("200 OK", &format!(r#"{{"text":{}}}"#, seen.json()["question"]));
        }
    });
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let client = &client;
            scope.spawn(move || {
                let question = format!(r#"{{"question":"question {number}"}}"#);
                let response = client.send("POST", PATH, &[("x-api-key", KEY)], &question);
                assert_eq!((response.status, response.text()), (200, format!(r#"{{"text":"question {number}"}}"#)));
            });
        }
        wait_for("all requests", || (arrived.load(Ordering::SeqCst) == AT_ONCE).then_some(()));
        gateway.wait_metric("flowgate_connections", 1.0);
    });
}

/// Stalls every prediction (with a first event, if it is a stream) and notes that the gateway hung up.
fn stalling() -> (Upstream, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let cut = Arc::clone(&cut);
        move |seen, reply| {
            if seen.method == "PUT" {
                return reply.json("200 OK", "{}");
            }
            if seen.json()["streaming"] == true {
                reply.stream_head();
                reply.event("token", "first");
            }
            cut.store(reply.wait_for_close(), Ordering::SeqCst);
        }
    });
    (upstream, cut)
}

#[test]
fn a_reset_stream_cancels_the_upstream_call_and_aborts_the_chat() {
    let (upstream, cut) = stalling();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let mut exchange = client.start("POST", PATH, &[("x-api-key", KEY), ("x-request-id", "to-be-reset")], STREAM);
    assert!(exchange.piece().unwrap().unwrap().ends_with(b"\n\n"));
    gateway.wait_metric("flowgate_streams_open", 1.0);
    drop(exchange);
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c1"));
    wait_for("the end of the upstream call", || cut.load(Ordering::SeqCst).then_some(()));
    assert_eq!(gateway.access_line("to-be-reset")["end"], "client_gone");
    gateway.wait_metric(r#"flowgate_streams_ended_total{reason="client_gone"}"#, 1.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    // The connection itself goes on.
    assert_eq!(client.send("GET", "/api/v1/ping", &[], "").text(), "pong");
    gateway.wait_metric("flowgate_connections", 1.0);
}

#[test]
fn a_request_given_up_before_its_answer_is_cancelled_upstream() {
    let (upstream, cut) = stalling();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let headers = [("x-api-key", KEY), ("x-request-id", "given-up-early")];
    client.abandon(PATH, &headers, r#"{"question":"hi","chatId":"c2"}"#, || drop(upstream.wait_seen(1)));
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c2"));
    wait_for("the end of the upstream call", || cut.load(Ordering::SeqCst).then_some(()));
    assert_eq!(gateway.access_line("given-up-early")["status"], 499);
    assert_eq!(client.send("GET", "/api/v1/ping", &[], "").text(), "pong");
}

#[test]
fn a_head_beyond_its_bound_is_refused_and_the_connection_goes_on() {
    let upstream = Upstream::answering();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let long = "x".repeat(40 * 1024);
    match client.try_start("POST", PATH, &[("x-api-key", KEY), ("x-long", &long)], ASK) {
        Ok(exchange) => assert_eq!(exchange.status(), 431),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(client.send("POST", PATH, &[("x-api-key", KEY), ("x-long", &long[..20_000])], ASK).status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_authority_and_a_host_that_disagree_are_refused() {
    let upstream = Upstream::answering();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let headers = [("x-api-key", KEY), ("host", "elsewhere.test")];
    client.send("POST", PATH, &headers, ASK).assert_refused(400, "invalid_request");
    assert!(upstream.seen().is_empty());
    gateway.wait_metric(r#"flowgate_rejected_total{rule="host"}"#, 1.0);
    let headers = [("x-api-key", KEY), ("host", "gateway.test")];
    assert_eq!(client.send("POST", PATH, &headers, ASK).status, 200);
}

#[test]
fn a_declared_body_beyond_its_bound_is_refused_before_it_comes() {
    let upstream = Upstream::answering();
    let (gateway, authority) = start(&upstream);
    let client = client(&gateway, &authority);
    let body = format!(r#"{{"question":"{}"}}"#, "hi ".repeat(500_000));
    client.send("POST", PATH, &[("x-api-key", KEY)], &body).assert_refused(413, "body_too_large");
    assert_eq!(client.send("GET", "/api/v1/ping", &[], "").text(), "pong");
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_draining_gateway_says_goaway_and_lets_running_streams_finish() {
    let (upstream, finish) = Upstream::holding_streams();
    let (mut gateway, authority) = start(&upstream);
    let mut client = h2::Raw::connect(authority.client(&[]), gateway.https.unwrap(), &[]);
    client.request(1, "POST", PATH, &[("x-api-key", KEY), ("content-type", "application/json")], STREAM);
    client.write(h2::SETTINGS, h2::ACK, 0, b"");
    assert!(client.read_kind(h2::DATA).payload.ends_with(b"\n\n"));
    gateway.signal("TERM");
    let goaway = client.read_kind(h2::GOAWAY);
    assert_eq!(goaway.payload[4..8], [0; 4], "no error");
    finish.store(true, Ordering::SeqCst);
    let frames = client.read_to_end();
    let data: Vec<_> = frames.iter().filter(|frame| frame.kind == h2::DATA && frame.stream == 1).collect();
    let text: Vec<_> = data.iter().flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(String::from_utf8_lossy(&text), "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n");
    assert_eq!(data.last().unwrap().flags & h2::END_STREAM, h2::END_STREAM);
    assert!(frames.iter().all(|frame| frame.kind != h2::RST_STREAM), "{frames:?}");
    assert_eq!(gateway.wait().code(), Some(0));
}
