//! Event streams pass as they come, and never end without a word.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::client::{Connection, request};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::{Gate, Reply, Upstream, record};
use crate::harness::{FLOW, KEY};

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
fn a_stream_that_falls_silent_ends_in_a_visible_error() {
    let (closed, was_closed) = channel();
    let closed = Mutex::new(closed);
    let upstream = streaming(move |reply| {
        reply.event("start", "");
        closed.lock().unwrap().send(reply.wait_for_close()).expect("the test waits");
    });
    let gateway = Gateway::start(&config(upstream.address, "", ", stream_idle_timeout: 300ms", "", ""));
    let response = gateway.predict(QUESTION);
    assert_eq!(response.status, 200);
    let expected = record("start", "") + &error_and_end("The chatflow's server was silent for too long.");
    assert_eq!(response.text(), expected);
    assert!(was_closed.recv().expect("the upstream's word"), "the upstream's connection stays open");
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"idle\"}", 1.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    // Flowise still runs.
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/c1"));
}

#[test]
fn a_stream_whose_upstream_dies_ends_in_a_visible_error() {
    type Script = fn(&mut Reply);
    let first = record("token", "one");
    let cases: [(&str, Script, String); 6] = [
        (
            "cut in a record",
            |reply| {
                reply.chunk(record("token", "one") + "message:\ndata:{\"event\":\"tok");
                reply.cut();
            },
            format!("{first}message:\ndata:{{\"event\":\"tok\n\n"),
        ),
        (
            "cut between records",
            |reply| {
                reply.event("token", "one");
                reply.cut();
            },
            first.clone(),
        ),
        (
            "cut in a chunk",
            |reply| {
                let record = record("token", "one");
                reply.raw(format!("{:x}\r\n{record}", record.len() + 100));
                reply.cut();
            },
            first.clone(),
        ),
        (
            "cut in an error record",
            |reply| {
                reply.chunk(record("token", "one") + "message:\ndata:{\"event\":\"error\",\"data\":\"http://10.0.0");
                reply.cut();
            },
            first.clone(),
        ),
        (
            "cut in an error record that came in two pieces",
            |reply| {
                reply.chunk(record("token", "one") + "message:\nda");
                reply.chunk("ta:{\"event\":\"error\",\"data\":\"http://10.0.0");
                reply.cut();
            },
            format!("{first}message:\nda\n\n"),
        ),
        (
            "ended without an end event",
            |reply| {
                reply.event("token", "one");
                reply.finish();
            },
            first,
        ),
    ];
    for (case, script, arrives) in cases {
        let upstream = streaming(script);
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        assert_eq!(response.status, 200, "{case}");
        assert_eq!(response.text(), arrives + &error_and_end("The answer broke off."), "{case}");
        gateway.wait_metric("flowgate_streams_ended_total{reason=\"truncated\"}", 1.0);
        gateway.wait_metric("flowgate_streams_open", 0.0);
        let line = gateway.access_line(response.header("x-request-id").expect("an id"));
        assert_eq!(line["end"], "truncated", "{case}");
        // Whatever ran there is gone, and no later request comes over a connection that broke.
        gateway.predict(QUESTION);
        let seen = upstream.seen();
        assert!(seen.iter().all(|seen| seen.method == "POST"), "{case}: {seen:?}");
        let next = usize::from(case != "ended without an end event");
        assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, next], "{case}");
    }
}

#[test]
fn a_stream_without_any_event_ends_in_a_visible_error() {
    for script in [Reply::finish as fn(&mut Reply), Reply::cut] {
        let upstream = streaming(script);
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), error_and_end("The answer broke off."));
        gateway.wait_metric("flowgate_streams_ended_total{reason=\"truncated\"}", 1.0);
    }
}

