//! Session tokens that a backend signs by itself, and every token that is none.

use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLENTY, PREDICT, QUESTION};
use crate::harness::tokens::{claims, header, mint, now, signed, signed_by, signing_secret};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, sha256};

const SALES: &str = "/api/v1/prediction/sales";
const SECOND: &str = "second-key-0123456789";
const NEW: &str = "new-key-0123456789abcdef";
const PAGE: (&str, &str) = ("origin", "https://app.example.com");
const RELOADED: &str = r#"flowgate_config_reloads_total{file="keys",result="accepted"}"#;

/// With the chatflows `support` and `sales`, behind a proxy on loopback that says who calls.
fn start(upstream: &Upstream, keys: &str) -> Gateway {
    let sales = format!("  sales: {{ upstream: flowise, id: {} }}\n{PLENTY}", FLOW.replace("9d2b", "9d2c"));
    Gateway::start_with(&config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", "", &sales), keys, |_| {})
}

fn entry(id: &str, key: &str, more: &str) -> String {
    format!("  - {{ id: {id}, sha256: {}{more} }}\n", sha256(key))
}

fn ask(gateway: &Gateway, path: &str, token: &str, more: &[(&str, &str)]) -> Response {
    let bearer = format!("Bearer {token}");
    client::post(gateway.http, path, &[&[("authorization", &*bearer)], more].concat(), QUESTION)
}

/// Writes a new keys file and waits until it counts.
fn put_keys(gateway: &Gateway, text: &str) {
    let before = gateway.metric(RELOADED);
    let (file, beside) = (gateway.file("keys.yaml"), gateway.file("keys.new"));
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
    gateway.wait_metric(RELOADED, before + 1.0);
}

#[test]
fn what_no_token_is_made_with_counts_in_none_that_is_brought_along() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(""));
    for claim in [
        json!({"sub": ""}),
        json!({"sub": "x".repeat(257)}),
        json!({"sub": "a\nb"}),
        json!({"sessionId": ""}),
        json!({"origin": ""}),
        json!({"origin": "null"}),
        json!({"origin": "*"}),
        json!({"origin": "https://*.example.com"}),
        json!({"origin": "app.example.com"}),
        json!({"vars": {"a": {}}}),
        json!({"vars": {"__proto__": "x"}}),
        json!({"vars": []}),
    ] {
        let token = mint("app", KEY, &claim);
        let page: Vec<_> = claim["origin"].as_str().map(|origin| ("origin", origin)).into_iter().collect();
        ask(&gateway, PREDICT, &token, &page).assert_refused(401, "invalid_api_key");
        let mut body = claim.clone();
        body["chatflow"] = "support".into();
        let asked = client::post(gateway.http, "/api/v1/tokens", &[("x-api-key", KEY)], &body.to_string());
        assert_eq!(asked.status, 400, "{claim}: {}", asked.text());
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_token_signed_offline_works_wherever_a_token_goes() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(""));
    let token = mint("app", KEY, &json!({"sub": "ann"}));
    assert_eq!(ask(&gateway, PREDICT, &token, &[]).status, 200);
    assert_eq!(client::post(gateway.http, PREDICT, &[("x-api-key", &token)], QUESTION).status, 200);
    assert_eq!(ask(&gateway, PREDICT, &token, &[("x-api-key", &token)]).status, 200);
    for seen in upstream.wait_seen(3) {
        assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
        assert!(!format!("{seen:?}").contains(&token));
    }
    gateway.wait_metric(r#"flowgate_requests_total{chatflow="support",code="200",key="app",route="prediction"}"#, 3.0);
    // A quarter of an hour is the longest that one may live, and the clock of its backend may be a little ahead.
    for (from, life) in [(0, 900), (-600, 900), (10, 300)] {
        let token = mint("app", KEY, &json!({"iat": now() + from, "exp": now() + from + life}));
        assert_eq!(ask(&gateway, PREDICT, &token, &[]).status, 200, "{from} {life}");
    }
}

