//! What a known key may do, and from where.

use super::{QUESTION, UPSERT, ask, keys_and};
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, client};

#[test]
fn a_key_for_one_chatflow_may_not_use_another() {
    let upstream = Upstream::answering();
    let other = format!("  other: {{ upstream: flowise, id: {} }}", FLOW.replace("9d2b", "aaaa"));
    let keys = keys_and(&[("narrow", "narrow-key-0123456789", ", chatflows: [other]")]);
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", &other), &keys, |_| {});
    let narrow = [("x-api-key", "narrow-key-0123456789")];
    ask(&gateway, &narrow).assert_refused(403, "chatflow_not_allowed");
    assert!(upstream.seen().is_empty());
    let response = client::post(gateway.http, "/api/v1/prediction/other", &narrow, QUESTION);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(upstream.seen().len(), 1);
    gateway.wait_metric("flowgate_rejected_total{rule=\"chatflow_scope\"}", 1.0);
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"403\",key=\"narrow\",route=\"prediction\"}";
    gateway.wait_metric(series, 1.0);
}

#[test]
fn a_key_for_some_addresses_may_not_be_used_from_others() {
    let upstream = Upstream::answering();
    let keys = keys_and(&[
        ("far", "far-away-key-0123456789", ", allowed_ips: [192.0.2.0/24, '2001:db8::7']"),
        ("near", "near-by-key-0123456789", ", allowed_ips: [127.0.0.1]"),
    ]);
    let gateway = Gateway::start_with(&simple(upstream.address), &keys, |_| {});
    let far = ("x-api-key", "far-away-key-0123456789");
    ask(&gateway, &[far]).assert_refused(403, "address_not_allowed");
    // Nobody told the gateway to believe these.
    for field in [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7"), ("x-real-ip", "192.0.2.7")] {
        ask(&gateway, &[far, field]).assert_refused(403, "address_not_allowed");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(ask(&gateway, &[("x-api-key", "near-by-key-0123456789")]).status, 200);
    gateway.wait_metric("flowgate_rejected_total{rule=\"address_scope\"}", 4.0);
}

#[test]
fn behind_a_trusted_proxy_the_rightmost_untrusted_address_is_the_client() {
    let upstream = Upstream::answering();
    let keys = keys_and(&[("far", "far-away-key-0123456789", ", allowed_ips: [192.0.2.0/24, '2001:db8::7']")]);
    let trusting = config(upstream.address, ", trusted_proxies: [127.0.0.1, 10.0.0.0/8]", "", "", "");
    let gateway = Gateway::start_with(&trusting, &keys, |_| {});
    let far = ("x-api-key", "far-away-key-0123456789");
    let allowed = [
        vec![("x-forwarded-for", "192.0.2.7")],
        vec![("x-forwarded-for", "203.0.113.9, 192.0.2.7")],
        vec![("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.1.1.1")],
        vec![("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.1.1.1")],
        vec![("x-forwarded-for", "192.0.2.7:4711")],
        vec![("forwarded", "for=203.0.113.9, for=\"[2001:db8::7]:4711\";proto=https")],
    ];
    for fields in &allowed {
        let response = ask(&gateway, &[&[far], fields.as_slice()].concat());
        assert_eq!(response.status, 200, "{fields:?} {}", response.text());
    }
    assert_eq!(upstream.seen().len(), allowed.len());
    let refused = [
        vec![],
        vec![("x-forwarded-for", "192.0.2.7, 203.0.113.9")],
        vec![("x-forwarded-for", "192.0.2.7, nonsense, 10.1.1.1")],
        vec![("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=192.0.2.7")],
        vec![("x-real-ip", "192.0.2.7")],
    ];
    for fields in &refused {
        ask(&gateway, &[&[far], fields.as_slice()].concat()).assert_refused(403, "address_not_allowed");
    }
    assert_eq!(upstream.seen().len(), allowed.len());
}

#[test]
fn documents_are_upserted_only_with_the_right_to_do_so() {
    let upstream = Upstream::answering();
    let keys = keys_and(&[("loader", "loader-key-0123456789", ", upsert: true")]);
    let gateway = Gateway::start_with(&simple(upstream.address), &keys, |_| {});
    let body = r#"{"stopNodeId":"x_0","overrideConfig":{"a":1}}"#;
    let refused = client::post(gateway.http, UPSERT, &[("x-api-key", KEY)], body);
    refused.assert_refused(403, "chatflow_not_allowed");
    assert!(refused.text().contains("it needs `upsert: true`"), "{}", refused.text());
    client::post(gateway.http, UPSERT, &[], body).assert_refused(401, "missing_api_key");
    gateway.wait_metric("flowgate_rejected_total{rule=\"upsert_scope\"}", 1.0);
    assert!(upstream.seen().is_empty());

    let response = client::post(gateway.http, UPSERT, &[("x-api-key", "loader-key-0123456789")], body);
    assert_eq!(response.status, 200, "{}", response.text());
    let seen = &upstream.wait_seen(1)[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", &*format!("/api/v1/vector/upsert/{FLOW}")));
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    gateway.wait_metric(
        "flowgate_requests_total{chatflow=\"support\",code=\"200\",key=\"loader\",route=\"vector-upsert\"}",
        1.0,
    );
}
