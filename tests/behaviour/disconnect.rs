//! A client that goes away takes its upstream call along, and Flowise is told.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::{ANSWER, Reply, Seen, Upstream, record};
use crate::harness::{FLOW, PATIENCE};

/// An upstream that says something to each prediction and then waits until the gateway closes the connection; the
/// receiver hears that it did.
fn waiting(say: impl Fn(&mut Reply) + Send + Sync + 'static) -> (Upstream, Receiver<bool>) {
    let (closed, was_closed) = channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::start(move |seen, reply| match seen.method.as_str() {
        "POST" => {
            say(reply);
            let _ = closed.lock().unwrap().send(reply.wait_for_close());
        }
        _ => reply.json("200 OK", r#"{"status":200,"message":"Chat message aborted successfully."}"#),
    });
    (upstream, was_closed)
}

#[track_caller]
fn assert_closed(was_closed: &Receiver<bool>) {
    assert!(was_closed.recv_timeout(PATIENCE).expect("the upstream's word"), "the upstream's connection stays open");
}

fn aborts(upstream: &Upstream) -> Vec<String> {
    let mut paths: Vec<_> =
        upstream.seen().into_iter().filter(|seen| seen.method != "POST").map(|seen| seen.path).collect();
    paths.sort();
    paths
}

fn abort_path(chat: &str) -> String {
    format!("/api/v1/chatmessage/abort/{FLOW}/{chat}")
}

#[track_caller]
fn assert_is_abort(seen: &Seen, chat: &str) {
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("PUT", abort_path(chat).as_str()));
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    assert_eq!(seen.header("x-api-key"), Some("upstream-key"));
    assert!(seen.body.is_empty());
}