#[test]
fn whatever_is_no_token_is_an_unknown_key_and_reaches_nobody() {
    let upstream = Upstream::answering();
    let page = format!(", kind: publishable, allowed_origins: ['{}']", PAGE.1);
    let gateway = start(&upstream, &(keys("") + &entry("second", SECOND, "") + &entry("page", NEW, &page)));
    let good = mint("app", KEY, &json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let secret = signing_secret(KEY);
    let with = |header: &Value| signed(header, &claims(&json!({})), &secret);
    let saying = |more: &Value| mint("app", KEY, more);
    let without = |name: &str| {
        let mut claims = claims(&json!({}));
        claims.as_object_mut().unwrap().remove(name).expect("a claim");
        signed(&header("app"), &claims, &secret)
    };
    let other_payload = mint("app", KEY, &json!({"chatflow": "sales"}));
    let sha512 = |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &secret), message).as_ref().to_vec();
    let nothing = |_: &[u8]| Vec::new();
    let first = if parts[2].starts_with('A') { 'B' } else { 'A' };
    let unsigned = json!({"alg": "none", "typ": "JWT", "kid": "app"});
    let cases = [
        ("a changed signature", format!("{}.{}.{first}{}", parts[0], parts[1], &parts[2][1..])),
        ("half a signature", good[..good.len() - 21].to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("another payload", format!("{}.{}.{}", parts[0], other_payload.split('.').nth(1).unwrap(), parts[2])),
        ("alg none", signed_by(&unsigned, &claims(&json!({})), nothing)),
        ("alg none, signed", with(&unsigned)),
        ("alg HS512", signed_by(&json!({"alg": "HS512", "kid": "app"}), &claims(&json!({})), sha512)),
        ("alg HS512, signed with HS256", with(&json!({"alg": "HS512", "kid": "app"}))),
        ("alg RS256, signed with HS256", with(&json!({"alg": "RS256", "kid": "app"}))),
        ("crit", with(&json!({"alg": "HS256", "kid": "app", "crit": ["exp"], "exp": 1}))),
        ("an empty crit", with(&json!({"alg": "HS256", "kid": "app", "crit": []}))),
        ("a crit that is no list", with(&json!({"alg": "HS256", "kid": "app", "crit": "exp"}))),
        ("no alg", with(&json!({"typ": "JWT", "kid": "app"}))),
        ("no kid", with(&json!({"alg": "HS256"}))),
        ("an unknown kid", with(&header("nobody"))),
        ("another key's kid", with(&header("second"))),
        ("a publishable key", mint("page", NEW, &json!({}))),
        ("signed with the key itself", signed(&header("app"), &claims(&json!({})), KEY.as_bytes())),
        (
            "signed with the digest",
            signed(&header("app"), &claims(&json!({})), digest::digest(&digest::SHA256, KEY.as_bytes()).as_ref()),
        ),
        ("longer than 15 minutes", saying(&json!({"exp": now() + 1000}))),
        ("longer than 15 minutes, old", saying(&json!({"iat": now() - 1000, "exp": now() + 60}))),
        ("of tomorrow", saying(&json!({"iat": now() + 86_400, "exp": now() + 86_700}))),
        ("another audience", saying(&json!({"aud": "elsewhere"}))),
        ("an unknown claim", saying(&json!({"admin": true}))),
        ("no end", without("exp")),
        ("no beginning", without("iat")),
        ("no audience", without("aud")),
        ("no chatflow", without("chatflow")),
    ];
    let mut answers = Vec::new();
    for (number, (what, token)) in cases.iter().enumerate() {
        // Each from an address of its own: guessing is another matter.
        let address = format!("192.0.2.{number}");
        let refused = ask(&gateway, PREDICT, token, &[("x-forwarded-for", &address), PAGE]);
        assert_eq!(refused.status, 401, "{what}: {}", refused.text());
        refused.assert_refused(401, "invalid_api_key");
        answers.push(refused.json()["message"].clone());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "nobody is told what was wrong: {answers:?}");
    assert!(upstream.seen().is_empty());
    gateway.wait_metric(
        r#"flowgate_auth_failures_total{reason="unknown"}"#,
        f64::from(u8::try_from(cases.len()).unwrap()),
    );
    assert_eq!(ask(&gateway, PREDICT, &good, &[]).status, 200);
}

