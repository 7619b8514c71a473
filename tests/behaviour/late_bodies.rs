//! A request that is answered before its body has come: who is still sending must not lose the answer to a reset.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::harness::KEY;
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::Upstream;

const PREDICT: &str = "/api/v1/prediction/support";
/// More than the buffers of both sockets hold.
const BODY: usize = 12 * 1024 * 1024;

/// Sends a head, waits for the answer to arrive without reading it, sends the whole body, and reads then.
fn answer(gateway: &Gateway, head: &str) -> String {
    let mut stream = TcpStream::connect(gateway.http).expect("a connection");
    stream.write_all(head.as_bytes()).expect("the head is taken");
    stream.peek(&mut [0]).expect("an answer");
    let piece = vec![b'x'; 64 * 1024];
    for sent in (0..BODY).step_by(piece.len()) {
        stream.write_all(&piece).unwrap_or_else(|error| panic!("after {sent} bytes: {error}\n{head}"));
    }
    stream.shutdown(Shutdown::Write).expect("an end");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{error}\n{head}"));
    answer
}

fn head(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n{fields}\r\n")
}

#[test]
fn whoever_is_still_sending_reads_the_answer() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let good = format!("X-API-KEY: {KEY}\r\n");
    let wrong = "X-API-KEY: another-key-0123456789\r\n";
    let json = "Content-Type: application/json\r\n";
    let many = "X-Field: 1\r\n".repeat(120);
    for (head, status) in [
        (head(PREDICT, &format!("{wrong}{json}")), 401),
        (head(PREDICT, &format!("{good}{json}")), 413),
        (head(PREDICT, &format!("{good}Content-Type: text/plain\r\n")), 415),
        (head("/nothing/here", &good), 404),
        (head(PREDICT, &format!("{good}{many}")), 431),
        (format!("POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{wrong}{json}\r\n"), 401),
    ] {
        let answer = answer(&gateway, &head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}\n{answer}");
        assert!(answer.contains("\"requestId\""), "{answer}");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn whoever_is_still_sending_gives_way_to_others() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, ", max_connections: 1", "", "", ""));
    let mut stream = TcpStream::connect(gateway.http).expect("a connection");
    stream.write_all(head(PREDICT, "Content-Type: application/json\r\n").as_bytes()).expect("the head is taken");
    stream.peek(&mut [0]).expect("an answer");
    // It would be waited for, were its place not wanted.
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).status, 200);
}
