//! Streams that go wrong: clients see it, and nothing that they should not.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{END, QUESTION, error_and_end, streaming};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::{Reply, Upstream, record};
use crate::harness::{FLOW, KEY};

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
