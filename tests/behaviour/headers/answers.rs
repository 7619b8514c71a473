//! What comes back of the upstream's fields, and what never does.

use super::QUESTION;
use crate::harness::client::Response;
use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::{ANSWER, Upstream};

/// An upstream whose answers have these lines in their head.
fn upstream_with(lines: &'static str) -> Upstream {
    Upstream::start(move |seen, reply| {
        if seen.body.windows(9).any(|part| part == b"streaming") {
            reply.raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n{lines}\r\n"
            ));
            reply.event("token", "hi");
            reply.event("end", "[DONE]");
            reply.finish();
        } else {
            let length = ANSWER.len();
            reply.raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{lines}\r\n{ANSWER}"
            ));
        }
    })
}

fn both_answers(gateway: &Gateway) -> [Response; 2] {
    let stream = gateway.predict(r#"{"question":"hi","streaming":true}"#);
    let whole = gateway.predict(QUESTION);
    assert_eq!((stream.status, whole.status), (200, 200), "{} {}", stream.text(), whole.text());
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(whole.text(), ANSWER);
    [stream, whole]
}

#[test]
fn what_names_the_software_behind_never_comes_back() {
    let upstream = upstream_with(
        "Server: Express-Server\r\nX-Powered-By: Express\r\nVia: 1.1 inner\r\nX-Request-Id: inner-id-0123\r\n\
         Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
         Access-Control-Expose-Headers: x-inner\r\nSet-Cookie: connect.sid=inner\r\nSet-Cookie: b=inner\r\n\
         Proxy-Authenticate: Basic realm=inner\r\nKeep-Alive: timeout=5\r\nTrailer: X-Inner\r\nUpgrade: inner\r\n",
    );
    let gateway = Gateway::start(&simple(upstream.address));
    for response in both_answers(&gateway) {
        let printed = format!("{:?}", response.headers).to_lowercase();
        for part in ["express", "inner", "access-control", "set-cookie", "timeout=5", "\"server\""] {
            assert!(!printed.contains(part), "{part}: {printed}");
        }
    }
}

#[test]
fn other_fields_come_back_as_they_are() {
    let upstream = upstream_with(
        "X-Custom: a\r\nX-Custom: b\r\nETag: \"e\"\r\nVary: Origin\r\nContent-Language: de\r\n\
         Connection: keep-alive\r\n",
    );
    let gateway = Gateway::start(&simple(upstream.address));
    for response in both_answers(&gateway) {
        let custom: Vec<_> = response.headers.iter().filter(|(name, _)| name == "x-custom").collect();
        assert_eq!(custom.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(response.header("etag"), Some("\"e\""));
        assert_eq!(response.header("vary"), Some("Origin"));
        assert_eq!(response.header("content-language"), Some("de"));
    }
}

#[test]
fn fields_that_the_upstreams_connection_names_do_not_come_back() {
    let upstream = upstream_with(
        "Connection: keep-alive, X-Hop\r\nConnection: x-other\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Kept: 3\r\n",
    );
    let gateway = Gateway::start(&simple(upstream.address));
    for response in both_answers(&gateway) {
        assert_eq!((response.header("x-hop"), response.header("x-other")), (None, None));
        assert_eq!(response.header("x-kept"), Some("3"));
    }
}

#[test]
fn a_stream_tells_every_proxy_not_to_hold_it() {
    let upstream = upstream_with("Cache-Control: public, max-age=60\r\nX-Accel-Buffering: yes\r\n");
    let gateway = Gateway::start(&simple(upstream.address));
    let [stream, whole] = both_answers(&gateway);
    assert_eq!(stream.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    assert_eq!(stream.header("content-length"), None);
    assert_eq!(whole.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(whole.header("content-length"), Some(&*ANSWER.len().to_string()));
}
