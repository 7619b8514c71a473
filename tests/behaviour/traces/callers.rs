//! Whose traces go on here, and which are kept.

use std::collections::BTreeSet;

use serde_json::json;

use super::{ASK, PATH, WIDE, traced};
use crate::harness::client::{self, Connection, request};
use crate::harness::collector::{Collector, Speaks};
use crate::harness::gateway::{Gateway, config};
use crate::harness::otlp::SERVER;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, wait_for};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

fn ask(gateway: &Gateway, id: &str, headers: &[(&str, &str)]) {
    let all = [&[("x-api-key", KEY), ("x-request-id", id)], headers].concat();
    assert_eq!(client::post(gateway.http, PATH, &all, ASK).status, 200);
}

#[test]
fn a_trusted_callers_trace_goes_on() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Grpc));
    let section = collector.section(Speaks::Grpc, ", sample: 0, trusted_callers: [127.0.0.0/8]");
    let gateway = traced(&upstream, &section);
    ask(&gateway, "is-sampled", &[("traceparent", &parent("01")), ("tracestate", "vendor=1,other=2")]);
    let root = collector.wait_request("is-sampled");
    assert_eq!((root.trace.as_str(), root.parent.as_str(), root.state.as_str()), (TRACE, SPAN, "vendor=1,other=2"));
    // Sampled, and the parent is another program's.
    assert_eq!(root.flags, 0x301);
    let seen = &upstream.seen()[0];
    let sent = seen.header("traceparent").unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01") && !sent.contains(SPAN), "{sent}");
    assert_eq!(seen.header("tracestate"), Some("vendor=1,other=2"));

    // What it does not want to be sampled is not, and neither is what nobody has decided on.
    ask(&gateway, "not-sampled", &[("traceparent", &parent("00"))]);
    ask(&gateway, "ill-formed", &[("traceparent", &parent("1")), ("tracestate", "vendor=1")]);
    let seen = upstream.wait_seen(3);
    let sent = seen[1].header("traceparent").unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    let sent = seen[2].header("traceparent").unwrap();
    assert!(!sent.contains(TRACE) && sent.ends_with("-00") && seen[2].header("tracestate").is_none(), "{sent}");
    assert!(gateway.access_line("not-sampled").get("trace_id").is_none());
    ask(&gateway, "the-last-one", &[("traceparent", &parent("01"))]);
    collector.wait_request("the-last-one");
    let requests = collector.spans().into_iter().filter(|span| span.kind == SERVER).count();
    assert_eq!(requests, 2);
}

#[test]
fn a_trusted_proxy_is_a_trusted_caller() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Http));
    let more = format!("{WIDE}\n{}", collector.section(Speaks::Http, ", sample: 0"));
    let gateway = Gateway::start(&config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", "", &more));
    ask(&gateway, "by-a-proxy", &[("traceparent", &parent("01")), ("x-forwarded-for", "203.0.113.9")]);
    let root = collector.wait_request("by-a-proxy");
    assert_eq!((root.trace.as_str(), root.get("client.address")), (TRACE, json!("203.0.113.9")));
}

#[test]
fn a_strangers_trace_is_linked_and_decides_nothing() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Grpc));
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    ask(&gateway, "a-stranger", &[("traceparent", &parent("00")), ("tracestate", "vendor=1")]);
    let root = collector.wait_request("a-stranger");
    assert_ne!(root.trace, TRACE);
    assert_eq!((root.parent.as_str(), root.state.as_str()), ("", ""));
    assert_eq!(root.links, [(TRACE.to_owned(), SPAN.to_owned())]);
    let seen = &upstream.seen()[0];
    assert!(seen.header("traceparent").unwrap().contains(&root.trace) && seen.header("tracestate").is_none());

    let nobody = Upstream::answering();
    let none = Collector::taking(Speaks::Grpc);
    let gateway = traced(&nobody, &none.section(Speaks::Grpc, ", sample: 0"));
    ask(&gateway, "wants-it-all", &[("traceparent", &parent("01"))]);
    assert!(nobody.wait_seen(1)[0].header("traceparent").unwrap().ends_with("-00"));
}

#[test]
fn the_part_that_is_kept_is_told_by_the_traces_id() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Grpc));
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ", sample: 0.25"));
    let mut connection = Connection::open(gateway.http);
    for _ in 0..400 {
        connection.write(request("POST", PATH, &[("x-api-key", KEY)], ASK));
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    let mut wanted = BTreeSet::new();
    for seen in upstream.wait_seen(400) {
        let sent = seen.header("traceparent").unwrap().to_owned();
        let (trace, is_sampled) = (&sent[3..35], sent.ends_with("-01"));
        // As OpenTelemetry's SDKs: the lower half of the id, without its last bit.
        let is_below = u64::from_str_radix(&trace[16..], 16).unwrap() >> 1 < 1 << 61;
        assert_eq!(is_sampled, is_below, "{sent}");
        if is_sampled {
            wanted.insert(trace.to_owned());
        }
    }
    assert!((50..150).contains(&wanted.len()), "{}", wanted.len());
    wait_for("all that were kept", || {
        let traces: BTreeSet<_> = collector.spans().into_iter().map(|span| span.trace).collect();
        (traces == wanted).then_some(())
    });
}

#[test]
fn without_traces_the_callers_own_goes_through_untouched() {
    let upstream = Upstream::answering();
    let gateway = traced(&upstream, "");
    ask(&gateway, "untouched", &[("traceparent", "00-as-it-came"), ("tracestate", "vendor=1")]);
    let seen = &upstream.seen()[0];
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some("00-as-it-came"), Some("vendor=1")));
    assert!(gateway.access_line("untouched").get("trace_id").is_none());
    assert!(!gateway.metrics().contains("flowgate_trace_spans_total{"));
}
