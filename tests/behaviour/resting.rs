//! Connections of HTTP/1.1 on which little happens: between two requests, and while an event stream runs.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use crate::harness::client::{Connection, request};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::tls::{Authority, connect};
use crate::harness::upstream::{ANSWER, Gate, Upstream, record};
use crate::harness::{KEY, h2};

const PATH: &str = "/api/v1/prediction/support";
const ASK: &str = r#"{"question":"hi"}"#;
const ASK_STREAM: &str = r#"{"question":"hi","streaming":true}"#;

fn prediction(more: &[(&str, &str)], body: &str) -> Vec<u8> {
    request("POST", PATH, &[&[("x-api-key", KEY)], more].concat(), body)
}

/// As a client that has nothing to ask for longer than a connection is kept ready.
#[expect(clippy::disallowed_methods, reason = "the pause is what is tried, and nothing tells its end")]
fn pause() {
    std::thread::sleep(Duration::from_millis(350));
}

/// Asks again and again, with pauses in all places.
fn ask_with_pauses<S: Read + Write>(mut connection: Connection<S>) {
    let answered = |connection: &mut Connection<S>| {
        let answer = connection.read_response().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
    };
    pause();
    let (first, second) = (prediction(&[], ASK), prediction(&[], ASK));
    let (half, rest) = second.split_at(second.len() / 3);
    connection.write(&first);
    answered(&mut connection);
    pause();
    // In two parts.
    connection.write(half);
    pause();
    connection.write(rest);
    answered(&mut connection);
    // With the beginning of the next behind it.
    connection.write([&first, half].concat());
    answered(&mut connection);
    pause();
    connection.write(rest);
    answered(&mut connection);
    pause();
    // Two at once.
    connection.write([&*first, &*second].concat());
    answered(&mut connection);
    answered(&mut connection);
}

#[test]
fn a_connection_that_rested_is_used_again() {
    let (upstream, authority) = (Upstream::answering(), Authority::new());
    let plans = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";
    let text = config(upstream.address, ", tls: { listen: '127.0.0.1:0' }", "", "", plans);
    let gateway = Gateway::start_with(&text, &keys(""), |folder| authority.write_into(folder));
    std::thread::scope(|scope| {
        scope.spawn(|| ask_with_pauses(Connection::open(gateway.http)));
        scope.spawn(|| {
            let https: SocketAddr = gateway.https.unwrap();
            ask_with_pauses(connect(authority.client(&["http/1.1"]), https));
        });
        scope.spawn(|| {
            let client = h2::Client::connect(authority.client(&["h2"]), gateway.https.unwrap());
            for _ in 0..2 {
                let answer = client.send("POST", PATH, &[("x-api-key", KEY)], ASK);
                assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
                pause();
            }
        });
    });
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn a_connection_that_rests_is_gone_with_its_client() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let mut connection = Connection::open(gateway.http);
    connection.write(prediction(&[], ASK));
    assert_eq!(connection.read_response().unwrap().status, 200);
    pause();
    gateway.wait_metric("flowgate_connections", 1.0);
    connection.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    assert!(connection.is_closed());
    gateway.wait_metric("flowgate_connections", 0.0);
}

#[test]
fn what_is_asked_while_a_stream_runs_is_answered_behind_it() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |seen, reply| {
        if seen.method != "POST" || seen.json()["streaming"] != true {
            return reply.json("200 OK", ANSWER);
        }
        reply.stream_head();
        reply.event("token", "one");
        gate.pass();
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = Connection::open(gateway.http);
    for _ in 0..2 {
        client.write(prediction(&[], ASK_STREAM));
        let head = client.read_head().unwrap();
        assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
        assert!(head.header("date").is_some_and(|date| date.ends_with(" GMT")) && head.header("connection").is_none());
        assert_eq!(client.read_chunk().unwrap(), Some(record("token", "one").into_bytes()));
        // Longer than what is read ahead.
        let long = "x".repeat(3000);
        client.write(prediction(&[("x-long", &long)], ASK));
        pause();
        open.send(()).unwrap();
        assert!(client.read_chunk().unwrap().is_some());
        assert_eq!(client.read_chunk().unwrap(), None);
        let answer = client.read_response().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
        pause();
    }
    gateway.wait_metric("flowgate_streams_open", 0.0);
}

#[test]
fn a_stream_is_the_last_answer_for_a_client_that_says_so() {
    let upstream = Upstream::start(|_, reply| {
        reply.stream_head();
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for option in ["close", "Keep-Alive, Close"] {
        let mut client = Connection::open(gateway.http);
        client.write(prediction(&[("connection", option)], ASK_STREAM));
        let answer = client.read_response().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{option}");
        assert!(client.is_closed(), "{option}");
    }
    // One that knows no chunks reads to the end.
    let mut client = Connection::open(gateway.http);
    let text = String::from_utf8(prediction(&[], ASK_STREAM)).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    client.write(text);
    assert_eq!(client.read_head().unwrap().header("transfer-encoding"), None);
    let mut body = String::new();
    client.reader.read_to_string(&mut body).unwrap();
    assert!(body.ends_with("[DONE]\"}\n\n"), "{body}");
}

#[test]
fn a_stream_ends_upstream_when_its_client_leaves() {
    let upstream = Upstream::start(|seen, reply| {
        if seen.method != "POST" {
            return reply.json("200 OK", "{}");
        }
        reply.stream_head();
        reply.event("token", "one");
        assert!(reply.wait_for_close());
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = Connection::open(gateway.http);
    client.write(prediction(&[], ASK_STREAM));
    client.read_head().unwrap();
    client.read_chunk().unwrap();
    gateway.wait_metric("flowgate_streams_open", 1.0);
    drop(client);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    gateway.wait_metric("flowgate_connections", 0.0);
    upstream.wait_ended(0);
}
