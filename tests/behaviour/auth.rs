//! Who may ask.

mod permissions;

use std::process::Command;

use crate::harness::client::Response;
use crate::harness::gateway::{BINARY, Gateway, config, keys, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, client, sha256, wait_for};

const PREDICT: &str = "/api/v1/prediction/support";
const UPSERT: &str = "/api/v1/vector/upsert/support";
const QUESTION: &str = r#"{"question":"hi"}"#;

fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> Response {
    client::post(gateway.http, PREDICT, headers, QUESTION)
}

/// A keys file with [`KEY`] and others, each an id, its secret and further fields.
fn keys_and(others: &[(&str, &str, &str)]) -> String {
    others.iter().fold(keys(""), |file, (id, secret, more)| {
        format!("{file}  - {{ id: {id}, sha256: {}{more} }}\n", sha256(secret))
    })
}

/// The bytes of an answer without what differs from one request to the next.
fn comparable(response: &Response) -> String {
    let id = response.header("x-request-id").expect("an id");
    let mut response = response.clone();
    response.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
    let body = response.text();
    format!("{} {:?} {body}", response.status, response.headers).replace(id, "ID")
}

#[test]
fn a_known_key_is_let_through_and_never_forwarded() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let bearer = format!("Bearer {KEY}");
    for headers in [
        vec![("x-api-key", KEY)],
        vec![("authorization", &bearer)],
        vec![("authorization", &bearer), ("x-api-key", KEY)],
    ] {
        let response = ask(&gateway, &headers);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("www-authenticate"), None);
    }
    for seen in upstream.wait_seen(3) {
        assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
        assert_eq!(seen.header("x-api-key"), Some("upstream-key"));
        assert!(!format!("{seen:?}").contains(KEY));
    }
}

#[test]
fn what_can_be_no_key_does_not_spoil_a_good_one() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let bearer = format!("Bearer {KEY}");
    for (authorization, key) in [
        ("Bearer undefined", KEY),
        ("Bearer null", KEY),
        ("Bearer [object Object]", KEY),
        (&*bearer, "undefined"),
        (&*bearer, ""),
    ] {
        let response = ask(&gateway, &[("authorization", authorization), ("x-api-key", key)]);
        assert_eq!(response.status, 200, "{authorization}, {key}: {}", response.text());
    }
    // What may be another's key is not passed over, nor is nonsense a key.
    let other = "Bearer another-key-of-somebody";
    ask(&gateway, &[("authorization", other), ("x-api-key", KEY)]).assert_refused(400, "invalid_request");
    ask(&gateway, &[("authorization", "Bearer undefined")]).assert_refused(401, "invalid_api_key");
    ask(&gateway, &[("authorization", "Bearer undefined"), ("x-api-key", "wrong-wrong-wrong-wrong")])
        .assert_refused(401, "invalid_api_key");
    assert_eq!(upstream.seen().len(), 5);
}

#[test]
fn a_request_without_a_key_is_told_to_send_one() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let response = ask(&gateway, &[]);
    response.assert_refused(401, "missing_api_key");
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"missing\"}", 1.0);
    assert!(upstream.seen().is_empty());
}

#[test]
fn unknown_expired_and_disabled_keys_get_one_answer_and_reasons_of_their_own_in_the_metric() {
    let upstream = Upstream::answering();
    let keys = keys_and(&[
        ("old", "expired-key-0123456789", ", expires_at: 2020-01-01T00:00:00Z"),
        ("off", "disabled-key-0123456789", ", enabled: false"),
    ]);
    let gateway = Gateway::start_with(&simple(upstream.address), &keys, |_| {});
    let answers: Vec<_> = ["unknown-key-0123456789", "expired-key-0123456789", "disabled-key-0123456789"]
        .iter()
        .map(|key| ask(&gateway, &[("x-api-key", key)]))
        .collect();
    for answer in &answers {
        answer.assert_refused(401, "invalid_api_key");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(comparable(answer), comparable(&answers[0]));
    }
    for reason in ["unknown", "expired", "disabled"] {
        gateway.wait_metric(&format!("flowgate_auth_failures_total{{reason=\"{reason}\"}}"), 1.0);
    }
    // Nobody's request is counted as anybody's.
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"401\",key=\"-\",route=\"prediction\"}";
    gateway.wait_metric(series, 3.0);
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_cannot_be_a_key_is_refused_like_a_wrong_one() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let long = "x".repeat(257);
    let malformed = ["short", "sixteen or more but spaces", "sixteen-or-more-\u{e4}", &long];
    for key in malformed {
        let response = ask(&gateway, &[("x-api-key", key)]);
        response.assert_refused(401, "invalid_api_key");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"malformed\"}", 4.0);
    let schemes = [format!("Basic {KEY}"), format!("Token {KEY}")];
    for value in &schemes {
        ask(&gateway, &[("authorization", value)]).assert_refused(401, "invalid_api_key");
    }
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"scheme\"}", 2.0);
    // By its shape alone, whether or not it is a key.
    for value in [KEY, "unknown-key-0123456789"] {
        let response = ask(&gateway, &[("authorization", value)]);
        response.assert_refused(401, "invalid_api_key");
        assert!(response.text().contains("the word Bearer before the key"), "{}", response.text());
    }
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"no_scheme\"}", 2.0);
    for headers in [("x-api-key", ""), ("authorization", ""), ("authorization", "Bearer"), ("authorization", "Bearer ")]
    {
        ask(&gateway, &[headers]).assert_refused(401, "missing_api_key");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_good_key_counts_beside_what_is_not_meant_for_the_gateway() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for other in ["Basic dXNlcjpwYXNz", "", "Bearer", "Negotiate YII=", "some-other-token"] {
        let response = ask(&gateway, &[("x-api-key", KEY), ("authorization", other)]);
        assert_eq!(response.status, 200, "{other}: {}", response.text());
    }
    let bearer = format!("Bearer {KEY}");
    assert_eq!(ask(&gateway, &[("x-api-key", ""), ("authorization", &bearer)]).status, 200);
    for seen in upstream.wait_seen(6) {
        assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    }
    let wrong = [("x-api-key", "unknown-key-0123456789"), ("authorization", "Basic dXNlcjpwYXNz")];
    ask(&gateway, &wrong).assert_refused(401, "invalid_api_key");
}

