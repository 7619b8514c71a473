//! Clients that are slow, silent or greedy.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::client::{Connection, Response, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::tls::Authority;
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{FLOW, KEY, PATIENCE, h2, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;

fn prediction() -> Vec<u8> {
    request("POST", PATH, &[("x-api-key", KEY)], ASK)
}

#[test]
fn a_client_that_never_says_anything_is_cut() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", header_timeout: 300ms");
    let mut silent = Connection::open(gateway.http);
    gateway.wait_metric("flowgate_connections", 1.0);
    assert!(silent.is_closed());
    gateway.wait_metric("flowgate_connections", 0.0);
    assert_eq!(gateway.predict(ASK).status, 200);
}

#[test]
fn half_a_head_is_cut_even_if_it_grows_byte_by_byte() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", header_timeout: 300ms");
    let whole = prediction();
    let mut half = Connection::open(gateway.http);
    half.write(&whole[..whole.len() / 2]);
    assert!(half.is_closed());

    let mut growing = Connection::open(gateway.http);
    growing.write(b"POST /api/v1/prediction/support HTTP/1.1\r\nX-Long: ");
    wait_for("the cut", || growing.reader.get_mut().write_all(b"x").is_err().then_some(()));
    // So is the head of a later request.
    let mut second = Connection::open(gateway.http);
    second.write(&whole);
    assert_eq!(second.read_response().unwrap().status, 200);
    second.write(&whole[..whole.len() / 2]);
    assert!(second.is_closed());
    assert_eq!(upstream.seen().len(), 1);
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn a_connection_without_a_further_request_is_closed_after_the_idle_timeout() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", idle_timeout: 300ms");
    let mut connection = Connection::open(gateway.http);
    for _ in 0..3 {
        connection.write(prediction());
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    assert!(connection.is_closed());
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn a_request_may_take_longer_than_an_idle_connection_may_rest() {
    let released = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let released = Arc::clone(&released);
        move |_, reply| {
            wait_for("the release", || released.load(Ordering::SeqCst).then_some(()));
            reply.json("200 OK", ANSWER);
        }
    });
    let gateway =
        Gateway::serving(upstream.address, ", idle_timeout: 200ms, header_timeout: 200ms, send_timeout: 200ms");
    let mut busy = Connection::open(gateway.http);
    busy.write(prediction());
    upstream.wait_seen(1);
    // An idle connection that came later is closed first.
    let mut idle = Connection::open(gateway.http);
    idle.write(request("GET", "/api/v1/ping", &[], ""));
    assert_eq!(idle.read_response().unwrap().text(), "pong");
    assert!(idle.is_closed());
    released.store(true, Ordering::SeqCst);
    let response = busy.read_response().unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
}

#[test]
fn an_idle_http_2_client_is_told_before_it_is_closed_even_if_it_pings() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = Gateway::serving_tls(upstream.address, ", header_timeout: 200ms, idle_timeout: 600ms", &authority);
    let mut client = h2::Raw::connect(authority.client(&[]), gateway.https.unwrap(), &[]);
    client.request(1, "POST", PATH, &[("x-api-key", KEY), ("content-type", "application/json")], ASK);
    while client.read_kind(h2::DATA).flags & h2::END_STREAM == 0 {}
    client.write(h2::SETTINGS, h2::ACK, 0, b"");
    client.write(h2::PING, 0, 0, b"are you?");
    let frames = client.read_to_end();
    assert!(frames.iter().any(|frame| frame.kind == h2::PING && frame.payload == b"are you?"), "{frames:?}");
    let goaway = frames.iter().rfind(|frame| frame.kind == h2::GOAWAY).expect("GOAWAY");
    assert_eq!(goaway.payload[4..8], [0; 4], "nothing is wrong");
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn an_http_2_client_that_never_asks_is_cut() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let gateway = Gateway::serving_tls(upstream.address, ", header_timeout: 300ms", &authority);
    let mut client = h2::Raw::connect(authority.client(&[]), gateway.https.unwrap(), &[]);
    client.read_to_end();
    gateway.wait_metric("flowgate_connections", 0.0);
    assert!(upstream.seen().is_empty());
}