#[test]
fn a_token_ends_with_its_time() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(""));
    let expired = mint("app", KEY, &json!({"iat": now() - 60, "exp": now() - 1}));
    ask(&gateway, PREDICT, &expired, &[]).assert_refused(401, "invalid_api_key");
    gateway.wait_metric(r#"flowgate_auth_failures_total{reason="expired"}"#, 1.0);
    // A page that goes on with a token that has ended guesses nothing.
    for life in 1..40 {
        let expired = mint("app", KEY, &json!({"iat": now() - 100, "exp": now() - life}));
        ask(&gateway, PREDICT, &expired, &[]).assert_refused(401, "invalid_api_key");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_token_is_for_one_chatflow_which_its_key_may_call() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &(keys("") + &entry("second", SECOND, ", chatflows: [support]")));
    let support = mint("app", KEY, &json!({}));
    ask(&gateway, SALES, &support, &[]).assert_refused(403, "chatflow_not_allowed");
    let beyond_its_key = mint("second", SECOND, &json!({"chatflow": "sales"}));
    for path in [SALES, PREDICT] {
        ask(&gateway, path, &beyond_its_key, &[]).assert_refused(403, "chatflow_not_allowed");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(ask(&gateway, SALES, &mint("app", KEY, &json!({"chatflow": "sales"})), &[]).status, 200);
    gateway.wait_metric("flowgate_rejected_total{rule=\"chatflow_scope\"}", 3.0);
}

#[test]
fn an_offline_token_for_a_page_is_good_from_that_page_alone() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(""));
    let bound = mint("app", KEY, &json!({"origin": PAGE.1}));
    let elsewhere = [("origin", "https://app.example.com.evil.example"), ("origin", "http://app.example.com")];
    for headers in [&[][..], &elsewhere[..1], &elsewhere[1..], &[("origin", "null")]] {
        ask(&gateway, PREDICT, &bound, headers).assert_refused(403, "origin_not_allowed");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(ask(&gateway, PREDICT, &bound, &[PAGE]).status, 200);
}

#[test]
fn a_token_does_not_depend_on_where_its_backend_may_be() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(", allowed_ips: [192.0.2.7]"));
    let visitor = ("x-forwarded-for", "198.51.100.9");
    let key = client::post(gateway.http, PREDICT, &[visitor, ("x-api-key", KEY)], QUESTION);
    key.assert_refused(403, "address_not_allowed");
    assert_eq!(ask(&gateway, PREDICT, &mint("app", KEY, &json!({})), &[visitor]).status, 200);
}

#[test]
fn tokens_of_an_old_secret_count_within_the_grace_of_its_rotation() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &keys(""));
    let of_the_old = mint("app", KEY, &json!({}));
    let of_the_new = mint("app", NEW, &json!({}));
    let statuses = || [&of_the_old, &of_the_new].map(|token| ask(&gateway, PREDICT, token, &[]).status);
    assert_eq!(statuses(), [200, 401]);
    let rotated = |until: &str| {
        format!("keys:\n{}", entry("app", NEW, &format!(", previous: {{ sha256: {}, until: {until} }}", sha256(KEY))))
    };
    put_keys(&gateway, &rotated("2999-01-01T00:00:00Z"));
    assert_eq!(statuses(), [200, 200]);
    // One that is asked for now lives on, even if the old secret asks.
    let asked = client::post(gateway.http, "/api/v1/tokens", &[("x-api-key", KEY)], r#"{"chatflow":"support"}"#);
    let asked = asked.json()["token"].as_str().expect("a token").to_owned();
    put_keys(&gateway, &rotated("2020-01-01T00:00:00Z"));
    assert_eq!(statuses(), [401, 200]);
    assert_eq!(ask(&gateway, PREDICT, &asked, &[]).status, 200);
}

#[test]
fn tokens_die_with_their_key_while_the_gateway_runs() {
    let upstream = Upstream::answering();
    let (app, second) = (entry("app", KEY, ""), entry("second", SECOND, ""));
    let all = format!("keys:\n{app}{second}");
    let gateway = start(&upstream, &all);
    let token = mint("app", KEY, &json!({}));
    let disabled = entry("app", KEY, ", enabled: false");
    let expired = entry("app", KEY, ", expires_at: 2020-01-01T00:00:00Z");
    let other_secret = entry("app", NEW, "");
    for (dead, reason) in [
        (format!("keys:\n{disabled}{second}"), "disabled"),
        (format!("keys:\n{second}"), "unknown"),
        (format!("keys:\n{expired}{second}"), "expired"),
        (format!("keys:\n{other_secret}{second}"), "unknown"),
    ] {
        assert_eq!(ask(&gateway, PREDICT, &token, &[]).status, 200, "before: {reason}");
        let series = format!("flowgate_auth_failures_total{{reason=\"{reason}\"}}");
        let before = gateway.metric(&series);
        put_keys(&gateway, &dead);
        ask(&gateway, PREDICT, &token, &[]).assert_refused(401, "invalid_api_key");
        gateway.wait_metric(&series, before + 1.0);
        assert_eq!(ask(&gateway, PREDICT, &mint("second", SECOND, &json!({})), &[]).status, 200, "{reason}");
        put_keys(&gateway, &all);
    }
}
