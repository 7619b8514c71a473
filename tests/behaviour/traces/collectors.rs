//! Collectors that are slow, overrun, wrong or gone: no request waits for them.

use super::{ASK, PATH, WIDE, traced};
use crate::harness::client::{Connection, request};
use crate::harness::collector::{Collector, Speaks, Verdict};
use crate::harness::gateway::{BINARY, Gateway, config};
use crate::harness::ports::nowhere;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, wait_for};

const SENT: &str = r#"flowgate_trace_spans_total{result="sent"}"#;
const FAILED: &str = r#"flowgate_trace_spans_total{result="failed"}"#;
const DROPPED: &str = r#"flowgate_trace_spans_total{result="dropped"}"#;

fn is_failing(line: &serde_json::Value) -> bool {
    line["message"] == "traces cannot be exported"
}

#[test]
fn an_overrun_collector_is_asked_again_when_it_wants_to_be() {
    let upstream = Upstream::answering();
    let collector = Collector::start(Speaks::Http, |count| match count {
        0 => Verdict::Status(503, Some("0")),
        1 => Verdict::Status(429, Some("0")),
        _ => Verdict::Taken,
    });
    let gateway = traced(&upstream, &collector.section(Speaks::Http, ""));
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(collector.wait_spans(2).len(), 2);
    let exports = collector.exports();
    // The very same each time.
    assert!(exports.len() == 3 && exports.iter().all(|export| export.message == exports[0].message));
    gateway.wait_metric(SENT, 2.0);
    assert_eq!((gateway.metric(FAILED), gateway.metric(DROPPED)), (0.0, 0.0));
    gateway.log_line(|line| line["message"] == "traces are exported again");
    let told = gateway.log().iter().filter(|line| line.contains("traces cannot be exported")).count();
    assert_eq!(told, 1);
}

#[test]
fn what_a_grpc_collector_cannot_take_now_is_sent_again() {
    let upstream = Upstream::answering();
    // UNAVAILABLE
    let collector = Collector::start(Speaks::Grpc, |count| if count == 0 { Verdict::Code(14) } else { Verdict::Taken });
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(collector.wait_spans(2).len(), 2);
    gateway.wait_metric(SENT, 2.0);
}

#[test]
fn what_a_collector_will_never_take_is_given_up_and_counted() {
    // UNAUTHENTICATED
    for (speaks, verdict) in [(Speaks::Http, Verdict::Status(401, None)), (Speaks::Grpc, Verdict::Code(16))] {
        let upstream = Upstream::answering();
        let collector = Collector::start(speaks, move |_| verdict);
        let gateway = traced(&upstream, &collector.section(speaks, ""));
        assert_eq!(gateway.predict(ASK).status, 200);
        gateway.wait_metric(FAILED, 2.0);
        assert_eq!(collector.exports().len(), 1);
        let line = gateway.log_line(is_failing);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["advice"], "the collector wants credentials: see `headers`");
    }
}

#[test]
fn spans_that_a_collector_does_not_take_are_counted_by_themselves() {
    for speaks in [Speaks::Http, Speaks::Grpc] {
        let upstream = Upstream::answering();
        let collector = Collector::start(speaks, |_| Verdict::Partly(1));
        let gateway = traced(&upstream, &collector.section(speaks, ""));
        assert_eq!(gateway.predict(ASK).status, 200);
        gateway.wait_metric(FAILED, 1.0);
        gateway.wait_metric(SENT, 1.0);
        assert_eq!(gateway.log_line(|line| line["message"] == "the collector has not taken all spans")["rejected"], 1);
    }
}

