//! What two programs could read as two different requests is one request or none.

mod hosts;

use std::io;
use std::net::SocketAddr;

use crate::harness::client::{Connection, Response};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY};

const BODY: &str = r#"{"question":"hi"}"#;
/// What an attacker would like to get past the gateway.
const HIDDEN: &str = "POST /api/v1/prediction/support HTTP/1.1\r\nHost: gateway.test\r\nX-Hidden: 1\r\n\
                      Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"question\":\"hi\"}";

/// The request line and everything that a good request needs, but `fields`, which end their own lines.
fn head(fields: &str) -> String {
    format!(
        "POST /api/v1/prediction/support HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\n\
         Content-Type: application/json\r\n{fields}\r\n"
    )
}

/// A gateway that does not wait long for the rest of a request.
fn impatient(upstream: SocketAddr) -> Gateway {
    let limits = ", header_timeout: 500ms, body_timeout: 500ms, idle_timeout: 500ms";
    let plan = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";
    Gateway::start(&config(upstream, limits, "", "", plan))
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Sends bytes on a connection of their own; all answers until the gateway closes.
fn answers(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Vec<Response> {
    let mut connection = Connection::open(gateway.http);
    connection.write(bytes);
    let mut answers = Vec::new();
    loop {
        match connection.read_response() {
            Ok(response) => answers.push(response),
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the connection stays open after {answers:?}");
                return answers;
            }
        }
    }
}

fn statuses(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    answers(gateway, bytes).iter().map(|response| response.status).collect()
}

/// Asserts that these bytes are answered with 400 (or nothing), that the connection is closed, and that nothing
/// reaches the upstream, even if another request is sent along.
#[track_caller]
fn assert_refused(cases: &[(&str, Vec<u8>)]) {
    let upstream = Upstream::answering();
    let gateway = impatient(upstream.address);
    for (name, bytes) in cases {
        let with_more = [bytes.as_slice(), HIDDEN.as_bytes()].concat();
        for bytes in [bytes, &with_more] {
            let answers = answers(&gateway, bytes);
            match answers.as_slice() {
                [] => {}
                // What looks like a chunk of exabytes is one that never comes.
                [late] if late.status == 408 => {
                    late.assert_refused(408, "request_timeout");
                }
                [refused] => {
                    assert_eq!(refused.status, 400, "{name}");
                    refused.assert_refused(400, "invalid_request");
                    assert_eq!(refused.header("connection"), Some("close"), "{name}");
                }
                _ => panic!("{name}: {answers:?}"),
            }
            assert!(upstream.seen().is_empty(), "{name}: {:?}", upstream.seen());
        }
    }
    // The gateway is still there for everybody else.
    assert_eq!(gateway.predict(BODY).status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

fn cases(texts: &[(&'static str, String)]) -> Vec<(&'static str, Vec<u8>)> {
    texts.iter().map(|(name, text)| (*name, text.clone().into_bytes())).collect()
}

#[test]
fn a_body_with_two_lengths_is_refused() {
    assert_refused(&cases(&[
        ("two that differ", format!("{}{BODY}", head("Content-Length: 17\r\nContent-Length: 5\r\n"))),
        ("two that differ, small first", format!("{}{BODY}", head("Content-Length: 5\r\nContent-Length: 17\r\n"))),
        ("a list that differs", format!("{}{BODY}", head("Content-Length: 17, 5\r\n"))),
        ("a list of the same", format!("{}{BODY}", head("Content-Length: 17, 17\r\n"))),
    ]));
}

#[test]
fn a_length_that_is_no_number_is_refused() {
    let lengths = ["-1", "+17", "0x11", "17a", "1 7", "17.0", "", "seventeen", "99999999999999999999999", "17;x"];
    let texts: Vec<_> = lengths
        .iter()
        .map(|value| (*value, format!("{}{BODY}", head(&format!("Content-Length: {value}\r\n")))))
        .collect();
    assert_refused(&cases(&texts));
}

#[test]
fn a_transfer_encoding_that_does_not_end_in_chunked_is_refused() {
    let values = ["gzip", "identity", "chunked, gzip", "xchunked", "chunked-x", "\"chunked\"", "", "chunked\x0b"];
    let texts: Vec<_> = values
        .iter()
        .map(|value| (*value, format!("{}{}", head(&format!("Transfer-Encoding: {value}\r\n")), chunked(BODY))))
        .collect();
    assert_refused(&cases(&texts));
}

#[test]
fn no_other_coding_may_stand_beside_chunked() {
    let (chunked_line, gzip) = ("Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n");
    let texts: Vec<_> = [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: x;a=\"chunked\", chunked\r\n",
        &format!("{gzip}{chunked_line}"),
        &format!("{chunked_line}{chunked_line}"),
    ]
    .iter()
    .map(|fields| ("beside chunked", format!("{}{}", head(fields), chunked(BODY))))
    .collect();
    assert_refused(&cases(&texts));
}

#[test]
fn chunked_in_http_1_0_is_refused() {
    let text = format!("{}{}", head("Transfer-Encoding: chunked\r\n"), chunked(BODY));
    assert_refused(&cases(&[("HTTP/1.0", text.replace("HTTP/1.1", "HTTP/1.0"))]));
}

#[test]
fn a_head_that_is_not_well_formed_is_refused() {
    let length = "Content-Length: 17\r\n";
    let good = format!("{}{BODY}", head(length));
    assert_refused(&cases(&[
        ("space before the colon", format!("{}{BODY}", head("Content-Length : 17\r\n"))),
        ("tab before the colon", format!("{}{BODY}", head("Content-Length\t: 17\r\n"))),
        ("space before another colon", format!("{}{BODY}", head(&format!("X-Other : 1\r\n{length}")))),
        ("folded line", format!("{}{BODY}", head(&format!("X-Other: 1\r\n 2\r\n{length}")))),
        (
            "folded with a tab",
            format!("{}{BODY}", head(&format!("X-Other: 1\r\n\tTransfer-Encoding: chunked\r\n{length}"))),
        ),
        ("a first line that is folded", good.replacen("\r\nHost", "\r\n Host", 1)),
        ("no colon", format!("{}{BODY}", head(&format!("Nonsense\r\n{length}")))),
        ("no name", format!("{}{BODY}", head(&format!(": 1\r\n{length}")))),
        ("a name that is no token", format!("{}{BODY}", head(&format!("X(Other): 1\r\n{length}")))),
        ("NUL in a value", format!("{}{BODY}", head(&format!("X-Other: a\0b\r\n{length}")))),
        ("NUL in a name", format!("{}{BODY}", head(&format!("X-\0Other: a\r\n{length}")))),
        ("CR in a value", format!("{}{BODY}", head(&format!("X-Other: a\rb\r\n{length}")))),
        ("NUL in the path", good.replacen("support", "supp\0ort", 1)),
        ("space in the path", good.replacen("support", "supp ort", 1)),
        ("no version", good.replacen(" HTTP/1.1", "", 1)),
        ("another version", good.replacen("HTTP/1.1", "HTTP/2.0", 1)),
        ("an odd version", good.replacen("HTTP/1.1", "HTTP/1.1x", 1)),
        ("a method that is no token", good.replacen("POST", "PO(ST", 1)),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ]));
}

#[test]
fn chunk_sizes_that_are_not_plain_are_refused() {
    let chunked = head("Transfer-Encoding: chunked\r\n");
    let sized = |size: &str| format!("{chunked}{size}\r\n{BODY}\r\n0\r\n\r\n");
    assert_refused(&cases(&[
        ("overflowing", sized("fffffffffffffffff")),
        ("the largest", sized("ffffffffffffffff")),
        ("overflowing by zeros", sized("100000000000000011")),
        ("negative", sized("-11")),
        ("signed", sized("+11")),
        ("with a prefix", sized("0x11")),
        ("empty", sized("")),
        ("no number", sized("xyz")),
        ("a space within", sized("1 1")),
        ("too short for its data", sized("5")),
        ("a bare LF after the size", format!("{chunked}11\n{BODY}\r\n0\r\n\r\n")),
        ("a bare CR after the size", format!("{chunked}11\r{BODY}\r\n0\r\n\r\n")),
        ("an LF in an extension", format!("{chunked}11;a\nb\r\n{BODY}\r\n0\r\n\r\n")),
        ("data without its end", format!("{chunked}11\r\n{BODY}0\r\n\r\n")),
    ]));
}

#[test]
fn a_length_beside_chunked_does_not_count_and_nothing_follows_on_the_connection() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let (length, te) = ("Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n");
    for (count, fields) in [format!("{length}{te}"), format!("{te}{length}")].iter().enumerate() {
        let statuses = statuses(&gateway, format!("{}{}{HIDDEN}", head(fields), chunked(BODY)));
        // One answer at most, then the connection is closed: what was sent along is never read as a request.
        assert!(matches!(statuses.as_slice(), [200 | 400]), "{statuses:?}");
        for seen in upstream.seen() {
            assert_eq!(seen.header("transfer-encoding"), None);
            assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
            assert_eq!(seen.json()["question"], "hi");
            assert_eq!(seen.header("x-hidden"), None);
        }
        assert!(upstream.seen().len() <= count + 1);
    }
}

#[test]
fn a_request_in_a_body_is_a_body() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for framed in [
        format!("{}{HIDDEN}", head(&format!("Connection: close\r\nContent-Length: {}\r\n", HIDDEN.len()))),
        format!("{}{}", head("Connection: close\r\nTransfer-Encoding: chunked\r\n"), chunked(HIDDEN)),
    ] {
        assert_eq!(statuses(&gateway, framed), [400], "no JSON");
    }
    assert!(upstream.seen().is_empty());
    // A body that a GET brings along is not the next request.
    let get = format!(
        "GET /api/v1/ping HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
        HIDDEN.len()
    );
    assert_eq!(statuses(&gateway, get), [200]);
    assert!(upstream.seen().is_empty());
}

#[test]
fn the_body_of_a_refused_request_is_never_read_as_the_next_one() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let key = format!("X-Api-Key: {KEY}\r\n");
    let hidden = HIDDEN.replacen("X-Hidden: 1\r\n", &key, 1);
    let length = hidden.len();
    for (status, first) in [
        (401, head(&format!("Content-Length: {length}\r\n")).replacen(&key, "", 1)),
        (404, head(&format!("Content-Length: {length}\r\n")).replacen("support", "nobody", 1)),
        (405, head(&format!("Content-Length: {length}\r\n")).replacen("POST", "PUT", 1)),
        (415, head(&format!("Content-Length: {length}\r\n")).replacen("application/json", "text/plain", 1)),
        (
            200,
            head(&format!("Content-Length: {length}\r\n")).replacen(
                "POST /api/v1/prediction/support",
                "GET /api/v1/ping",
                1,
            ),
        ),
    ] {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!("{first}{hidden}"));
        assert_eq!(connection.read_response().expect("an answer").status, status);
        // Whether or not the connection is kept, the next answer belongs to the next request.
        let _ = io::Write::write_all(
            connection.reader.get_mut(),
            b"GET /api/v1/health HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n",
        );
        if let Ok(next) = connection.read_response() {
            assert_eq!(next.text(), "{\"status\":\"ok\"}");
        }
        assert!(upstream.seen().is_empty(), "{status}");
    }
}

#[test]
fn pipelined_requests_are_answered_one_by_one_in_their_order() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let good = format!("{}{BODY}", head("Content-Length: 17\r\n"));
    let ping = "GET /api/v1/ping HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";
    let mut connection = Connection::open(gateway.http);
    // The one in the middle has no key, whatever the others bring.
    connection.write(format!("{good}{HIDDEN}{good}{ping}"));
    let statuses: Vec<_> = (0..4).map(|_| connection.read_response().expect("an answer").status).collect();
    assert_eq!(statuses, [200, 401, 200, 200]);
    assert!(connection.is_closed());
    let seen = upstream.wait_seen(2);
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
        assert_eq!(seen.header("x-hidden"), None);
    }
}