/// Sends far more than any buffer holds; notes when the gateway hangs up.
fn flooding(stream: bool) -> (Upstream, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let cut = Arc::clone(&cut);
        move |seen, reply| {
            if seen.method == "PUT" {
                return reply.json("200 OK", "{}");
            }
            if stream {
                reply.stream_head();
                let text = "x".repeat(60 * 1024);
                (0..1000).for_each(|_| reply.event("token", &text));
            } else {
                reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 65536000\r\n\r\n\"");
                let piece = vec![b'x'; 64 * 1024];
                (0..1000).for_each(|_| reply.raw(&piece));
            }
            cut.store(reply.wait_for_close(), Ordering::SeqCst);
        }
    });
    (upstream, cut)
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    for stream in [true, false] {
        let (upstream, cut) = flooding(stream);
        let gateway = Gateway::serving(upstream.address, ", send_timeout: 400ms");
        let mut client = Connection::open(gateway.http);
        let headers = [("x-api-key", KEY), ("x-request-id", "reads-nothing")];
        client.write(request("POST", PATH, &headers, ASK));
        let line = gateway.access_line("reads-nothing");
        assert_eq!((line["end"].as_str(), line["status"].as_u64()), (Some("client_gone"), Some(200)), "{line}");
        gateway.wait_metric("flowgate_connections", 0.0);
        wait_for("the end of the upstream call", || cut.load(Ordering::SeqCst).then_some(()));
        upstream.wait_request("PUT", "/api/v1/chatmessage/abort/");
        if stream {
            gateway.wait_metric(r#"flowgate_streams_ended_total{reason="client_gone"}"#, 1.0);
            gateway.wait_metric("flowgate_streams_open", 0.0);
        }
    }
}

#[test]
fn an_http_2_client_that_makes_no_room_is_cut() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    for window in [0, 65_535] {
        let ((upstream, cut), authority) = (flooding(true), Authority::new());
        let gateway = Gateway::serving_tls(upstream.address, ", send_timeout: 400ms", &authority);
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut client = h2::Raw::connect(authority.client(&[]), gateway.https.unwrap(), &settings);
        let headers = [("x-api-key", KEY), ("x-request-id", "makes-no-room"), ("content-type", "application/json")];
        client.request(1, "POST", PATH, &headers, ASK);
        client.write(h2::SETTINGS, h2::ACK, 0, b"");
        let frames = client.read_to_end();
        let sent: usize = frames.iter().filter(|frame| frame.kind == h2::DATA).map(|frame| frame.payload.len()).sum();
        assert_eq!(sent, window as usize, "the window is used and respected");
        let line = gateway.access_line("makes-no-room");
        assert_eq!((line["end"].as_str(), line["status"].as_u64()), (Some("client_gone"), Some(200)), "{line}");
        wait_for("the end of the upstream call", || cut.load(Ordering::SeqCst).then_some(()));
        upstream.wait_request("PUT", "/api/v1/chatmessage/abort/");
        gateway.wait_metric("flowgate_connections", 0.0);
    }
}

#[test]
fn a_body_that_stops_coming_is_answered_408() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", body_timeout: 300ms");
    for framing in [("content-length", "500"), ("transfer-encoding", "chunked")] {
        let mut client = Connection::open(gateway.http);
        let headers = [("x-api-key", KEY), framing, ("content-type", "application/json")];
        client.write(request("POST", PATH, &headers, ""));
        client.write(if framing.1 == "chunked" { "5\r\n{\"que\r\n" } else { "{\"que" });
        client.read_response().unwrap().assert_refused(408, "request_timeout");
        assert!(client.is_closed(), "what else comes on this connection is not known");
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn a_body_that_comes_slowly_but_steadily_is_served() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", body_timeout: 10s, header_timeout: 250ms, idle_timeout: 250ms");
    let mut client = Connection::open(gateway.http);
    let body = format!(r#"{{"question":"{}"}}"#, "hi ".repeat(100));
    let whole = request("POST", PATH, &[("x-api-key", KEY)], &body);
    let (start, rest) = whole.split_at(whole.len() - 200);
    client.write(start);
    // Others come and go by their own limits meanwhile.
    let mut idle = Connection::open(gateway.http);
    for byte in rest {
        client.write([*byte]);
    }
    assert_eq!(client.read_response().unwrap().status, 200);
    assert!(idle.is_closed());
    assert_eq!(upstream.wait_seen(1)[0].json()["question"], "hi ".repeat(100));
}