#[test]
fn a_client_that_leaves_before_the_answer_has_its_chat_aborted() {
    for body in [r#"{"question":"hi","chatId":"mine"}"#, r#"{"question":"hi","chatId":"mine","streaming":true}"#] {
        let (upstream, was_closed) = waiting(|_| {});
        let gateway = Gateway::start(&simple(upstream.address));
        let client = gateway.begin(body);
        upstream.wait_seen(1);
        assert!(aborts(&upstream).is_empty());
        drop(client);
        assert_closed(&was_closed);
        assert_is_abort(&upstream.wait_request("PUT", "/"), "mine");
        gateway.wait_metric(r#"flowgate_upstream_aborts_total{result="ok"}"#, 1.0);
        let line = gateway.log_line(|line| line["message"] == "request");
        assert_eq!((&line["status"], &line["end"]), (&499.into(), &"client_gone".into()), "{line}");
        assert_eq!(upstream.seen().len(), 2);
    }
}

#[test]
fn a_client_that_leaves_before_the_first_event_has_its_chat_aborted() {
    let (upstream, was_closed) = waiting(Reply::stream_head);
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = gateway.begin(r#"{"question":"hi","chatId":"mine","streaming":true}"#);
    // The head comes although no event does.
    assert_eq!(client.read_head().expect("a head").status, 200);
    drop(client);
    assert_closed(&was_closed);
    assert_is_abort(&upstream.wait_request("PUT", "/"), "mine");
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"client_gone\"}", 1.0);
}

#[test]
fn a_client_that_leaves_mid_stream_has_its_chat_aborted() {
    let (upstream, was_closed) = waiting(|reply| {
        reply.stream_head();
        reply.event("token", "one");
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut client = gateway.begin(r#"{"question":"hi","chatId":"mine","streaming":true}"#);
    client.read_head().expect("a head");
    assert_eq!(client.read_chunk().expect("a chunk"), Some(record("token", "one").into_bytes()));
    drop(client);
    assert_closed(&was_closed);
    assert_is_abort(&upstream.wait_request("PUT", "/"), "mine");
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"client_gone\"}", 1.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
    let line = gateway.log_line(|line| line["message"] == "request");
    assert_eq!((&line["status"], &line["end"]), (&200.into(), &"client_gone".into()), "{line}");
}

#[test]
fn a_chat_without_an_id_of_its_own_is_aborted_under_the_one_that_was_forwarded() {
    for (body, expected) in [
        (r#"{"question":"hi"}"#, None),
        (r#"{"question":"hi","streaming":true}"#, None),
        (r#"{"question":"hi","overrideConfig":{"sessionId":"s7"}}"#, Some("s7")),
    ] {
        let (upstream, was_closed) = waiting(|_| {});
        let gateway = Gateway::start(&config(upstream.address, "", "", ", override_config: [sessionId]", ""));
        let client = gateway.begin(body);
        let forwarded = upstream.wait_seen(1)[0].json()["chatId"].as_str().expect("a chat id").to_owned();
        match expected {
            Some(expected) => assert_eq!(forwarded, expected),
            None => assert_eq!(forwarded.len(), 36),
        }
        drop(client);
        assert_closed(&was_closed);
        assert_is_abort(&upstream.wait_request("PUT", "/"), &forwarded);
    }
}

#[test]
fn chats_that_ended_by_themselves_are_not_aborted() {
    let upstream = Upstream::start(|seen, reply| {
        if seen.method != "POST" {
            return reply.json("200 OK", "{}");
        }
        match seen.json()["question"].as_str().expect("a question") {
            "json" => reply.json("200 OK", ANSWER),
            "chunked json" => {
                reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
                reply.chunk(ANSWER);
                reply.finish();
            }
            "stream" => {
                reply.stream_head();
                reply.event("end", "[DONE]");
                reply.finish();
            }
            "failed" => reply.json("500 Internal Server Error", r#"{"message":"no"}"#),
            "cut before the answer" => reply.cut(),
            "cut json" => {
                reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"text\":");
                reply.cut();
            }
            "cut stream" => {
                reply.stream_head();
                reply.event("start", "");
                reply.cut();
            }
            "html" => reply.raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"),
            "marker" => {
                reply.wait_for_close();
            }
            other => panic!("{other}"),
        }
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let cases = ["json", "chunked json", "stream", "failed", "cut before the answer", "cut json", "cut stream", "html"];
    for case in cases {
        let mut client = gateway.begin(&format!(r#"{{"question":"{case}","chatId":"{case}"}}"#));
        let response = client.read_response();
        // A cut answer arrives as a cut answer.
        assert_eq!(response.is_err(), case == "cut json", "{case}");
        drop(client);
    }
    // An abort that comes after whatever might have been queued before.
    let client = gateway.begin(r#"{"question":"marker","chatId":"marker"}"#);
    upstream.wait_seen(cases.len() + 1);
    drop(client);
    upstream.wait_request("PUT", &abort_path("marker"));
    gateway.wait_metric(r#"flowgate_upstream_aborts_total{result="ok"}"#, 1.0);
    assert_eq!(aborts(&upstream), [abort_path("marker")]);
}

#[test]
fn a_chat_that_runs_into_a_timeout_is_aborted() {
    let (upstream, was_closed) = waiting(|_| {});
    let gateway = Gateway::start(&config(upstream.address, "", ", response_timeout: 200ms", "", ""));
    gateway.predict(r#"{"question":"hi","chatId":"slow"}"#).assert_refused(504, "upstream_timeout");
    assert_closed(&was_closed);
    assert_is_abort(&upstream.wait_request("PUT", "/"), "slow");
}

#[test]
fn odd_chat_ids_are_encoded_once_or_never_sent() {
    let (upstream, was_closed) = waiting(|_| {});
    let gateway = Gateway::start(&simple(upstream.address));
    let odd = [
        ("a b", Some("a%20b")),
        ("ü", Some("%C3%BC")),
        ("a?b#c", Some("a%3Fb%23c")),
        ("a;b:c@d", Some("a%3Bb%3Ac%40d")),
        ("...", Some("...")),
        ("<\\\">", Some("%3C%22%3E")),
        ("a/b", None),
        ("../../apikey", None),
        ("..", None),
        (".", None),
        ("%2e%2e", None),
        ("a%2Fb", None),
        ("a\\\\b", None),
        // Last, so that whatever came of the others has come before.
        ("plain-1_2.3~4", Some("plain-1_2.3~4")),
    ];
    let mut expected = Vec::new();
    for (count, (id, sent)) in odd.into_iter().enumerate() {
        let client = gateway.begin(&format!(r#"{{"question":"hi","chatId":"{id}"}}"#));
        crate::harness::wait_for("the prediction", || {
            (upstream.seen().iter().filter(|seen| seen.method == "POST").count() == count + 1).then_some(())
        });
        drop(client);
        assert_closed(&was_closed);
        if let Some(sent) = sent {
            upstream.wait_request("PUT", &abort_path(sent));
            expected.push(abort_path(sent));
        }
    }
    expected.sort();
    assert_eq!(aborts(&upstream), expected);
}

#[test]
fn a_passthrough_client_that_leaves_takes_the_upstream_call_along() {
    let (upstream, was_closed) = waiting(|reply| {
        reply.stream_head();
        reply.event("token", "one");
    });
    let gateway = Gateway::start(&config(upstream.address, "", "", ", body: passthrough", ""));
    let mut client = gateway.begin(r#"{"question":"hi","chatId":"mine","streaming":true}"#);
    client.read_head().expect("a head");
    client.read_chunk().expect("a chunk");
    drop(client);
    assert_closed(&was_closed);
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"client_gone\"}", 1.0);
    // Nobody has read which chat it is.
    assert!(aborts(&upstream).is_empty());
}

#[test]
fn an_abort_goes_to_where_the_chat_runs() {
    let (first, first_closed) = waiting(|_| {});
    let (second, second_closed) = waiting(|_| {});
    let urls = format!("urls: ['http://{}', 'http://{}']", first.address, second.address);
    let one = simple(first.address);
    let gateway = Gateway::start(&one.replace(&format!("urls: ['http://{}']", first.address), &urls));
    let mut both = [false; 2];
    // Every chat's place is random; 40 chats at one place of two would be a fault.
    for chat in 0..40 {
        let client = gateway.begin(&format!(r#"{{"question":"hi","chatId":"chat-{chat}"}}"#));
        let at = crate::harness::wait_for("the prediction", || {
            let asks = |upstream: &Upstream| {
                upstream
                    .seen()
                    .iter()
                    .any(|seen| seen.method == "POST" && seen.json()["chatId"] == format!("chat-{chat}"))
            };
            if asks(&first) { Some(0) } else { asks(&second).then_some(1) }
        });
        drop(client);
        let (upstream, closed) = [(&first, &first_closed), (&second, &second_closed)][at];
        assert_closed(closed);
        upstream.wait_request("PUT", &abort_path(&format!("chat-{chat}")));
        both[at] = true;
    }
    assert_eq!(both, [true; 2]);
    let count = |upstream: &Upstream| upstream.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!((aborts(&first).len(), aborts(&second).len()), (count(&first), count(&second)));
}
