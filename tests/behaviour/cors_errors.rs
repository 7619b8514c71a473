//! A page that may read answers may read what went wrong, wherever that shows; an upstream has no say in it.

use std::net::SocketAddr;

use crate::cors::{assert_readable, assert_unreadable, varies_by};
use crate::harness::KEY;
use crate::harness::client::{self, Connection, Response};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::ports::nowhere;
use crate::harness::predictions::{PLENTY, PREDICT, QUESTION, chunked};
use crate::harness::upstream::{ANSWER, Upstream, record};

const PAGE: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";
const LISTED: &str = ", allowed_origins: [\"https://app.example.com\"]";
/// What no upstream may say for the gateway, and what it may.
const THEIRS: &str = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
    Access-Control-Allow-Methods: GET\r\nAccess-Control-Expose-Headers: x-secret\r\nAccess-Control-Max-Age: 600\r\n\
    Vary: Origin, Accept-Language\r\nVary: Accept-Encoding\r\n";

fn start(upstream: SocketAddr, server: &str, flowise: &str) -> Gateway {
    Gateway::start(&config(upstream, server, flowise, LISTED, PLENTY))
}

fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Response {
    client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), body)
}

/// Asserts that the listed page reads that refusal, and that no other page does.
#[track_caller]
fn assert_refused_readably(gateway: &Gateway, headers: &[(&str, &str)], body: &str, status: u16) {
    let asked = |origin: &str| {
        let response = ask(gateway, &[headers, &[("origin", origin)]].concat(), body);
        assert_eq!(response.status, status, "{}", response.text());
        response
    };
    let response = asked(PAGE);
    assert_readable(&response, PAGE);
    assert_eq!(count(&response, "access-control-allow-origin"), 1);
    let exposed = response.header("access-control-expose-headers").expect("fields");
    assert!(exposed.contains("x-request-id") && exposed.contains("retry-after") && !exposed.contains("x-secret"));
    assert_unreadable(&asked(EVIL));
}

fn count(response: &Response, name: &str) -> usize {
    response.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).count()
}

#[test]
fn refusals_of_a_request_by_its_size_or_type_are_readable() {
    let upstream = Upstream::answering();
    let gateway = start(upstream.address, ", max_body: 1KiB, max_header_bytes: 9000", "");
    let long = format!(r#"{{"question":"{}"}}"#, "hi ".repeat(400));
    assert_refused_readably(&gateway, &[], &long, 413);
    assert_refused_readably(&gateway, &[("content-type", "text/plain")], QUESTION, 415);
    assert_refused_readably(&gateway, &[("content-encoding", "gzip")], QUESTION, 415);
    assert_refused_readably(&gateway, &[], "{", 400);
    // A head that is a little too long is still read. Of one that is much too long nobody knows who sent it.
    let head = "x".repeat(8900);
    assert_refused_readably(&gateway, &[("x-long", &head)], QUESTION, 431);
    let much_too_long = "x".repeat(40_000);
    let refused = ask(&gateway, &[("origin", PAGE), ("x-long", &much_too_long)], "");
    refused.assert_refused(431, "headers_too_large");
    assert_unreadable(&refused);
    // Whose length shows on the way.
    for (origin, is_listed) in [(PAGE, true), (EVIL, false)] {
        let mut connection = Connection::open(gateway.http);
        let request = chunked(PREDICT, &format!("application/json\r\nOrigin: {origin}"), long.as_bytes(), 100);
        connection.write(request);
        let response = connection.read_response().expect("an answer");
        response.assert_refused(413, "body_too_large");
        if is_listed { assert_readable(&response, PAGE) } else { assert_unreadable(&response) }
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn failures_of_an_upstream_are_readable_and_its_own_permissions_gone() {
    for (line, body, status) in [
        ("500 Internal Server Error", r#"{"message":"no"}"#, 500),
        ("503 Service Unavailable", "", 503),
        ("404 Not Found", r#"{"message":"no"}"#, 404),
        ("429 Too Many Requests", "Slow down", 429),
        ("401 Unauthorized", "", 502),
        ("302 Found", "", 502),
    ] {
        let upstream = Upstream::start(move |_, reply| {
            reply.raw(format!("HTTP/1.1 {line}\r\n{THEIRS}Content-Length: {}\r\n\r\n{body}", body.len()));
        });
        assert_refused_readably(&start(upstream.address, "", ""), &[], QUESTION, status);
    }
    let silent = Upstream::start(|_, reply| {
        reply.wait_for_close();
    });
    assert_refused_readably(&start(silent.address, "", ", response_timeout: 100ms"), &[], QUESTION, 504);
    let nobody = nowhere();
    assert_refused_readably(&start(nobody, "", ""), &[], QUESTION, 502);
}

/// An upstream whose answers and streams say more than it may.
fn permissive() -> Upstream {
    Upstream::start(|seen, reply| {
        if seen.json()["streaming"] != true {
            let length = ANSWER.len();
            return reply.raw(format!(
                "HTTP/1.1 200 OK\r\n{THEIRS}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{ANSWER}"
            ));
        }
        reply.raw(format!(
            "HTTP/1.1 200 OK\r\n{THEIRS}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        reply.event("token", "a");
        reply.event("error", "no");
        reply.event("end", "[DONE]");
        reply.finish();
    })
}

#[test]
fn answers_and_streams_vary_by_what_gateway_and_upstream_say_and_by_each_once() {
    let upstream = permissive();
    let gateway = start(upstream.address, "", "");
    for body in [QUESTION, r#"{"question":"hi","streaming":true}"#] {
        for (origin, is_listed) in [(Some(PAGE), true), (Some(EVIL), false), (None, false)] {
            let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            let response = ask(&gateway, &headers, body);
            assert_eq!(response.status, 200);
            if is_listed {
                assert_readable(&response, PAGE);
                assert_eq!(
                    response.header("access-control-expose-headers").map(|fields| fields.contains("secret")),
                    Some(false)
                );
                for gone in ["access-control-allow-methods", "access-control-max-age"] {
                    assert_eq!(response.header(gone), None);
                }
            } else {
                assert_unreadable(&response);
            }
            for name in ["origin", "accept-language", "accept-encoding"] {
                assert!(varies_by(&response, name), "{name}: {:?}", response.headers);
            }
            let fields = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("vary"));
            let listed: Vec<_> = fields.flat_map(|(_, value)| value.split(',').map(str::trim)).collect();
            assert_eq!(listed.iter().filter(|name| name.eq_ignore_ascii_case("origin")).count(), 1, "{listed:?}");
        }
    }
    let stream = ask(&gateway, &[("origin", PAGE)], r#"{"question":"hi","streaming":true}"#).text();
    assert_eq!(stream, record("token", "a") + &record("error", "no") + &record("end", "[DONE]"));
}

#[test]
fn without_listed_pages_an_upstreams_permissions_are_gone_as_well() {
    let upstream = permissive();
    let gateway = Gateway::start(&simple(upstream.address));
    for body in [QUESTION, r#"{"question":"hi","streaming":true}"#] {
        for headers in [&[("origin", PAGE)][..], &[]] {
            let response = ask(&gateway, headers, body);
            assert_eq!(response.status, 200);
            assert_unreadable(&response);
        }
    }
}