#[test]
fn a_head_beyond_its_bound_is_refused_with_431() {
    let upstream = Upstream::answering();
    let gateway = Gateway::serving(upstream.address, ", max_header_bytes: 8KiB");
    let long = "x".repeat(9 * 1024);
    let many: Vec<_> = (0..101).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for headers in [&[("x-api-key", KEY), ("x-long", &long)][..], &many] {
        let mut client = Connection::open(gateway.http);
        client.write(request("POST", PATH, headers, ASK));
        client.read_response().unwrap().assert_refused(431, "headers_too_large");
        assert!(client.is_closed(), "where the head ends is not known");
    }
    let mut client = Connection::open(gateway.http);
    client.write(request("POST", PATH, &[("x-api-key", KEY), ("x-long", &long[..7 * 1024])], ASK));
    assert_eq!(client.read_response().unwrap().status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

/// Begins a request and sends its body a byte at a time, until there is an answer.
fn dribble(gateway: &Gateway, path: &str, content_type: &str, start: &str) -> Response {
    let mut client = Connection::open(gateway.http);
    let headers = [("x-api-key", KEY), ("content-type", content_type), ("transfer-encoding", "chunked")];
    client.write(request("POST", path, &headers, ""));
    client.write(format!("{:x}\r\n{start}\r\n", start.len()));
    let end = Instant::now() + PATIENCE;
    client.reader.get_ref().set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    while client.reader.fill_buf().is_err() {
        assert!(Instant::now() < end, "{path} stays open");
        let _ = client.reader.get_mut().write_all(b"1\r\n \r\n");
    }
    client.reader.get_ref().set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let response = client.read_response().expect("an answer");
    assert!(client.is_closed(), "where the body ends is not known");
    response
}

/// Every way in which a body is read: whole, unread, and looked at as it goes by.
const BODIES: [(&str, &str, &str); 6] = [
    (PATH, "application/json", "{"),
    ("/api/v1/prediction/raw", "application/json", "{"),
    ("/api/v1/prediction/raw", "multipart/form-data; boundary=b", "--b\r\n"),
    ("/api/v1/attachments/support/chat-1", "multipart/form-data; boundary=b", "--b\r\n"),
    ("/api/v1/leads", "application/json", "{"),
    ("/api/v1/tokens", "application/json", "{"),
];

fn with_raw(upstream: SocketAddr, server: &str) -> Gateway {
    let raw = format!("  raw: {{ upstream: flowise, id: {}, body: passthrough }}", FLOW.replace("9d2b", "aaaa"));
    Gateway::start(&config(upstream, server, "", "", &raw))
}

#[test]
fn a_body_that_comes_byte_by_byte_without_end_is_answered_408() {
    let upstream = Upstream::answering();
    let gateway = with_raw(upstream.address, ", body_time: 300ms");
    for (path, content_type, start) in BODIES {
        dribble(&gateway, path, content_type, start).assert_refused(408, "request_timeout");
    }
    assert!(upstream.seen().is_empty(), "no whole request came there");
    gateway.wait_metric(r#"flowgate_rejected_total{rule="body_time"}"#, 6.0);
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn a_body_below_the_least_rate_is_answered_408() {
    let upstream = Upstream::answering();
    let gateway = with_raw(upstream.address, ", min_body_rate: 1MiB/s");
    std::thread::scope(|scope| {
        for (path, content_type, start) in BODIES {
            let gateway = &gateway;
            scope.spawn(move || {
                dribble(gateway, path, content_type, start).assert_refused(408, "request_timeout");
            });
        }
    });
    gateway.wait_metric(r#"flowgate_rejected_total{rule="body_rate"}"#, 6.0);
    assert!(upstream.seen().is_empty(), "no whole request came there");
}

#[test]
fn an_ipv6_listener_serves() {
    let upstream = Upstream::answering();
    let text = config(upstream.address, "", "", "", "")
        .replace("listen: '127.0.0.1:0', workers", "listen: '[::1]:0', workers");
    let gateway = Gateway::start(&text);
    assert!(gateway.http.is_ipv6());
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(upstream.wait_seen(1)[0].header("x-forwarded-for"), Some("::1"));
}
