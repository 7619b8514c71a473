//! What clients are told when the upstream fails, and what they are not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::{ANSWER, Reply, Upstream};
use crate::harness::{FLOW, KEY, PATIENCE};

const QUESTION: &str = r#"{"question":"hi","chatId":"c1"}"#;

/// An address of which nobody else can get hold and where nobody answers: bound, not listening.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    (socket, address)
}

/// An upstream that answers every prediction with these bytes and closes.
fn raw_answer(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |_, reply| {
        reply.raw(&bytes);
        reply.cut();
    })
}

/// Asserts that nothing of the inside is in any byte of the answer.
#[track_caller]
fn assert_tells_nothing(response: &Response, upstream: SocketAddr) {
    let bytes = format!("{:?} {}", response.headers, response.text());
    for inside in
        [&upstream.to_string(), &upstream.port().to_string(), "127.0.0.1", "upstream-key", FLOW, KEY, "    at "]
    {
        assert!(!bytes.contains(inside), "{inside} in {bytes}");
    }
}

fn errors(gateway: &Gateway, kind: &str) -> f64 {
    gateway.metric(&format!(r#"flowgate_upstream_errors_total{{kind="{kind}",upstream="flowise"}}"#))
}

#[test]
fn a_refused_connection_is_a_502() {
    let (_socket, address) = refusing();
    let gateway = Gateway::start(&simple(address));
    let response = gateway.predict(QUESTION);
    response.assert_refused(502, "upstream_error");
    assert_tells_nothing(&response, address);
    assert!(errors(&gateway, "connect") >= 1.0);
    // Whoever runs the gateway is told more.
    let line = gateway.log_line(|line| line["level"] == "WARN");
    assert_eq!(line["url"], format!("http://{address}"), "{line}");
}

#[test]
fn no_upstream_of_several_is_a_503() {
    let ((_one, first), (_two, second)) = (refusing(), refusing());
    let one = format!("'http://{first}'");
    let gateway = Gateway::start(&simple(first).replace(&one, &format!("{one}, 'http://{second}'")));
    for _ in 0..3 {
        let response = gateway.predict(QUESTION);
        response.assert_refused(503, "upstream_unavailable");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_tells_nothing(&response, first);
        assert_tells_nothing(&response, second);
    }
    for address in [first, second] {
        let series = format!(r#"flowgate_upstream_healthy{{upstream="flowise",url="http://{address}"}}"#);
        assert!(gateway.metrics().contains(&format!("{series} 0")), "{series}");
    }
}

#[test]
fn a_connection_that_is_never_accepted_is_a_502_after_the_connect_timeout() {
    let (socket, address) = refusing();
    socket.listen(0).expect("listening");
    // The kernel drops what comes once the queue is full.
    let mut queued = Vec::new();
    while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(connection);
        assert!(queued.len() < 1000, "the queue never fills");
    }
    let gateway = Gateway::start(&config(address, "", ", connect_timeout: 200ms", "", ""));
    let response = gateway.predict(QUESTION);
    response.assert_refused(502, "upstream_error");
    assert_tells_nothing(&response, address);
    assert!(errors(&gateway, "connect") >= 1.0);
}

#[test]
fn a_silent_upstream_is_a_504_after_the_response_timeout() {
    let (closed, was_closed) = channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::start(move |seen, reply| match seen.method.as_str() {
        "POST" => {
            let _ = closed.lock().unwrap().send(reply.wait_for_close());
        }
        _ => reply.json("200 OK", "{}"),
    });
    let gateway = Gateway::start(&config(upstream.address, "", ", response_timeout: 200ms", "", ""));
    for body in [QUESTION, r#"{"question":"hi","streaming":true}"#] {
        let response = gateway.predict(body);
        response.assert_refused(504, "upstream_timeout");
        assert_tells_nothing(&response, upstream.address);
        assert!(was_closed.recv_timeout(PATIENCE).expect("the upstream's word"));
    }
    assert!(errors(&gateway, "timeout") >= 2.0);
    assert_eq!(upstream.seen().iter().filter(|seen| seen.method == "POST").count(), 2);
}

#[test]
fn garbage_for_an_answer_is_a_502_and_the_request_is_not_repeated() {
    let answers: [&[u8]; 9] = [
        b"",
        b"\0\x01\x02\x03\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
    ];
    for answer in answers {
        let upstream = raw_answer(answer);
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        response.assert_refused(502, "upstream_error");
        assert_tells_nothing(&response, upstream.address);
        assert!(errors(&gateway, "broken") >= 1.0, "{answer:?}");
        // A second prediction, so that a repeated first one had its time.
        gateway.predict(r#"{"question":"second"}"#);
        let questions: Vec<_> = upstream.seen().iter().map(|seen| seen.json()["question"].clone()).collect();
        assert_eq!(questions, ["hi", "second"], "{answer:?}");
    }
}

#[test]
fn a_web_page_is_a_502() {
    for status in ["200 OK", "203 Non-Authoritative Information"] {
        let upstream = raw_answer(format!(
            "HTTP/1.1 {status}\r\nContent-Type: Text/HTML; charset=utf-8\r\nContent-Length: 27\r\n\r\n<html>Flowise secrets</html"
        ));
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        response.assert_refused(502, "upstream_error");
        assert!(!response.text().contains("secrets"));
        assert!(errors(&gateway, "unexpected") >= 1.0);
    }
}

#[test]
fn interim_answers_are_swallowed() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw("HTTP/1.1 100 Continue\r\n\r\n");
        reply.raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        reply.raw("HTTP/1.1 102 Processing\r\n\r\n");
        reply.json("200 OK", ANSWER);
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..3 {
        let mut connection = gateway.begin(QUESTION);
        let head = connection.read_head().expect("a head");
        assert_eq!((head.status, head.header("link")), (200, None));
        let mut body = vec![0; ANSWER.len()];
        connection.reader.read_exact(&mut body).expect("a body");
        assert_eq!(body, ANSWER.as_bytes());
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[test]
fn a_switch_of_protocols_is_a_502() {
    let upstream = raw_answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let gateway = Gateway::start(&simple(upstream.address));
    gateway.predict(QUESTION).assert_refused(502, "upstream_error");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Upstream::answering();
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "304 Not Modified"]
    {
        let upstream = raw_answer(format!(
            "HTTP/1.1 {status}\r\nLocation: http://{}/api/v1/login\r\nContent-Length: 0\r\n\r\n",
            elsewhere.address
        ));
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        response.assert_refused(502, "upstream_error");
        assert_eq!(response.header("location"), None);
        assert_tells_nothing(&response, elsewhere.address);
    }
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn errors_of_a_flow_keep_status_and_message_and_lose_everything_else() {
    let json = "application/json; charset=utf-8";
    let long = format!(r#"{{"message":"{}"}}"#, "long ".repeat(1000));
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        (
            "500 Internal Server Error",
            json,
            r#"{"statusCode":500,"success":false,"message":"Error: predictionsServices.buildChatflow - 429 slow down","stack":{"a":"/usr/src/x.js"}}"#,
            "upstream_error",
            "Error: predictionsServices.buildChatflow - 429 slow down",
        ),
        (
            "500 Internal Server Error",
            json,
            r#"{"message":"connect ECONNREFUSED 10.0.0.9:5432\n    at TCPConnectWrap.afterConnect (/app/net.js:1:2)"}"#,
            "upstream_error",
            "connect ECONNREFUSED [address]",
        ),
        (
            "500 Internal Server Error",
            json,
            r#"{"message":"Credential 9d2b4ae3-1f5e-4c00-9000-000000000000 at https://llm.internal/v1 with sk-proj-abcdefghijkl"}"#,
            "upstream_error",
            "Credential [id] at [address] with [key]",
        ),
        ("400 Bad Request", json, r#"{"message":"Invalid Chatflow ID"}"#, "invalid_request", "Invalid Chatflow ID"),
        (
            "403 Forbidden",
            json,
            r#"{"error":"This site is not allowed"}"#,
            "upstream_error",
            "This site is not allowed",
        ),
        ("404 Not Found", "text/plain", "no such flow", "not_found", "no such flow"),
        ("412 Precondition Failed", json, r#"{"message":"id not provided!"}"#, "invalid_request", "id not provided!"),
        (
            "413 Payload Too Large",
            json,
            r#"{"message":"request entity too large"}"#,
            "body_too_large",
            "request entity too large",
        ),
        (
            "415 Unsupported Media Type",
            json,
            r#"{"message":"unsupported charset"}"#,
            "unsupported_media_type",
            "unsupported charset",
        ),
        ("429 Too Many Requests", "text/html; charset=utf-8", "Slow down please", "rate_limited", "Slow down please"),
        (
            "502 Bad Gateway",
            "text/html",
            "<html><h1>nginx/1.2.3 at 10.0.0.1</h1></html>",
            "upstream_error",
            "The chatflow failed.",
        ),
        ("500 Internal Server Error", json, "{}", "upstream_error", "The chatflow failed."),
        ("500 Internal Server Error", json, "", "upstream_error", "The chatflow failed."),
        ("500 Internal Server Error", json, r#"{"message":{"a":1}}"#, "upstream_error", "The chatflow failed."),
        ("503 Service Unavailable", json, "\u{1F600}", "upstream_error", "\u{1F600}"),
        ("500 Internal Server Error", json, &long, "upstream_error", &format!("{}…", "long ".repeat(200))),
    ];
    for &(status, content_type, body, code, message) in cases {
        let upstream = raw_answer(format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nRetry-After: 17\r\n\
             Set-Cookie: sid=1\r\nX-Powered-By: Express\r\nETag: W/\"1\"\r\nX-Internal: 10.0.0.1\r\n\r\n{body}",
            body.len()
        ));
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        response.assert_refused(status[..3].parse().expect("a number"), code);
        assert_eq!(response.json()["message"], message);
        assert_eq!(response.header("retry-after"), Some("17"));
        for absent in ["set-cookie", "x-powered-by", "etag", "x-internal"] {
            assert_eq!(response.header(absent), None, "{absent}");
        }
        assert_eq!(response.json().as_object().expect("an object").len(), 6, "{}", response.text());
        assert_tells_nothing(&response, upstream.address);
    }
}

#[test]
fn a_huge_error_is_replaced_by_a_short_one() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw("HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        reply.chunk("{\"message\":\"");
        for _ in 0..200 {
            reply.chunk("secret ".repeat(1000));
        }
        // Nobody reads all of that.
        reply.wait_for_close();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let response = gateway.predict(QUESTION);
    response.assert_refused(500, "upstream_error");
    assert_eq!(response.json()["message"], "The chatflow failed.");
    assert!(response.body.len() < 1000);
}

#[test]
fn an_answer_that_breaks_off_is_a_cut_connection() {
    type Script = fn(&mut Reply);
    let scripts: [(&str, Script); 3] = [
        ("with a length", |reply| {
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"text\":\"hal");
            reply.cut();
        }),
        ("chunked", |reply| {
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
            reply.chunk("{\"text\":\"hal");
            reply.cut();
        }),
        ("silent", |reply| {
            reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"text\":\"hal");
            reply.wait_for_close();
        }),
    ];
    for (case, script) in scripts {
        let upstream = Upstream::start(move |seen, reply| match seen.method.as_str() {
            "POST" => script(reply),
            _ => reply.json("200 OK", "{}"),
        });
        let gateway = Gateway::start(&config(upstream.address, "", ", stream_idle_timeout: 200ms", "", ""));
        let mut connection = gateway.begin(QUESTION);
        let head = connection.read_head().expect("a head");
        assert_eq!(head.status, 200);
        let mut rest = Vec::new();
        // An end, or a reset.
        let _ = connection.reader.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        assert!(text.contains("{\"text\":\"hal") && !text.contains("\r\n0\r\n"), "{case}: {text}");
        let line = gateway.access_line(head.header("x-request-id").expect("an id"));
        assert_eq!(line["end"], "broken", "{case}");
    }
}

#[test]
fn chatflows_streaming_says_no_more_than_whether() {
    let cases = [
        (r#"{"isStreaming":true,"secret":"x"}"#, Some(r#"{"isStreaming":true}"#)),
        (r#"{"isStreaming":false}"#, Some(r#"{"isStreaming":false}"#)),
        (r#"{"isStreaming":"yes"}"#, None),
        ("nonsense", None),
    ];
    for (answer, passes) in cases {
        let upstream = Upstream::start(move |_, reply| reply.json("200 OK", answer));
        let gateway = Gateway::start(&simple(upstream.address));
        let response = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
        match passes {
            Some(body) => assert_eq!((response.status, response.text().as_str()), (200, body)),
            None => _ = response.assert_refused(502, "upstream_error"),
        }
        assert_eq!(upstream.seen()[0].path, format!("/api/v1/chatflows-streaming/{FLOW}"));
    }
}

#[test]
fn an_answer_cached_by_a_client_is_not_asked_for_conditionally() {
    let upstream = Upstream::start(|seen, reply| match seen.header("if-none-match") {
        // As Express does.
        Some(_) => reply.raw("HTTP/1.1 304 Not Modified\r\n\r\n"),
        None => reply.json("200 OK", r#"{"isStreaming":true}"#),
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let headers = [
        ("if-none-match", "W/\"14-x\""),
        ("if-modified-since", "Sun, 22 Nov 2026 23:54:42 GMT"),
        ("range", "bytes=0-3"),
    ];
    let response = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &headers);
    assert_eq!((response.status, response.text().as_str()), (200, r#"{"isStreaming":true}"#));
    for absent in ["if-none-match", "if-modified-since", "range"] {
        assert_eq!(upstream.seen()[0].header(absent), None, "{absent}");
    }
}

#[test]
fn an_answer_before_the_end_of_the_request_is_passed_on() {
    // Reads the head alone, as a server does that refuses an upload by its length.
    let upstream = Upstream::raw(|_, mut stream| {
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let body = r#"{"statusCode":413,"message":"request entity too large","stack":{}}"#;
        let head = "HTTP/1.1 413 Payload Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let response = gateway.predict(&format!(r#"{{"question":"{}"}}"#, "word ".repeat(1500)));
    response.assert_refused(413, "body_too_large");
    assert_eq!(response.json()["message"], "request entity too large");
}
