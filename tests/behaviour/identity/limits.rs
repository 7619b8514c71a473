//! Limits by subject, what was used, and wrong tokens.

use std::process::Command;

use serde_json::{Value, json};

use super::{PLANS, STAFF, ask, reason, start, text, token};
use crate::harness::client::{self, get};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::issuer::{SigningKey, key_set};
use crate::harness::predictions::{PREDICT, QUESTION};
use crate::harness::tokens::now;
use crate::harness::upstream::Upstream;
use crate::harness::wait_for;

#[test]
fn each_subject_has_the_whole_plan_and_may_ask_what_is_left() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows: [support, sales], plan: small");
    let of = |subject: &str| token(&key, &json!({"sub": subject, "jti": subject}));
    let (ann, bob) = (of("ann"), of("bob"));
    assert_eq!(ask(&gateway, &ann).status, 200);
    assert_eq!(ask(&gateway, &token(&key, &json!({"jti": "again"}))).status, 200, "another token of the same person");
    let limited = ask(&gateway, &ann);
    limited.assert_refused(429, "rate_limited");
    let line = gateway.access_line(limited.header("x-request-id").unwrap());
    assert_eq!((&line["key"], &line["plan"], &line["subject"]), (&json!("staff"), &json!("small"), &json!("ann")));
    assert_eq!(ask(&gateway, &bob).status, 200, "somebody else is not limited by it");
    let left =
        |token: &str| get(gateway.http, "/api/v1/usage", &[("authorization", &format!("Bearer {token}"))]).json();
    let (of_ann, of_bob) = (left(&ann), left(&bob));
    assert_eq!(
        (&of_ann["key"], &of_ann["plan"], &of_ann["requests"]["remaining"]),
        (&json!("staff"), &json!("small"), &json!(0))
    );
    assert_eq!(of_bob["requests"]["remaining"], 1);
    assert!(of_bob.get("tokens").is_none(), "what all of them use is not theirs to know: {of_bob}");
    gateway.wait_metric(r#"flowgate_limited_total{key="staff",limit="requests"}"#, 1.0);
    // A key of a plan of that name is somebody else.
    assert_eq!(gateway.predict(QUESTION).status, 200);
}

#[test]
fn what_people_use_is_counted_under_the_provider() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let provider = format!("[{{ {STAFF}, chatflows: [support] }}]");
    let gateway = Gateway::start_with(&text(&upstream, "", &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
        std::fs::create_dir(folder.join("state")).unwrap();
    });
    for subject in ["ann", "bob"] {
        assert_eq!(ask(&gateway, &token(&key, &json!({"sub": subject}))).status, 200);
    }
    wait_for("the file of what was used", || {
        let usage = Command::new(BINARY)
            .args(["keys", "usage", "--json"])
            .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
            .output()
            .unwrap();
        let usage: Value = serde_json::from_slice(&usage.stdout).ok()?;
        let staff = usage["keys"].as_array()?.iter().find(|entry| entry["id"] == "staff")?;
        (staff["requests"] == 2).then_some(())
    });
}

#[test]
fn a_change_of_the_rules_counts_at_once_for_tokens_that_are_out() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows: [support]");
    let token = token(&key, &json!({"groups": ["a"]}));
    assert_eq!(ask(&gateway, &token).status, 200);
    let change = |more: &str| {
        let accepted = r#"flowgate_config_reloads_total{file="config",result="accepted"}"#;
        let before = gateway.metric(accepted);
        gateway.write("new", text(&upstream, "", &format!("[{{ {STAFF}{more} }}]")));
        std::fs::rename(gateway.file("new"), gateway.file("flowgate.yaml")).unwrap();
        gateway.wait_metric(accepted, before + 1.0);
    };
    change(", chatflows: [sales]");
    ask(&gateway, &token).assert_refused(403, "chatflow_not_allowed");
    change(", chatflows: [support], require: { groups: [b] }");
    assert_eq!(reason(&gateway, &ask(&gateway, &token)), "require");
    change(", chatflows: [support], plan: small");
    assert!(ask(&gateway, &token).header("ratelimit-policy").unwrap().starts_with("\"small\";"));
    let other = SigningKey::p256();
    let secrets = r#"flowgate_config_reloads_total{file="secrets",result="accepted"}"#;
    gateway.write("new", key_set(&[other.jwk("one")]));
    std::fs::rename(gateway.file("new"), gateway.file("jwks.json")).unwrap();
    gateway.wait_metric(secrets, 1.0);
    assert_eq!(reason(&gateway, &ask(&gateway, &token)), "signature", "its key is gone");
    // A file that is no key set changes nothing.
    gateway.write("new", "{}");
    std::fs::rename(gateway.file("new"), gateway.file("jwks.json")).unwrap();
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="secrets",result="rejected"}"#, 1.0);
    let good = other.token("one", &crate::harness::issuer::claims(crate::harness::issuer::LOGIN, &json!({})));
    assert_eq!(ask(&gateway, &good).status, 200);
}

#[test]
fn forged_tokens_count_as_wrong_keys_and_honest_ones_do_not() {
    let (upstream, key, attacker) = (Upstream::answering(), SigningKey::p256(), SigningKey::p256());
    let text = text(&upstream, "", &format!("[{{ {STAFF}, chatflows: [support] }}]"));
    let few = PLANS.replace("auth_failures: null", "auth_failures: { free: 3, then: 1/hour, delay: 0s }");
    let gateway = Gateway::start_with(&text.replace(PLANS, &few), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    });
    for number in 0..20 {
        for claims in [json!({"exp": now() - 3600 - number}), json!({"aud": format!("other-{number}")})] {
            ask(&gateway, &token(&key, &claims)).assert_refused(401, "invalid_token");
        }
    }
    let statuses: Vec<_> =
        (0..8).map(|number| ask(&gateway, &token(&attacker, &json!({"jti": number.to_string()}))).status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429, 429, 429]);
    assert_eq!(ask(&gateway, &token(&key, &json!({}))).status, 200, "a good one passes all the same");
    ask(&gateway, &token(&key, &json!({"exp": now() - 60}))).assert_refused(401, "invalid_token");
    let unknown = client::post(gateway.http, PREDICT, &[("x-api-key", "some-other-key-0123")], QUESTION);
    unknown.assert_refused(429, "rate_limited");
}
