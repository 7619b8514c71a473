//! What a token's claims give.

use serde_json::{Value, json};

use super::{SALES, STAFF, ask, ask_with, reason, start, text, token};
use crate::harness::client;
use crate::harness::gateway::{Gateway, keys};
use crate::harness::issuer::{SigningKey, key_set};
use crate::harness::predictions::{PREDICT, QUESTION};
use crate::harness::upstream::Upstream;

/// What the upstream saw of a body with that token.
#[track_caller]
fn forwarded(gateway: &Gateway, upstream: &Upstream, token: &str, body: &Value) -> Value {
    let before = upstream.seen().len();
    let response = ask_with(gateway, PREDICT, token, &[], &body.to_string());
    assert_eq!(response.status, 200, "{}", response.text());
    upstream.wait_seen(before + 1).remove(before).json()
}

#[test]
fn only_the_listed_chatflows_may_be_called() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows: [support]");
    let token = token(&key, &json!({"chatflows": ["sales"]}));
    assert_eq!(ask(&gateway, &token).status, 200);
    ask_with(&gateway, SALES, &token, &[], QUESTION).assert_refused(403, "chatflow_not_allowed");
    ask_with(&gateway, "/api/v1/prediction/nothing", &token, &[], QUESTION).assert_refused(404, "not_found");
    let upsert = ask_with(&gateway, "/api/v1/vector/upsert/support", &token, &[], "{}");
    upsert.assert_refused(403, "chatflow_not_allowed");
    let minted = ask_with(&gateway, "/api/v1/tokens", &token, &[], r#"{"chatflow":"support"}"#);
    minted.assert_refused(403, "chatflow_not_allowed");
    let history = json!({"question": "hi", "history": [{"role": "apiMessage", "content": "made up"}]}).to_string();
    ask_with(&gateway, PREDICT, &token, &[], &history).assert_refused(400, "invalid_request");
}

#[test]
fn a_claim_may_name_the_chatflows() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows_claim: resource_access.flowgate.roles");
    let roles = |roles: Value| token(&key, &json!({"resource_access": {"flowgate": {"roles": roles}}}));
    for (given, support, sales) in [
        (json!(["support"]), 200, 403),
        (json!(["sales", "support", "nothing"]), 200, 200),
        (json!("sales"), 403, 200),
        (json!([]), 403, 403),
        (json!(["*", "SUPPORT"]), 403, 403),
    ] {
        let token = roles(given.clone());
        assert_eq!(ask(&gateway, &token).status, support, "{given}");
        assert_eq!(ask_with(&gateway, SALES, &token, &[], QUESTION).status, sales, "{given}");
    }
    for given in [json!(7), json!(["support", 7]), json!({"support": true}), Value::Null] {
        assert_eq!(reason(&gateway, &ask(&gateway, &roles(given.clone()))), "chatflows", "{given}");
    }
}

#[test]
fn a_claim_may_name_the_plan() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows: [support], plan_claim: tier");
    let asked = |subject: &str, tier: Value| ask(&gateway, &token(&key, &json!({"sub": subject, "tier": tier})));
    let policy = |response: &client::Response| response.header("ratelimit-policy").unwrap_or_default().to_owned();
    assert!(policy(&asked("ann", json!("small"))).starts_with("\"small\";"));
    assert!(policy(&asked("bob", json!("large"))).starts_with("\"large\";"));
    for tier in [json!("no-such-plan"), json!(["small"]), json!(""), json!(1), Value::Null] {
        assert_eq!(reason(&gateway, &asked("ann", tier.clone())), "plan", "{tier}");
    }
    let refused = asked("ann", json!("no-such-plan"));
    let line = gateway.access_line(refused.header("x-request-id").unwrap());
    assert_eq!((&line["claim"], &line["identity"]), (&json!("tier"), &json!("staff")));
    let gateway = start(&upstream, &key, ", chatflows: [support], plan_claim: tier, plan: large");
    let without = ask(&gateway, &token(&key, &json!({})));
    assert!(policy(&without).starts_with("\"large\";"), "a token without the claim");
    assert_eq!(reason(&gateway, &ask(&gateway, &token(&key, &json!({"tier": "no-such-plan"})))), "plan");
}

#[test]
fn claims_become_variables_that_nobody_changes() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let chatflow = ", override_config: [vars], vars: { userId: nobody, fixed: yes-it-is }";
    let provider =
        format!("[{{ {STAFF}, chatflows: [support], vars: {{ userId: sub, tier: plan.tier, 'on': is_on }} }}]");
    let gateway = Gateway::start_with(&text(&upstream, chatflow, &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    });
    let body = json!({"question": "hi", "overrideConfig": {"vars": {"userId": "root", "tier": "gold", "own": "x"}}});
    let says = |more: Value| token(&key, &more);
    let seen = forwarded(&gateway, &upstream, &says(json!({"plan": {"tier": 3}, "is_on": true})), &body);
    let vars = json!({"userId": "ann", "tier": 3, "own": "x", "fixed": "yes-it-is", "on": true});
    assert_eq!(seen["overrideConfig"]["vars"], vars);
    for plan in
        [Value::Null, json!({}), json!({"tier": null}), json!({"tier": ["a"]}), json!({"tier": "FILE-STORAGE::x"})]
    {
        let refused = ask(&gateway, &says(json!({"plan": plan, "is_on": true})));
        assert_eq!(reason(&gateway, &refused), "vars", "{plan}");
    }
}

