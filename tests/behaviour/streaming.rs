//! Event streams pass as they come, and never end without a word.

mod faults;

use crate::harness::KEY;
use crate::harness::client::{Connection, request};
use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::{Gate, Reply, Upstream, record};

const QUESTION: &str = r#"{"question":"hi","streaming":true,"chatId":"c1"}"#;
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

/// What the gateway appends to a stream that does not end by itself.
fn error_and_end(message: &str) -> String {
    record("error", message) + END
}

/// An upstream whose answer to every prediction is a stream; anything else gets 200.
fn streaming(script: impl Fn(&mut Reply) + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |seen, reply| match seen.method.as_str() {
        "POST" => {
            reply.stream_head();
            script(reply);
        }
        _ => reply.json("200 OK", "{}"),
    })
}

fn chunks(connection: &mut Connection) -> Vec<String> {
    let mut chunks = Vec::new();
    while let Some(chunk) = connection.read_chunk().expect("a chunk") {
        chunks.push(String::from_utf8(chunk).expect("whole characters"));
    }
    chunks
}

#[test]
fn each_event_arrives_before_the_next_is_sent() {
    let (open, gate) = Gate::new();
    let upstream = streaming(move |reply| {
        reply.event("start", "");
        for word in ["one", " two", " three"] {
            gate.pass();
            reply.event("token", word);
        }
        gate.pass();
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = gateway.begin(QUESTION);
    assert_eq!(client.read_head().expect("a head").status, 200);
    let mut next = || client.read_chunk().expect("a chunk").map(|chunk| String::from_utf8(chunk).expect("text"));
    assert_eq!(next(), Some(record("start", "")));
    for word in ["one", " two", " three"] {
        open.send(()).expect("the upstream waits");
        assert_eq!(next(), Some(record("token", word)));
    }
    gateway.wait_metric("flowgate_streams_open", 1.0);
    open.send(()).expect("the upstream waits");
    assert_eq!(next(), Some(END.to_owned()));
    assert_eq!(next(), None);
}

#[test]
fn pieces_arrive_byte_for_byte_wherever_they_are_split() {
    let text = format!(
        "{}:heartbeat\n\n{}{}{}",
        record("start", ""),
        record("token", "größer 😀 \"event\":\"error\" data:{\"event\":\"end\""),
        record("metadata", "\u{2028}a\nb"),
        END
    );
    let (open, gate) = Gate::new();
    let upstream = streaming({
        let text = text.clone();
        move |reply| {
            for byte in text.as_bytes() {
                reply.chunk([*byte]);
                gate.pass();
            }
            reply.finish();
        }
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = gateway.begin(QUESTION);
    client.read_head().expect("a head");
    for byte in text.as_bytes() {
        assert_eq!(client.read_chunk().expect("a chunk"), Some(vec![*byte]));
        open.send(()).expect("the upstream waits");
    }
    assert_eq!(client.read_chunk().expect("the end"), None);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 4.0);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"done\"}", 1.0);
}

#[test]
fn chunks_that_come_together_are_not_merged() {
    let upstream = streaming(|reply| {
        let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len());
        let words: String = (0..20).map(|word| chunk(&record("token", &word.to_string()))).collect();
        reply.raw(words + &chunk(END) + "0\r\n\r\n");
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = gateway.begin(QUESTION);
    client.read_head().expect("a head");
    let mut expected: Vec<String> = (0..20).map(|word| record("token", &word.to_string())).collect();
    expected.push(END.to_owned());
    assert_eq!(chunks(&mut client), expected);
}

#[test]
fn the_head_forbids_buffering_and_compression() {
    let upstream = Upstream::start(|_, reply| {
        reply.raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: public, max-age=60\r\nServer: nginx\r\nX-Powered-By: Express\r\n\
             Access-Control-Allow-Origin: *\r\nX-Frame-Options: SAMEORIGIN\r\n\r\n{END}",
            END.len()
        ));
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = Connection::open(gateway.http);
    let headers = [("x-api-key", KEY), ("accept-encoding", "gzip, br"), ("accept", "text/event-stream")];
    client.write(request("POST", "/api/v1/prediction/support", &headers, QUESTION));
    let response = client.read_response().expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), END);
    assert_eq!(response.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(response.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    assert_eq!(response.header("x-frame-options"), Some("SAMEORIGIN"));
    assert!(response.header("x-request-id").is_some());
    for absent in
        ["content-length", "content-encoding", "server", "x-powered-by", "access-control-allow-origin", "keep-alive"]
    {
        assert_eq!(response.header(absent), None, "{absent}");
    }
    assert_eq!(response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cache-control")).count(), 1);
    assert_eq!(upstream.seen()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_silence_is_broken_by_a_comment_between_records_only() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |seen, reply| {
        reply.stream_head();
        let record = record("token", "late");
        let (start, rest) = record.split_at(20);
        if seen.json()["chatId"] == "inside" {
            reply.chunk(start);
            gate.pass();
            reply.chunk(rest);
        } else {
            reply.chunk(&record);
            gate.pass();
        }
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut inside = gateway.begin(r#"{"question":"hi","streaming":true,"chatId":"inside"}"#);
    inside.read_head().expect("a head");
    inside.read_chunk().expect("a chunk");
    let mut between = gateway.begin(r#"{"question":"hi","streaming":true,"chatId":"between"}"#);
    between.read_head().expect("a head");
    between.read_chunk().expect("a chunk");
    assert_eq!(between.read_chunk().expect("a comment"), Some(b": keep-alive\n\n".to_vec()));
    // The other stream has been silent for longer.
    open.send(()).expect("an upstream waits");
    open.send(()).expect("an upstream waits");
    assert_eq!(chunks(&mut inside), [&record("token", "late")[20..], END]);
    assert_eq!(chunks(&mut between), [END]);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 4.0);
}

#[test]
fn a_client_of_http_1_0_reads_the_plain_stream_until_the_connection_closes() {
    let upstream = streaming(|reply| {
        reply.event("start", "");
        reply.event("token", "one");
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = Connection::open(gateway.http);
    let head = format!(
        "POST /api/v1/prediction/support HTTP/1.0\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{QUESTION}",
        QUESTION.len()
    );
    client.write(head);
    let response = client.read_head().expect("a head");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("content-length"), None);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let mut body = String::new();
    std::io::Read::read_to_string(&mut client.reader, &mut body).expect("a body");
    assert_eq!(body, record("start", "") + &record("token", "one") + END);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"done\"}", 1.0);
}

#[test]
fn a_stream_counts_as_open_until_its_last_byte() {
    let (open, gate) = Gate::new();
    let upstream = streaming(move |reply| {
        reply.event("start", "");
        gate.pass();
        reply.event("token", "x");
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut clients: Vec<_> = (0..3).map(|chat| gateway.begin(&QUESTION.replace("c1", &format!("c{chat}")))).collect();
    for client in &mut clients {
        client.read_head().expect("a head");
        client.read_chunk().expect("a chunk");
    }
    gateway.wait_metric("flowgate_streams_open", 3.0);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 3.0);
    for _ in 0..3 {
        open.send(()).expect("the upstream waits");
    }
    for client in &mut clients {
        assert_eq!(chunks(client), [record("token", "x").as_str(), END]);
    }
    gateway.wait_metric("flowgate_streams_open", 0.0);
    gateway.wait_metric("flowgate_stream_events_total{chatflow=\"support\"}", 9.0);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"done\"}", 3.0);
}
