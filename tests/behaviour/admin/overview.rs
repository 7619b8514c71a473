//! What is told of a running gateway.

use std::fs;

use serde_json::{Value, json};

use super::{READ, get, read};
use crate::harness::client::{self, Connection};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::issuer::{Issuer, SigningKey, claims};
use crate::harness::ports::nowhere;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256, wait_for};
use crate::telemetry::{PREDICT, QUESTION, STREAM, talking};

fn problem(gateway: &Gateway, about: &str) -> Option<Value> {
    let status = read(gateway, "/api/status");
    status["problems"].as_array().unwrap().iter().find(|problem| problem["about"] == about).cloned()
}

#[test]
fn all_is_well_is_a_sentence() {
    let gateway = Gateway::start(&simple(talking().address));
    let status = read(&gateway, "/api/status");
    assert_eq!(status["sentence"], "All is well: 1 chatflow answered, for 1 key.");
    assert_eq!((&status["state"], &status["phase"]), (&json!("ok"), &json!("running")));
    assert_eq!(status["problems"], json!([]));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn requests_are_told_by_what_became_of_them() {
    let upstream = talking();
    let plans = "plans: { default: { requests: 4/hour, burst: 4 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", plans));
    gateway.predict(QUESTION);
    gateway.predict(r#"{"question":"hi","colour":1}"#);
    client::post(gateway.http, PREDICT, &[("x-api-key", "wrong-key-0123456789abc")], QUESTION);
    for body in [STREAM, QUESTION, QUESTION] {
        let mut connection: Connection = gateway.begin(body);
        connection.read_response().unwrap();
    }
    let told = wait_for("six requests", || {
        let chatflow = read(&gateway, "/api/chatflows")["chatflows"][0].clone();
        (chatflow["requests"] == 6).then_some(chatflow)
    });
    let counts = ["answered", "refused", "limited", "failed", "left"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1, 0, 0], "{told}");
    assert_eq!((told["name"].as_str(), told["upstream"].as_str()), (Some("support"), Some("flowise")));
    assert!(told["first_token_ms"]["p50"].as_u64() <= told["first_token_ms"]["p99"].as_u64(), "{told}");
    assert!(told["first_token_ms"]["p50"].is_u64(), "{told}");
    let key = read(&gateway, "/api/keys?id=app")["keys"][0].clone();
    assert_eq!((&key["requests"]["remaining"], &key["requests"]["limit"]), (&json!(0), &json!(4)), "{key}");
    assert!(key["last_used"].as_str().is_some_and(|time| time.ends_with('Z')), "{key}");
}

#[test]
fn a_failing_chatflow_is_the_sentence() {
    let upstream = Upstream::start(|_, reply| reply.json("500 Internal Server Error", "{}"));
    let gateway = Gateway::start(&simple(upstream.address));
    for _ in 0..4 {
        gateway.predict(QUESTION);
    }
    let problem = wait_for("the problem", || problem(&gateway, "chatflows"));
    assert_eq!(problem["sentence"], "The chatflow support fails: 4 of 4 requests of the last 5 minutes.");
    assert_eq!(problem["severity"], "critical");
    assert_eq!(read(&gateway, "/api/status")["state"], "critical");
}

#[test]
fn an_upstream_that_is_gone_is_told() {
    let nowhere = nowhere();
    let gateway = Gateway::start(&simple(nowhere));
    gateway.predict(QUESTION);
    let problem = wait_for("the problem", || problem(&gateway, "upstreams"));
    let sentence = format!("The upstream flowise cannot be reached: http://{nowhere}.");
    assert_eq!((&problem["sentence"], &problem["severity"]), (&json!(sentence), &json!("critical")));
    let upstream = read(&gateway, "/api/upstreams")["upstreams"][0].clone();
    assert_eq!((&upstream["kind"], &upstream["chatflows"]), (&json!("flowise"), &json!(1)));
    assert_eq!(
        (&upstream["servers"][0]["healthy"], &upstream["servers"][0]["url"]),
        (&json!(false), &json!(format!("http://{nowhere}")))
    );
}

