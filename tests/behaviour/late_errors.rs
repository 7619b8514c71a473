//! Flowise sends the head of a stream before it checks its key: a refusal that comes late can no longer be a status,
//! but its wording is still not for clients.

use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::{Gate, Reply, Upstream, record};

const MESSAGE: &str = "Error: predictionsServices.buildChatflow - Unauthorized";
const QUESTION: &str = r#"{"question":"hi","streaming":true}"#;

/// What a client reads of a refusal.
fn told() -> String {
    record("error", "The chatflow's server refused the gateway.")
}

fn end() -> String {
    record("end", "[DONE]")
}

/// Asserts what is left for the operator of one refusal in a stream.
#[track_caller]
fn assert_reported(gateway: &Gateway, count: u32) {
    let series = r#"flowgate_upstream_errors_total{kind="unauthorized",upstream="flowise"}"#;
    gateway.wait_metric(series, count.into());
    let line = gateway.log_line(|line| line["level"] == "ERROR");
    assert_eq!((&line["chatflow"], &line["upstream"]), (&"support".into(), &"flowise".into()), "{line}");
    assert!(line["message"].as_str().is_some_and(|message| message.contains("api_key")), "{line}");
}

#[test]
fn a_refusal_after_the_head_has_gone_out_is_an_error_event_of_the_gateways() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        gate.pass();
        reply.event("error", MESSAGE);
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    let mut stream = gateway.begin(QUESTION);
    // It comes once nothing has come for a while.
    let head = stream.read_head().expect("a head");
    assert_eq!(head.status, 200);
    open.send(()).expect("the upstream waits");
    let mut text = Vec::new();
    while let Some(chunk) = stream.read_chunk().expect("a chunk") {
        text.extend(chunk);
    }
    assert_eq!(String::from_utf8_lossy(&text), told() + &end());
    assert_reported(&gateway, 1);
    let line = gateway.access_line(head.header("x-request-id").expect("an id"));
    assert_eq!((&line["status"], &line["end"]), (&200.into(), &"error_event".into()), "{line}");
}

#[test]
fn a_refusal_after_other_events_is_not_worded_by_flowise() {
    type Script = fn(&mut Reply);
    let cases: [(&str, Script, String); 4] = [
        (
            "events of their own",
            |reply| {
                reply.event("start", "");
                reply.event("token", "Unauthorized");
                reply.event("error", MESSAGE);
            },
            record("start", "") + &record("token", "Unauthorized") + &told(),
        ),
        (
            "the bare word",
            |reply| {
                reply.event("token", "a");
                reply.event("error", "Unauthorized");
            },
            record("token", "a") + &told(),
        ),
        (
            "in pieces",
            |reply| {
                let text = record("token", "a") + &record("error", MESSAGE);
                text.as_bytes().iter().for_each(|byte| reply.chunk([*byte]));
            },
            record("token", "a") + &told(),
        ),
        (
            "after a comment",
            |reply| {
                reply.chunk(":heartbeat\n\n");
                reply.event("error", MESSAGE);
            },
            ":heartbeat\n\n".to_owned() + &told(),
        ),
    ];
    for (what, script, expected) in cases {
        let upstream = Upstream::start(move |_, reply| {
            reply.stream_head();
            script(reply);
            reply.event("end", "[DONE]");
            reply.finish();
        });
        let gateway = Gateway::start(&simple(upstream.address));
        let response = gateway.predict(QUESTION);
        assert_eq!((response.status, response.text()), (200, expected + &end()), "{what}");
        assert_reported(&gateway, 1);
        gateway.wait_metric("flowgate_streams_ended_total{reason=\"error_event\"}", 1.0);
        assert!(upstream.seen().iter().all(|seen| seen.method == "POST"), "{what}: it ended by itself");
    }
}

#[test]
fn an_error_that_only_speaks_of_authorisation_stays_the_flows_own() {
    let text = "Error: the tool said Unauthorized for this page";
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        reply.event("token", "a");
        reply.event("error", text);
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&simple(upstream.address));
    assert_eq!(gateway.predict(QUESTION).text(), record("token", "a") + &record("error", text) + &end());
    assert!(gateway.metric(r#"flowgate_upstream_errors_total{kind="unauthorized",upstream="flowise"}"#) < 0.5);
}
