//! Flowise keeps streams by chat, so a chat has one at a time.

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::upstream::{ANSWER, Gate, Reply, Seen, Upstream};
use crate::harness::{KEY, sha256, wait_for};

const SECOND: &str = "second-key-0123456789";

/// Streams an event, then does as the script says; anything else is answered.
fn streaming(script: impl Fn(&mut Reply) + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |seen: &Seen, reply: &mut Reply| {
        if seen.method != "POST" || seen.json()["streaming"] != true {
            return reply.json("200 OK", ANSWER);
        }
        reply.stream_head();
        reply.event("token", "a");
        script(reply);
    })
}

fn end(reply: &mut Reply) {
    reply.event("end", "[DONE]");
    reply.finish();
}

fn start(upstream: &Upstream, chatflow: &str) -> Gateway {
    let keys = format!(
        "keys:\n  - {{ id: app, sha256: {} }}\n  - {{ id: second, sha256: {} }}\n",
        sha256(KEY),
        sha256(SECOND)
    );
    // Several workers: a chat is busy on all of them.
    let config = config(upstream.address, "", "", chatflow, PLENTY).replace("workers: 1", "workers: 3");
    Gateway::start_with(&config, &keys, |_| {})
}

fn body(chat: &str, streaming: bool) -> String {
    serde_json::json!({"question": "hi", "chatId": chat, "streaming": streaming}).to_string()
}

fn ask(gateway: &Gateway, key: &str, body: &str) -> Response {
    client::post(gateway.http, PREDICT, &[("x-api-key", key)], body)
}

/// A stream that has begun.
fn begin(gateway: &Gateway, key: &str, body: &str) -> Connection {
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", key)], body));
    assert_eq!(connection.read_head().expect("a head").status, 200);
    assert!(connection.read_chunk().expect("an event").is_some());
    connection
}

fn read_to_end(stream: &mut Connection) {
    while stream.read_chunk().expect("a chunk").is_some() {}
}

#[test]
fn a_second_stream_of_a_chat_is_refused_and_other_chats_are_not_concerned() {
    let (open, gate) = Gate::new();
    let upstream = streaming(move |reply| {
        gate.pass();
        end(reply);
    });
    let gateway = start(&upstream, "");
    let mut first = begin(&gateway, KEY, &body("one", true));
    for _ in 0..8 {
        ask(&gateway, KEY, &body("one", true)).assert_refused(409, "chat_busy");
    }
    let mut other = begin(&gateway, KEY, &body("two", true));
    let mut nameless = begin(&gateway, KEY, r#"{"question":"hi","streaming":true}"#);
    assert_eq!(ask(&gateway, KEY, &body("one", false)).status, 200, "an answer in one piece takes no stream over");
    assert_eq!(upstream.seen().len(), 4, "what is refused is not forwarded");
    gateway.wait_metric("flowgate_rejected_total{rule=\"chat_busy\"}", 8.0);
    (0..3).for_each(|_| open.send(()).expect("the upstream waits"));
    for stream in [&mut first, &mut other, &mut nameless] {
        read_to_end(stream);
    }
    // Free again, as soon as the last byte has been read.
    open.send(()).expect("the upstream lives");
    read_to_end(&mut begin(&gateway, KEY, &body("one", true)));
}

#[test]
fn the_session_names_the_chat_that_is_busy_where_nothing_else_does() {
    let (open, gate) = Gate::new();
    let upstream = streaming(move |reply| {
        gate.pass();
        end(reply);
    });
    let gateway = start(&upstream, "");
    let by_session = r#"{"question":"hi","streaming":true,"overrideConfig":{"sessionId":"one"}}"#;
    let mut first = begin(&gateway, KEY, by_session);
    for body in [by_session, &body("one", true)] {
        ask(&gateway, KEY, body).assert_refused(409, "chat_busy");
    }
    open.send(()).expect("the upstream waits");
    read_to_end(&mut first);
}

#[test]
fn callers_that_are_kept_apart_do_not_hold_each_other_up() {
    let (open, gate) = Gate::new();
    let upstream = streaming(move |reply| {
        gate.pass();
        end(reply);
    });
    let isolated = start(&upstream, ", isolate_sessions: true");
    let mut streams = [KEY, SECOND].map(|key| begin(&isolated, key, &body("one", true)));
    for key in [KEY, SECOND] {
        ask(&isolated, key, &body("one", true)).assert_refused(409, "chat_busy");
    }
    (0..2).for_each(|_| open.send(()).expect("the upstream waits"));
    streams.iter_mut().for_each(read_to_end);
    // Where ids go on as they are, it is one chat.
    let shared = start(&upstream, "");
    let mut stream = begin(&shared, KEY, &body("one", true));
    ask(&shared, SECOND, &body("one", true)).assert_refused(409, "chat_busy");
    open.send(()).expect("the upstream waits");
    read_to_end(&mut stream);
}

#[test]
fn a_chat_is_free_again_when_its_client_has_left() {
    let upstream = streaming(|reply| assert!(reply.wait_for_close(), "the gateway gives the stream up"));
    let gateway = start(&upstream, "");
    let stream = begin(&gateway, KEY, &body("one", true));
    ask(&gateway, KEY, &body("one", true)).assert_refused(409, "chat_busy");
    drop(stream);
    let again = wait_for("the chat", || {
        let mut connection = Connection::open(gateway.http);
        connection.write(request("POST", PREDICT, &[("x-api-key", KEY)], &body("one", true)));
        let head = connection.read_head().expect("a head");
        assert!(matches!(head.status, 200 | 409), "{}", head.status);
        (head.status == 200).then_some(connection)
    });
    // It holds the chat again.
    ask(&gateway, KEY, &body("one", true)).assert_refused(409, "chat_busy");
    drop(again);
}

#[test]
fn a_chat_is_free_again_however_its_stream_ended() {
    type Script = fn(&mut Reply);
    let cases: [(&str, Script, &str); 4] = [
        (
            "an error event",
            |reply| {
                reply.event("error", "no");
                end(reply);
            },
            "",
        ),
        ("a cut", |reply| reply.cut(), ""),
        ("no end", |reply| reply.finish(), ""),
        (
            "silence",
            |reply| {
                reply.wait_for_close();
            },
            ", stream_idle_timeout: 100ms",
        ),
    ];
    for (what, script, flowise) in cases {
        let upstream = streaming(script);
        let gateway = Gateway::start(&config(upstream.address, "", flowise, "", PLENTY));
        for round in 0..3 {
            let response = ask(&gateway, KEY, &body("one", true));
            assert_eq!(response.status, 200, "{what}, {round}: {}", response.text());
        }
    }
}

#[test]
fn a_chat_that_flowise_refuses_is_free_at_once() {
    let upstream = Upstream::start(|_, reply| reply.json("500 Internal Server Error", r#"{"message":"no"}"#));
    let gateway = start(&upstream, "");
    for _ in 0..3 {
        ask(&gateway, KEY, &body("one", true)).assert_refused(500, "upstream_error");
    }
    gateway.wait_metric("flowgate_rejected_total{rule=\"chat_busy\"}", 0.0);
}