#[test]
fn an_identity_provider_is_told_with_its_last_use_and_its_outage() {
    let (upstream, key) = (talking(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one")]);
    let provider = |url: &str| {
        format!("identity: [ {{ name: staff, issuer: '{url}', audience: [flowgate], chatflows: [support] }} ]")
    };
    let gateway = Gateway::start(&config(upstream.address, "", "", "", &provider(&issuer.url())));
    let told = wait_for("its keys", || {
        let told = read(&gateway, "/api/keys")["providers"][0].clone();
        (told["keys"] == 1).then_some(told)
    });
    assert_eq!(told, json!({ "name": "staff", "issuer": issuer.url(), "keys": 1, "last_used": null }));
    let bearer = format!("Bearer {}", key.token("one", &claims(&issuer.url(), &json!({}))));
    assert_eq!(client::post(gateway.http, PREDICT, &[("authorization", &bearer)], QUESTION).status, 200);
    wait_for("its last use", || read(&gateway, "/api/keys")["providers"][0]["last_used"].is_string().then_some(()));
    assert_eq!(problem(&gateway, "keys"), None);
    // A token with an unknown key makes the gateway ask.
    issuer.set_down(true);
    let unknown = format!("Bearer {}", SigningKey::p256().token("two", &claims(&issuer.url(), &json!({}))));
    client::post(gateway.http, PREDICT, &[("authorization", &unknown)], QUESTION).assert_refused(401, "invalid_token");
    let problem_told = wait_for("the problem", || problem(&gateway, "keys"));
    assert_eq!(problem_told["severity"], "warning");
    assert!(problem_told["sentence"].as_str().unwrap().contains("identity provider staff cannot be read"));

    let nowhere = format!("http://{}", nowhere());
    let gateway = Gateway::start(&config(upstream.address, "", "", "", &provider(&nowhere)));
    let problem_told = wait_for("the problem", || problem(&gateway, "keys"));
    let sentence = "The keys of the identity provider staff cannot be read: its people get 503.";
    assert_eq!((&problem_told["severity"], &problem_told["sentence"]), (&json!("critical"), &json!(sentence)));
    assert_eq!(read(&gateway, "/api/keys")["providers"][0]["keys"], Value::Null);
}

#[test]
fn a_reload_says_what_changed_or_why_it_was_rejected() {
    let upstream = talking();
    let gateway = Gateway::start(&simple(upstream.address));
    let before = read(&gateway, "/api/config");
    assert_eq!((&before["in_force"], &before["reloads"]), (&json!(true), &json!([])));
    let named =
        before["files"].as_array().unwrap().iter().any(|file| file["path"].as_str().unwrap().ends_with("keys.yaml"));
    assert!(named, "{before}");

    let good = fs::read_to_string(gateway.file("flowgate.yaml")).unwrap();
    let other = good.replace(
        "chatflows:\n",
        "chatflows:\n  sales: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000009 }\n",
    );
    gateway.write("flowgate.yaml", &other);
    let told =
        wait_for("the reload", || Some(read(&gateway, "/api/config")).filter(|told| !told["reloads"][0].is_null()));
    assert_eq!(
        (&told["reloads"][0]["result"], &told["reloads"][0]["changes"]),
        (&json!("accepted"), &json!(["chatflows added: sales"]))
    );
    assert_ne!(told["hash"], before["hash"]);

    gateway.write("flowgate.yaml", other.replace("upstream: flowise, id", "upstream: nobody, id"));
    let problem = wait_for("the problem", || problem(&gateway, "config"));
    let sentence = problem["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("What is on disk is not in force: ") && sentence.contains("flowgate.yaml:6:"),
        "{sentence}"
    );
    let told = read(&gateway, "/api/config");
    assert_eq!((&told["in_force"], &told["reloads"][0]["result"]), (&json!(false), &json!("rejected")));
    assert!(told["held"][0]["problem"].as_str().unwrap().contains("no upstream has this name"), "{told}");

    gateway.write("flowgate.yaml", &good);
    let both = format!("{}  - {{ id: second, sha256: {} }}\n", keys(""), sha256("second-key-0123456789ab"));
    gateway.write("keys.yaml", both);
    wait_for("both", || {
        let told = read(&gateway, "/api/config");
        let changes: Vec<String> =
            told["reloads"].as_array()?.iter().map(|reload| reload["changes"].to_string()).collect();
        let has = |what: &str| changes.iter().any(|change| change.contains(what));
        (told["in_force"] == true && has("keys added: second") && has("chatflows removed: sales")).then_some(())
    });
    assert_eq!(problem_free(&gateway), json!([]));
}

fn problem_free(gateway: &Gateway) -> Value {
    read(gateway, "/api/status")["problems"].clone()
}

#[test]
fn keys_that_end_soon_are_told() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(50);
    let keys = format!(
        "{}  - {{ id: passing, sha256: {}, expires_at: '{soon:.0}', chatflows: [support] }}\n",
        keys(""),
        sha256("passing")
    );
    let gateway = Gateway::start_with(&simple(talking().address), &keys, |_| {});
    let problem = problem(&gateway, "keys").expect("a problem");
    assert_eq!(
        (&problem["sentence"], &problem["severity"]),
        (&json!("The key passing ends in 2 days."), &json!("warning"))
    );
    let key = read(&gateway, "/api/keys?id=passing")["keys"][0].clone();
    assert_eq!(
        (&key["ends"], &key["chatflows"], &key["last_used"]),
        (&json!(format!("{soon:.0}")), &json!(["support"]), &Value::Null)
    );
    assert_eq!(read(&gateway, "/api/keys")["total"], 2);
}

#[test]
fn nothing_secret_is_in_any_answer() {
    let upstream = talking();
    let secret = "session-secret-0123456789";
    let config = simple(upstream.address)
        .replace("admin: { ", "session_secret: session-secret-0123456789\nadmin: { token_file: token, ");
    let token = "0123456789abcdef-admin";
    let gateway = Gateway::start_with(&config, &keys(", vars: { tier: hidden-value }"), |folder| {
        fs::write(folder.join("token"), token).unwrap();
    });
    gateway.predict(QUESTION);
    gateway.predict("{");
    let bearer = format!("Bearer {token}");
    for path in READ {
        let response = get(gateway.admin, path, &[("authorization", &bearer)]);
        assert_eq!(response.status, 200);
        let text = response.text();
        for secret in [KEY, &sha256(KEY), "upstream-key", secret, token, "hidden-value"] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
    }
}