#[test]
fn a_typo_in_one_of_our_keys_is_noticed_even_where_its_digest_is_known() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let file = gateway.file("keys.yaml");
    let made = Command::new(BINARY)
        .args(["keys", "create", "--id", "made", "--file"])
        .arg(&file)
        .output()
        .expect("flowgate runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let stdout = String::from_utf8(made.stdout).expect("text");
    let key = stdout.split_whitespace().find(|word| word.starts_with("fg_sk_")).expect("a secret").to_owned();
    wait_for("the new key", || (ask(&gateway, &[("x-api-key", &key)]).status == 200).then_some(()));

    let mut typo = key.clone();
    let last = typo.pop().expect("a character");
    typo.push(if last == 'A' { 'B' } else { 'A' });
    let written = std::fs::read_to_string(&file).expect("keys");
    let others = format!("{written}\n  - id: typo\n    sha256: {}\n", sha256(&typo));
    std::fs::write(&file, others).expect("keys written");
    gateway.wait_metric("flowgate_keys{state=\"active\"}", 3.0);
    ask(&gateway, &[("x-api-key", &typo)]).assert_refused(401, "invalid_api_key");
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"malformed\"}", 1.0);
    assert_eq!(ask(&gateway, &[("x-api-key", &key)]).status, 200);
}

