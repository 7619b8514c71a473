//! What a request's spans say, over either protocol.

use std::collections::BTreeMap;

use serde_json::json;

use super::{ASK, PATH, WIDE, traced};
use crate::harness::client::{self, Connection, request};
use crate::harness::collector::{Collector, Speaks};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::otlp::{CLIENT, SERVER};
use crate::harness::tls::Authority;
use crate::harness::upstream::{ANSWER, Gate, Upstream};
use crate::harness::{FLOW, KEY};

#[test]
fn a_request_and_its_wait_for_flowise_are_two_spans_of_one_trace() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Grpc));
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ", resource: { service.name: edge, zone: a }"));
    let headers = [("x-api-key", KEY), ("x-request-id", "the-request"), ("host", "chat.example:8443")];
    assert_eq!(client::post(gateway.http, PATH, &headers, ASK).status, 200);
    let spans = collector.wait_spans(2);
    let root = spans.iter().find(|span| span.kind == SERVER).unwrap();
    let call = spans.iter().find(|span| span.kind == CLIENT).unwrap();

    assert_eq!((root.name.as_str(), root.parent.as_str()), ("POST /api/v1/prediction/{chatflow}", ""));
    let expected = json!({
        "http.request.method": "POST", "http.route": "/api/v1/prediction/{chatflow}",
        "url.path": "/api/v1/prediction/{chatflow}", "url.scheme": "http", "network.protocol.version": "1.1",
        "http.response.status_code": 200, "server.address": "chat.example", "server.port": 8443,
        "client.address": "127.0.0.1", "flowgate.request_id": "the-request", "flowgate.route": "prediction",
        "flowgate.chatflow": "support", "flowgate.key": "app", "flowgate.end": "complete",
    });
    assert_eq!(json!(root.attributes), expected);
    // W3C level 1: sampled; and whether the parent is remote is known.
    assert_eq!((root.has_failed, root.flags), (false, 0x101));

    assert_eq!((&call.trace, &call.parent, call.name.as_str()), (&root.trace, &root.id, "POST flowise"));
    let expected = json!({
        "http.request.method": "POST", "flowgate.upstream": "flowise", "http.response.status_code": 200,
        "server.address": "127.0.0.1", "server.port": upstream.address.port(),
    });
    assert_eq!(json!(call.attributes), expected);
    assert!(root.start <= call.start && call.start <= call.end && call.end <= root.end);

    let resource: BTreeMap<_, _> = root.resource.clone();
    assert_eq!((&resource["service.name"], &resource["zone"]), (&json!("edge"), &json!("a")));
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["service.instance.id"].as_str().unwrap().len(), 32);

    // Flowise and the log know the same trace.
    let seen = &upstream.seen()[0];
    assert_eq!(seen.header("traceparent"), Some(format!("00-{}-{}-01", call.trace, call.id).as_str()));
    assert_eq!(gateway.access_line("the-request")["trace_id"], root.trace.as_str());
    gateway.wait_metric(r#"flowgate_trace_spans_total{result="sent"}"#, 2.0);
}

#[test]
fn over_http_the_same_is_posted_with_the_headers_that_the_collector_wants() {
    let (upstream, collector) = (Upstream::answering(), Collector::taking(Speaks::Http));
    let telemetry = collector.section(Speaks::Http, ", headers: { authorization: { file: token }, x-scope: tenant }");
    let config = config(upstream.address, "", "", "", &format!("{WIDE}\n{telemetry}"));
    let gateway =
        Gateway::start_with(&config, &keys(""), |dir| std::fs::write(dir.join("token"), "Bearer t0k\n").unwrap());
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(collector.wait_spans(2).len(), 2);
    let export = &collector.exports()[0];
    assert_eq!(export.path, "/v1/traces");
    assert_eq!(
        (&export.headers["authorization"], &export.headers["x-scope"]),
        (&"Bearer t0k".parse().unwrap(), &"tenant".parse().unwrap())
    );
    // A file that changes is read again.
    gateway.write("token", "Bearer next\n");
    gateway.signal("HUP");
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="secrets",result="accepted"}"#, 1.0);
    assert_eq!(gateway.predict(ASK).status, 200);
    let exports = collector.wait_exports(2);
    assert_eq!(exports.last().unwrap().headers["authorization"], "Bearer next");
}

#[test]
fn collectors_behind_tls_are_known_by_ca_file() {
    for speaks in [Speaks::Grpc, Speaks::Http] {
        let authority = Authority::new();
        let (upstream, collector) = (Upstream::answering(), Collector::over_tls(speaks, &authority));
        let telemetry = collector.section(speaks, ", ca_file: ca.pem").replace("http://127.0.0.1", "https://localhost");
        let config = config(upstream.address, "", "", "", &telemetry);
        let gateway =
            Gateway::start_with(&config, &keys(""), |dir| std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap());
        assert_eq!(gateway.predict(ASK).status, 200);
        assert_eq!(collector.wait_spans(2).len(), 2);
    }
}