#[test]
fn trailers_become_no_headers() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let fields = "Connection: close\r\nTE: trailers\r\nTrailer: X-Hidden\r\nTransfer-Encoding: chunked\r\n";
    let body = format!("11\r\n{BODY}\r\n0\r\nX-Hidden: 1\r\nAuthorization: Bearer other\r\n\r\n");
    assert_eq!(statuses(&gateway, format!("{}{body}", head(fields))), [200]);
    let seen = &upstream.wait_seen(1)[0];
    assert_eq!(seen.header("x-hidden"), None);
    assert_eq!(seen.header("trailer"), None);
    assert_eq!(seen.header("te"), None);
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    assert_eq!(seen.json()["question"], "hi");
}

#[test]
fn bare_line_feeds_split_no_request() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    // A head whose lines end in bare LF may be read or refused, but the gateway reads it one way only.
    let bytes = format!("{}{BODY}", head("Connection: close\r\nContent-Length: 17\r\n").replace("\r\n", "\n"));
    let statuses = statuses(&gateway, bytes);
    assert!(matches!(statuses.as_slice(), [200 | 400] | []), "{statuses:?}");
    assert!(upstream.seen().len() <= 1);
    for seen in upstream.seen() {
        assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
        assert_eq!(seen.json()["question"], "hi");
    }
}