#[test]
fn two_keys_in_one_request_are_ambiguous() {
    let upstream = Upstream::answering();
    let keys = keys_and(&[("second", "second-key-0123456789", "")]);
    let gateway = Gateway::start_with(&simple(upstream.address), &keys, |_| {});
    let (bearer, other) = (format!("Bearer {KEY}"), "Bearer second-key-0123456789");
    let cases = [
        [("x-api-key", KEY), ("authorization", other)],
        [("x-api-key", KEY), ("x-api-key", KEY)],
        [("x-api-key", KEY), ("X-API-KEY", "second-key-0123456789")],
        [("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
        [("authorization", bearer.as_str()), ("authorization", other)],
    ];
    for headers in &cases {
        let response = ask(&gateway, headers);
        response.assert_refused(400, "invalid_request");
        assert!(!response.text().contains("key-0123456789"), "{}", response.text());
    }
    gateway.wait_metric("flowgate_rejected_total{rule=\"ambiguous_credentials\"}", 5.0);
    assert!(upstream.seen().is_empty());
}

#[test]
fn the_old_secret_of_a_rotation_counts_until_its_time() {
    let upstream = Upstream::answering();
    let previous = |secret: &str, until: &str| format!(", previous: {{ sha256: {}, until: {until} }}", sha256(secret));
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let keys = keys_and(&[
        ("a", "new-a-0123456789", &previous("old-a-0123456789", "2999-01-01T00:00:00Z")),
        ("b", "new-b-0123456789", &previous("old-b-0123456789", "2020-01-01T00:00:00Z")),
        ("c", "new-c-0123456789", &previous("old-c-0123456789", &format!("'{soon}'"))),
    ]);
    let gateway = Gateway::start_with(&simple(upstream.address), &keys, |_| {});
    for key in ["new-a-0123456789", "old-a-0123456789", "new-b-0123456789", "new-c-0123456789"] {
        assert_eq!(ask(&gateway, &[("x-api-key", key)]).status, 200, "{key}");
    }
    assert_eq!(upstream.seen().len(), 4);
    ask(&gateway, &[("x-api-key", "old-b-0123456789")]).assert_refused(401, "invalid_api_key");
    // Its time comes without any reload.
    let late = wait_for("the end of the rotation", || {
        let response = ask(&gateway, &[("x-api-key", "old-c-0123456789")]);
        (response.status != 200).then_some(response)
    });
    late.assert_refused(401, "invalid_api_key");
    assert!(jiff::Timestamp::now() >= soon);
    assert_eq!(ask(&gateway, &[("x-api-key", "new-c-0123456789")]).status, 200);
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"expired\"}", 2.0);
    // Both secrets are the same key.
    gateway
        .wait_metric("flowgate_requests_total{chatflow=\"support\",code=\"200\",key=\"a\",route=\"prediction\"}", 2.0);
}

#[test]
fn a_key_in_the_url_never_counts() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for name in ["api_key", "apiKey", "key", "access_token", "X-API-KEY", "Authorization"] {
        let path = format!("{PREDICT}?{name}={KEY}");
        client::post(gateway.http, &path, &[], QUESTION).assert_refused(401, "missing_api_key");
    }
    client::post(gateway.http, PREDICT, &[("cookie", &format!("x-api-key={KEY}"))], QUESTION)
        .assert_refused(401, "missing_api_key");
    let body = format!(r#"{{"question":"hi","apiKey":"{KEY}"}}"#);
    client::post(gateway.http, PREDICT, &[], &body).assert_refused(401, "missing_api_key");
    assert!(upstream.seen().is_empty());
    // Beside a good one it does no harm, and goes nowhere.
    let path = format!("{PREDICT}?api_key={KEY}");
    assert_eq!(client::post(gateway.http, &path, &[("x-api-key", KEY)], QUESTION).status, 200);
    assert_eq!(upstream.wait_seen(1)[0].path, format!("/api/v1/prediction/{FLOW}"));
}

#[test]
fn secrets_are_in_no_log_and_no_metric() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, "", "", "", "log: { level: debug }"));
    let unknown = "unknown-key-0123456789";
    let bearer = format!("Bearer {KEY}");
    let mut ids = Vec::new();
    for headers in [
        vec![("x-api-key", KEY)],
        vec![("authorization", bearer.as_str())],
        vec![("x-api-key", unknown)],
        vec![("x-api-key", KEY), ("authorization", "Bearer unknown-key-0123456789")],
        vec![("authorization", KEY)],
        vec![("cookie", KEY), ("user-agent", KEY)],
    ] {
        let path = format!("{PREDICT}?api_key={KEY}");
        let response = client::post(gateway.http, &path, &headers, QUESTION);
        ids.push(response.header("x-request-id").expect("an id").to_owned());
    }
    for id in &ids {
        gateway.access_line(id);
    }
    let (log, metrics) = (gateway.log().join("\n"), gateway.metrics());
    let digest = sha256(KEY);
    for secret in [KEY, unknown, "upstream-key", digest.as_str()] {
        assert!(!log.contains(secret), "{secret} in the log");
        assert!(!metrics.contains(secret), "{secret} in the metrics");
    }
}

#[test]
fn a_client_that_accepts_only_an_event_stream_gets_the_sentence_alone() {
    let upstream = Upstream::answering();
    let more = "plans: { default: { requests: 1/day, burst: 1 } }";
    let keys = keys_and(&[("far", "far-away-key-0123456789", ", allowed_ips: [192.0.2.7]")]);
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", more), &keys, |_| {});
    let stream = ("accept", "text/event-stream");
    assert_eq!(ask(&gateway, &[stream, ("x-api-key", KEY)]).status, 200);
    for (status, key) in [(401, "unknown-key-0123456789"), (403, "far-away-key-0123456789"), (429, KEY)] {
        let plain = ask(&gateway, &[stream, ("x-api-key", key)]);
        let json = ask(&gateway, &[("accept", "text/event-stream, application/json"), ("x-api-key", key)]);
        assert_eq!((plain.status, json.status), (status, status));
        assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert_eq!(plain.text(), json.json()["message"], "the same sentence");
        assert!(plain.header("x-request-id").is_some());
        assert_eq!(plain.header("www-authenticate").is_some(), status == 401);
        assert_eq!(plain.header("retry-after").is_some(), status == 429);
    }
    // Anything else keeps its shape.
    client::post(gateway.http, "/api/v1/prediction/nobody", &[stream], QUESTION).assert_refused(404, "not_found");
    assert_eq!(upstream.seen().len(), 1);
}