#[test]
fn error_events_are_cleaned_and_other_events_never_touched() {
    let raw = "Error: connect ECONNREFUSED 10.1.2.3:5432 for credential 9d2b4ae3-1f5e-4c00-9000-00000000000a, \
               see http://ollama:11434/v1 with sk-abcdefghijklmnop\n    at Object.<anonymous> (/app/x.js:1:2)";
    let cleaned = "Error: connect ECONNREFUSED [address] for credential [id], see [address] with [key]";
    let before = record("token", raw) + &record("nextAgentFlow", raw);
    let after = record("agentFlowEvent", raw);
    // Whole, and split anywhere.
    let whole = format!("{before}{}{after}{END}", record("error", raw));
    let error = before.len();
    let everywhere: Vec<usize> = (error..whole.len()).collect();
    let mut all_cuts = vec![vec![], everywhere, vec![error + 1, error + 30, error + 60]];
    all_cuts.extend((1..32).map(|at| vec![error + at]));
    let expected = format!("{before}{}{after}{END}", record("error", cleaned));
    let upstream = Upstream::start({
        let (whole, all_cuts) = (whole.clone(), all_cuts.clone());
        move |seen, reply| {
            let chat: usize = seen.json()["chatId"].as_str().and_then(|id| id.parse().ok()).expect("a number");
            reply.stream_head();
            let edges: Vec<usize> = [0].iter().chain(&all_cuts[chat]).chain(&[whole.len()]).copied().collect();
            edges.windows(2).for_each(|edge| reply.chunk(&whole[edge[0]..edge[1]]));
            reply.finish();
        }
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for (chat, cuts) in all_cuts.iter().enumerate() {
        let response = gateway.predict(&format!(r#"{{"question":"hi","streaming":true,"chatId":"{chat}"}}"#));
        assert_eq!(response.text(), expected, "cut at {cuts:?}");
        let line = gateway.access_line(response.header("x-request-id").expect("an id"));
        assert_eq!((&line["end"], &line["events"]), (&"error_event".into(), &5.into()));
    }
    let count = u32::try_from(all_cuts.len()).expect("a few").into();
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"error_event\"}", count);
}

#[test]
fn an_endless_error_event_is_replaced_by_a_short_one() {
    let upstream = streaming(|reply| {
        reply.chunk("message:\ndata:{\"event\":\"error\",\"data\":\"http://10.0.0.1 ");
        for _ in 0..100 {
            reply.chunk("x".repeat(1024));
        }
        reply.wait_for_close();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let response = gateway.predict(QUESTION);
    assert_eq!(response.text(), error_and_end("The chatflow failed."));
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"error_event\"}", 1.0);
}

#[test]
fn a_refused_upstream_key_is_a_502_and_an_error_in_the_log() {
    const MESSAGE: &str = "Error: predictionsServices.buildChatflow - Unauthorized";
    type Script = fn(&mut Reply);
    let cases: [(&str, Script); 4] = [
        ("a 500", |reply| {
            let body = format!(r#"{{"statusCode":500,"success":false,"message":"{MESSAGE}","stack":{{}}}}"#);
            reply.json("500 Internal Server Error", &body);
        }),
        ("a 401", |reply| reply.json("401 Unauthorized", r#"{"error":"Unauthorized Access"}"#)),
        ("an error event", |reply| {
            reply.stream_head();
            reply.event("error", MESSAGE);
            reply.event("end", "[DONE]");
            reply.finish();
        }),
        ("an error event with the end", |reply| {
            reply.stream_head();
            reply.chunk(record("error", MESSAGE) + END);
            reply.finish();
        }),
    ];
    for (case, script) in cases {
        let upstream = Upstream::start(move |_, reply| script(reply));
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        response.assert_refused(502, "upstream_error");
        assert!(!response.text().contains("Unauthorized"), "{case}");
        let line = gateway.log_line(|line| line["level"] == "ERROR");
        assert_eq!((&line["chatflow"], &line["upstream"]), (&"support".into(), &"flowise".into()), "{case}: {line}");
        assert!(line["message"].as_str().is_some_and(|message| message.contains("api_key")), "{case}: {line}");
        gateway.access_line(response.header("x-request-id").expect("an id"));
        let log = gateway.log().join("\n");
        assert!(!log.contains("upstream-key") && !log.contains(KEY), "{case}: {log}");
        gateway.wait_metric(r#"flowgate_upstream_errors_total{kind="unauthorized",upstream="flowise"}"#, 1.0);
        gateway.wait_metric("flowgate_streams_open", 0.0);
        assert!(upstream.seen().iter().all(|seen| seen.method == "POST"), "{case}");
    }
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