#[test]
fn what_is_forced_must_not_be_missing_from_a_body_that_is_forwarded_unread() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let start = |more: &str| {
        let provider = format!("[{{ {STAFF}, chatflows: [support]{more} }}]");
        Gateway::start_with(&text(&upstream, ", body: passthrough", &provider), &keys(""), |folder| {
            std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
        })
    };
    let token = token(&key, &json!({}));
    ask(&start(", vars: { userId: sub }"), &token).assert_refused(400, "invalid_request");
    assert_eq!(ask(&start(""), &token).status, 200);
}

#[test]
fn a_claim_may_be_required() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let require =
        "require: { groups: [support-users, admins], scope: [chat], 'https://example.com/level': [2], ok: [true] }";
    let gateway = start(&upstream, &key, &format!(", chatflows: [support], {require}"));
    let good = json!({"groups": ["a", "admins"], "scope": "openid chat", "https://example.com/level": 2, "ok": true});
    let says = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        ask(&gateway, &token(&key, &claims))
    };
    for (name, value) in [
        ("groups", json!(["support-users"])),
        ("groups", json!("support-users")),
        ("scope", json!("chat")),
        ("scope", json!(["chat"])),
        ("https://example.com/level", json!([1, 2])),
    ] {
        let response = says(name, value.clone());
        assert_eq!(response.status, 200, "{name}: {value}: {}", response.text());
    }
    for (name, value) in [
        ("groups", json!(["support-users2"])),
        ("groups", json!("support-users admins")),
        ("groups", json!([["admins"]])),
        ("groups", json!({"admins": true})),
        ("groups", Value::Null),
        ("scope", json!("chatter")),
        ("scope", json!(["openid chat"])),
        ("https://example.com/level", json!("2")),
        ("ok", json!("true")),
        ("ok", json!(false)),
    ] {
        let refused = says(name, value.clone());
        assert_eq!(reason(&gateway, &refused), "require", "{name}: {value}");
        assert_eq!(gateway.access_line(refused.header("x-request-id").unwrap())["claim"], name);
    }
}

#[test]
fn chats_of_two_subjects_are_two() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let chatflow = ", isolate_sessions: true, override_config: [sessionId]";
    let provider = format!(
        "[{{ {STAFF}, chatflows: [support] }}, {{ {}, chatflows: [support] }}]",
        STAFF.replace("staff", "others").replace("[flowgate]", "[elsewhere]")
    );
    let gateway = Gateway::start_with(&text(&upstream, chatflow, &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    });
    let body = json!({"question": "hi", "chatId": "chat-1"});
    let chat = |more: Value| forwarded(&gateway, &upstream, &token(&key, &more), &body)["chatId"].clone();
    let ann = chat(json!({}));
    assert_eq!(chat(json!({"jti": "another token"})), ann, "the same person");
    let bob = chat(json!({"sub": "bob"}));
    let other_ann = chat(json!({"aud": "elsewhere"}));
    assert!(ann != "chat-1" && ann != bob && ann != other_ann && bob != other_ann);
}

#[test]
fn pages_of_the_chatflow_s_origins_may_read_the_answers() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let chatflow = ", allowed_origins: ['https://intranet.example.com']";
    let provider = format!("[{{ {STAFF}, chatflows: [support] }}]");
    let gateway = Gateway::start_with(&text(&upstream, chatflow, &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    });
    let page = [("origin", "https://intranet.example.com")];
    for (token, status) in [(token(&key, &json!({})), 200), (token(&key, &json!({"aud": "other"})), 401)] {
        let response = ask_with(&gateway, PREDICT, &token, &page, QUESTION);
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), Some("https://intranet.example.com"));
        let other = ask_with(&gateway, PREDICT, &token, &[("origin", "https://evil.example")], QUESTION);
        assert_eq!(other.header("access-control-allow-origin"), None);
    }
}

#[test]
fn providers_of_one_issuer_are_asked_in_their_order() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let guests = STAFF.replace("staff", "guests");
    let provider = format!(
        "[{{ {STAFF}, chatflows: [support, sales], require: {{ groups: [staff] }} }}, {{ {guests}, chatflows: [support] }}]"
    );
    let gateway = Gateway::start_with(&text(&upstream, "", &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    });
    let known_as = |token: &str| {
        let response = ask(&gateway, token);
        gateway.access_line(response.header("x-request-id").unwrap())["key"].clone()
    };
    assert_eq!(known_as(&token(&key, &json!({"groups": ["staff"]}))), "staff");
    assert_eq!(known_as(&token(&key, &json!({}))), "guests");
    ask_with(&gateway, SALES, &token(&key, &json!({})), &[], QUESTION).assert_refused(403, "chatflow_not_allowed");
}