#[test]
fn a_streams_span_ends_with_its_last_byte() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |seen, reply| {
        if seen.json()["streaming"] == true {
            reply.stream_head();
            reply.event("token", "first");
            gate.pass();
            reply.event("end", "[DONE]");
            reply.finish();
        } else {
            reply.json("200 OK", ANSWER);
        }
    });
    let collector = Collector::taking(Speaks::Grpc);
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    let mut stream = Connection::open(gateway.http);
    let headers = [("x-api-key", KEY), ("x-request-id", "a-stream")];
    stream.write(request("POST", PATH, &headers, r#"{"question":"hi","streaming":true}"#));
    stream.read_head().unwrap();
    stream.read_chunk().unwrap();
    let between = [("x-api-key", KEY), ("x-request-id", "in-between")];
    assert_eq!(client::post(gateway.http, PATH, &between, ASK).status, 200);
    let between = collector.wait_request("in-between");
    // The wait is over with the head of the answer.
    let ours = |id: &str| collector.spans().into_iter().any(|span| span.get("flowgate.request_id") == id);
    assert!(!ours("a-stream"));
    open.send(()).unwrap();
    while stream.read_chunk().unwrap().is_some() {}
    let span = collector.wait_request("a-stream");
    assert_eq!((span.get("flowgate.end"), span.has_failed), (json!("done"), false));
    assert!(span.start < between.start && span.end > between.end);
}

#[test]
fn errors_are_told_by_their_codes() {
    let upstream = Upstream::start(|_, reply| reply.cut());
    let collector = Collector::taking(Speaks::Grpc);
    let gateway = traced(&upstream, &collector.section(Speaks::Grpc, ""));
    let headers = [("x-api-key", KEY), ("x-request-id", "broken-off")];
    assert_eq!(client::post(gateway.http, PATH, &headers, ASK).status, 502);
    let root = collector.wait_request("broken-off");
    assert_eq!((root.get("http.response.status_code"), root.get("error.type")), (json!(502), json!("upstream_error")));
    assert_eq!((root.get("flowgate.code"), root.has_failed), (json!("upstream_error"), true));
    let call = collector.spans().into_iter().find(|span| span.kind == CLIENT).unwrap();
    assert_eq!((call.get("error.type"), call.has_failed), (json!("upstream_error"), true));
    assert_eq!(call.get("http.response.status_code"), json!(null));

    // What a client does wrong is no error of the server.
    let headers = [("x-api-key", "wrong-key-0123456789abcdef"), ("x-request-id", "who-is-that")];
    assert_eq!(client::post(gateway.http, PATH, &headers, ASK).status, 401);
    let span = collector.wait_request("who-is-that");
    assert_eq!((span.get("flowgate.code"), span.has_failed), (json!("invalid_api_key"), false));
    assert_eq!((span.get("error.type"), span.get("flowgate.key")), (json!(null), json!(null)));

    // What is no route has no path either, and what probes ask for has no span.
    let headers = [("x-request-id", "no-such-path")];
    assert_eq!(client::get(gateway.http, "/api/v1/ping", &[("x-request-id", "only-a-ping")]).status, 200);
    assert_eq!(client::send(gateway.http, "BREW", "/private/words?and=more", &headers, "").status, 404);
    let span = collector.wait_request("no-such-path");
    assert_eq!((span.name.as_str(), span.get("http.request.method")), ("HTTP", json!("_OTHER")));
    assert_eq!((span.get("http.route"), span.get("url.path")), (json!(null), json!(null)));
    assert!(collector.spans().iter().all(|span| span.get("flowgate.request_id") != "only-a-ping"));
}

#[test]
fn nothing_that_is_said_and_no_secret_is_in_spans() {
    let upstream = Upstream::start(|_, reply| {
        reply.json("200 OK", r#"{"text":"private-answer","chatId":"private-chat","chatMessageId":"m"}"#);
    });
    for speaks in [Speaks::Grpc, Speaks::Http] {
        let collector = Collector::taking(speaks);
        let telemetry = collector.section(speaks, ", headers: { authorization: private-token }");
        let gateway = traced(&upstream, &telemetry);
        let headers = [
            ("authorization", "Bearer test-key-0123456789abcdef"),
            ("x-request-id", "all-of-it"),
            ("cookie", "private-cookie"),
            ("user-agent", "private-agent"),
            ("origin", "https://private-origin.example"),
            ("x-private", "private-header"),
        ];
        let body = r#"{"question":"private-question","chatId":"private-chat","overrideConfig":{"private-override":1}}"#;
        client::post(gateway.http, &format!("{PATH}?private-query=1"), &headers, body);
        let path = "/api/v1/chatmessage/abort/support/private-chat";
        client::send(gateway.http, "PUT", path, &[("x-api-key", KEY), ("x-request-id", "an-abort")], "");
        client::get(gateway.http, "/private-path", &[("x-request-id", "elsewhere")]);
        for id in ["all-of-it", "an-abort", "elsewhere"] {
            collector.wait_request(id);
        }
        for export in collector.exports() {
            for secret in ["private", KEY, "upstream-key", FLOW] {
                let is_in = export.message.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!is_in, "{secret} is in a span");
            }
        }
        assert!(gateway.log().iter().all(|line| !line.contains("private-token")));
    }
}
