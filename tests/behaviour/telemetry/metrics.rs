//! Metrics, and the listener that they are on.

use super::{PREDICT, QUESTION, STREAM, talking};
use crate::harness::client::Connection;
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::ports::nowhere;
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client, wait_for};

#[test]
fn requests_are_counted_and_timed_by_route() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..3 {
        assert_eq!(gateway.predict(QUESTION).status, 200);
    }
    client::get(gateway.http, "/api/v1/ping", &[]);
    client::get(gateway.http, "/api/v1/health", &[]);
    client::send(gateway.http, "OPTIONS", PREDICT, &[], "");
    client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
    for (route, chatflow, key, code, count) in [
        ("prediction", "support", "app", 200, 3.0),
        ("ping", "-", "-", 200, 1.0),
        ("health", "-", "-", 200, 1.0),
        ("preflight", "support", "-", 204, 1.0),
        ("chatflows-streaming", "support", "-", 502, 1.0),
    ] {
        let labels = format!("chatflow=\"{chatflow}\",code=\"{code}\",key=\"{key}\",route=\"{route}\"");
        gateway.wait_metric(&format!("flowgate_requests_total{{{labels}}}"), count);
        gateway.wait_metric(&format!("flowgate_request_duration_seconds_count{{route=\"{route}\"}}"), count);
    }
    for le in ["0.001", "0.1", "1", "60", "300", "600", "+Inf"] {
        let bucket = format!("flowgate_request_duration_seconds_bucket{{route=\"prediction\",le=\"{le}\"}} ");
        assert!(gateway.metrics().contains(&bucket), "{bucket}");
    }
    gateway.wait_metric("flowgate_request_duration_seconds_bucket{route=\"prediction\",le=\"600\"}", 3.0);
    gateway.wait_metric("flowgate_time_to_first_byte_seconds_count{upstream=\"flowise\"}", 4.0);
}

#[test]
fn no_label_says_what_a_client_sent() {
    let upstream = Upstream::start(|_, reply| reply.json("418 I'm a teapot", r#"{"message":"marker-upstream"}"#));
    let more = "  '*': { upstream: flowise }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", more));
    let uuid = "0f0f0f0f-1f5e-4c00-9000-000000000000";
    let body = r#"{"question":"marker","marker":1}"#;
    for path in [
        "/marker".to_owned(),
        "/api/v1/prediction/marker".to_owned(),
        "/api/v1/marker/support".to_owned(),
        format!("/api/v1/prediction/{uuid}"),
        format!("{PREDICT}?marker"),
    ] {
        for key in [KEY, "marker-key-0123456789"] {
            let headers = [("x-api-key", key), ("x-request-id", "marker-id"), ("user-agent", "marker")];
            client::post(gateway.http, &path, &headers, body);
            client::send(gateway.http, "MARKER", &path, &headers, "");
        }
    }
    assert_eq!(gateway.predict(QUESTION).status, 418);
    let other = "flowgate_requests_total{chatflow=\"-\",code=\"404\",key=\"-\",route=\"other\"}";
    gateway.wait_metric(other, 12.0);
    gateway.wait_metric("flowgate_requests_total{chatflow=\"*\",code=\"401\",key=\"-\",route=\"prediction\"}", 1.0);
    let metrics = gateway.metrics();
    for part in ["marker", "MARKER", uuid, "127.0.0.1\""] {
        assert!(!metrics.contains(part), "{part}: {metrics}");
    }
}

#[test]
fn every_metric_that_is_promised_is_there() {
    let upstream = talking();
    let authority = Authority::new();
    let nowhere = nowhere();
    let more = "  lost: { upstream: nowhere, id: 9d2b4ae3-1f5e-4c00-9000-000000000001 }\n\
                plans: { default: { requests: 5/day, burst: 5 } }";
    let config = config(upstream.address, ", tls: { listen: '127.0.0.1:0' }", "", "", more)
        .replace("chatflows:\n", &format!("  nowhere: {{ flowise: {{ urls: ['http://{nowhere}'] }} }}\nchatflows:\n"));
    let gateway = Gateway::start_with(&config, &keys(""), |folder| authority.write_into(folder));
    assert_eq!(gateway.predict(QUESTION).status, 200);
    assert_eq!(gateway.predict(STREAM).status, 200);
    assert_eq!(gateway.predict("{}").status, 400);
    client::post(gateway.http, PREDICT, &[], QUESTION).assert_refused(401, "missing_api_key");
    client::post(gateway.http, "/api/v1/prediction/lost", &[("x-api-key", KEY)], QUESTION)
        .assert_refused(502, "upstream_error");
    assert_eq!(gateway.predict(QUESTION).status, 200);
    gateway.predict(QUESTION).assert_refused(429, "rate_limited");
    gateway.signal("HUP");
    gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", 1.0);
    let _open = Connection::open(gateway.http);
    wait_for("the connection", || (gateway.metric("flowgate_connections") >= 1.0).then_some(()));

    let response = client::get(gateway.admin, "/metrics", &[]);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let metrics = response.text();
    for (name, kind) in [
        ("flowgate_requests_total", "counter"),
        ("flowgate_request_duration_seconds", "histogram"),
        ("flowgate_time_to_first_byte_seconds", "histogram"),
        ("flowgate_streams_open", "gauge"),
        ("flowgate_stream_events_total", "counter"),
        ("flowgate_streams_ended_total", "counter"),
        ("flowgate_auth_failures_total", "counter"),
        ("flowgate_limited_total", "counter"),
        ("flowgate_rejected_total", "counter"),
        ("flowgate_upstream_errors_total", "counter"),
        ("flowgate_upstream_healthy", "gauge"),
        ("flowgate_config_reloads_total", "counter"),
        ("flowgate_keys", "gauge"),
        ("flowgate_connections", "gauge"),
        ("flowgate_certificate_expiry_seconds", "gauge"),
        ("flowgate_build_info", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("process_open_fds", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
    ] {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
        assert!(metrics.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    for line in [
        "flowgate_upstream_errors_total{kind=\"connect\",upstream=\"nowhere\"} 1".to_owned(),
        format!("flowgate_upstream_healthy{{upstream=\"flowise\",url=\"http://{}\"}} 1", upstream.address),
        format!("flowgate_upstream_healthy{{upstream=\"nowhere\",url=\"http://{nowhere}\"}} 0"),
        "flowgate_keys{state=\"active\"} 1".to_owned(),
        "flowgate_keys{state=\"expired\"} 0".to_owned(),
        "flowgate_keys{state=\"disabled\"} 0".to_owned(),
        format!("flowgate_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line} in {metrics}");
    }
}

#[test]
fn admin_endpoints_are_on_the_admin_listener_only() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(client::get(gateway.admin, path, &[]).status, 200, "{path}");
        client::get(gateway.http, path, &[("x-api-key", KEY)]).assert_refused(404, "not_found");
        let headers = [("host", &*gateway.admin.to_string()), ("x-api-key", KEY)];
        client::get(gateway.http, path, &headers).assert_refused(404, "not_found");
        let wrong = client::post(gateway.admin, path, &[], "x");
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
    }
    assert_eq!(client::get(gateway.admin, "/livez", &[]).text(), "ok\n");
    for path in ["/api/v1/ping", PREDICT, "/Metrics", "/metrics/", "//metrics", "/%6detrics"] {
        assert_eq!(client::get(gateway.admin, path, &[("x-api-key", KEY)]).status, 404, "{path}");
    }
    assert_eq!(client::post(gateway.admin, PREDICT, &[("x-api-key", KEY)], QUESTION).status, 404);
    assert!(upstream.seen().is_empty());
}