#[test]
fn no_request_waits_for_a_collector_and_the_queue_has_an_end() {
    let upstream = Upstream::answering();
    let collector = Collector::start(Speaks::Grpc, |_| Verdict::Silence);
    let mut gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    let mut connection = Connection::open(gateway.http);
    // Two spans each: more than one batch and the queue hold.
    for _ in 0..1500 {
        connection.write(request("POST", PATH, &[("x-api-key", KEY)], ASK));
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    drop(connection);
    wait_for("dropped spans", || (gateway.metric(DROPPED) >= 1.0).then_some(()));
    gateway.wait_metric(SENT, 0.0);
    // Nor does the end.
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.log_line(|line| line["message"] == "the collector does not answer: the last spans are lost");
}

#[test]
fn a_collector_that_is_gone_is_told_once() {
    // Nobody listens there any more.
    let address = nowhere();
    let upstream = Upstream::answering();
    let telemetry = format!("telemetry: {{ otlp: {{ endpoint: 'http://{address}', sample: 1 }} }}");
    let mut gateway = traced(&upstream, &telemetry);
    assert_eq!(gateway.predict(ASK).status, 200);
    let line = gateway.log_line(is_failing);
    assert_eq!(
        (line["url"].as_str(), line["error"].as_str()),
        (Some(format!("http://{address}").as_str()), Some("cannot connect"))
    );
    assert!(line["cause"].as_str().unwrap().contains("refused"));
    assert_eq!(gateway.predict(ASK).status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.log().iter().filter(|line| line.contains("traces cannot be exported")).count(), 1);
}

#[test]
fn the_wrong_protocol_is_told_with_what_helps() {
    let upstream = Upstream::answering();
    let collector = Collector::taking(Speaks::Http);
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    assert_eq!(gateway.predict(ASK).status, 200);
    let advice = gateway.log_line(is_failing)["advice"].as_str().unwrap().to_owned();
    assert!(advice.contains("does the collector speak gRPC on this port?"), "{advice}");
}

#[test]
fn what_is_not_yet_sent_is_sent_at_the_end() {
    for speaks in [Speaks::Grpc, Speaks::Http] {
        let (upstream, collector) = (Upstream::answering(), Collector::taking(speaks));
        let mut gateway = traced(&upstream, &collector.section(speaks, ""));
        assert_eq!(gateway.predict(ASK).status, 200);
        gateway.signal("TERM");
        assert_eq!(gateway.wait().code(), Some(0));
        assert_eq!(collector.spans().len(), 2);
    }
}

#[test]
fn what_is_refused_at_the_end_is_sent_once_more() {
    let upstream = Upstream::answering();
    // UNAVAILABLE
    let collector = Collector::start(Speaks::Grpc, |count| if count == 0 { Verdict::Code(14) } else { Verdict::Taken });
    let mut gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    assert_eq!(gateway.predict(ASK).status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!((collector.exports().len(), collector.spans().len()), (2, 2));
}

#[test]
fn traces_come_and_go_with_a_reload() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Grpc));
    let other = Collector::taking(Speaks::Http);
    let with = |telemetry: &str| config(upstream.address, "", "", "", &format!("{WIDE}\n{telemetry}"));
    let gateway = Gateway::start(&with(""));
    let change = |telemetry: &str, count: f64| {
        gateway.write("flowgate.yaml", with(telemetry));
        gateway.wait_metric(r#"flowgate_config_reloads_total{file="config",result="accepted"}"#, count);
        assert_eq!(gateway.predict(ASK).status, 200);
    };
    assert_eq!(gateway.predict(ASK).status, 200);
    change(&collector.section(Speaks::Grpc, ""), 1.0);
    assert_eq!(collector.wait_spans(2).len(), 2);
    change(&other.section(Speaks::Http, ""), 2.0);
    assert_eq!(other.wait_spans(2).len(), 2);
    change("", 3.0);
    assert!(upstream.wait_seen(4)[3].header("traceparent").is_none());
    assert_eq!((collector.spans().len(), gateway.metric(DROPPED)), (2, 0.0));
}

#[test]
fn mistakes_are_told_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = "upstreams: { f: { flowise: { urls: ['http://127.0.0.1:1'] } } }\n";
    for (otlp, field, message) in [
        ("{ sample: 1 }", "telemetry.otlp.endpoint", "missing: expected the collector's URL"),
        ("{ endpoint: 'collector:4317' }", "telemetry.otlp.endpoint", "expected the collector's URL"),
        ("{ endpoint: 'http://c:4317/v1/traces' }", "telemetry.otlp.endpoint", "gRPC has no path"),
        ("{ endpoint: 'http://c:4317', sample: 1.5 }", "telemetry.otlp.sample", "from 0 (no trace) to 1 (every trace)"),
        ("{ endpoint: 'http://c:4317', sample: '0.5' }", "telemetry.otlp.sample", "from 0 (no trace) to 1"),
        ("{ endpoint: 'http://c:4317', protocol: json }", "telemetry.otlp.protocol", "expected grpc or http"),
        ("{ endpoint: 'http://c:4317', ca_file: x }", "telemetry.otlp.ca_file", "without TLS there is no certificate"),
        (
            "{ endpoint: 'http://c:4317', headers: { host: x } }",
            "telemetry.otlp.headers.host",
            "expected the name of a header",
        ),
        ("{ endpoint: 'http://c:4317', headers: { a: \"b\\n\" } }", "telemetry.otlp.headers.a", "visible ASCII"),
        ("{ endpoint: 'http://c:4317', trusted_callers: [all] }", "telemetry.otlp.trusted_callers", "a network"),
    ] {
        let file = dir.path().join("flowgate.yaml");
        std::fs::write(&file, format!("{upstream}telemetry:\n  otlp: {otlp}\n")).unwrap();
        let check = std::process::Command::new(BINARY).args(["check", "--config"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(!check.status.success() && told.contains(field) && told.contains(message), "{otlp}: {told}");
    }
}
