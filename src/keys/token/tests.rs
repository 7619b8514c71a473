use serde_json::json;

use super::*;
use crate::keys::secret;

const SECRET: &str = "fg_sk_of_the_tests";

fn key(id: &str, secret: &str) -> Key {
    Key::new(id, secret::digest(secret))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn store() -> KeyStore {
    KeyStore::from_iter([key("other", "other"), key("app", SECRET)])
}

#[test]
fn a_token_says_what_it_was_made_for_while_it_lives() {
    let keys = store();
    let mut claims = Claims::new("support", at(1000), 60);
    claims.subject = Some("anna".to_owned());
    claims.vars = json!({"plan": "pro"}).as_object().unwrap().clone();
    let token = sign(keys.key(1).unwrap(), &claims).unwrap();
    assert!(is_token(&token));
    assert_eq!(verify(&keys, &token, at(1059)), Ok((1, claims)));
    assert_eq!(verify(&keys, &token, at(1060)), Err(Denied::Expired));
    assert_eq!(verify(&keys, &token, at(900)), Err(Denied::Unknown), "made in the future");
}

/// As the offline scripts of the examples print it; computed with OpenSSL, so that ours cannot drift unseen.
const OF_A_BACKEND: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImFwcCJ9.\
    eyJhdWQiOiJmbG93Z2F0ZSIsImlhdCI6MTAwMCwiZXhwIjoxMDYwLCJjaGF0ZmxvdyI6InN1cHBvcnQiLCJzdWIiOiJhbm5hIn0.\
    Kz5xR851iuo6Utpxs4kDPeq5BiUN9SeZZyL_P4X4Bng";

#[test]
fn a_token_of_a_backend_is_read() {
    let (index, claims) = verify(&store(), OF_A_BACKEND, at(1001)).unwrap();
    assert_eq!((index, &*claims.chatflow, claims.subject.as_deref()), (1, "support", Some("anna")));
}

#[test]
fn tokens_die_with_their_key() {
    let claims = Claims::new("support", at(1000), 60);
    let token = sign(&key("app", SECRET), &claims).unwrap();
    let verified = |key: Key, now: i64| verify(&KeyStore::from_iter([key]), &token, at(now)).map(|(index, _)| index);
    assert_eq!(verified(key("app", SECRET), 1001), Ok(0));
    assert_eq!(verified(key("app", SECRET).with(|terms| terms.enabled = false), 1001), Err(Denied::Disabled));
    assert_eq!(
        verified(key("app", SECRET).with(|terms| terms.expires_at = Some(at(1001))), 1001),
        Err(Denied::Expired)
    );
    assert_eq!(
        verified(key("app", SECRET).with(|terms| terms.kind = KeyKind::Publishable), 1001),
        Err(Denied::Unknown)
    );
    assert_eq!(verified(key("renamed", SECRET), 1001), Err(Denied::Unknown));
    let rotated = key("app", "new").with(|terms| terms.set_previous(Some((secret::digest(SECRET), at(1010)))));
    assert_eq!(verified(rotated.clone(), 1009), Ok(0));
    assert_eq!(verified(rotated, 1010), Err(Denied::Unknown));
}

#[test]
fn whatever_is_wrong_is_refused() {
    let keys = store();
    let key = keys.key(1).unwrap();
    let claims = Claims::new("support", at(1000), 60);
    let good = sign(key, &claims).unwrap();
    let by = |algorithm: Algorithm, kid: Option<&str>, claims: &Value| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret(&key.digest).as_ref())).unwrap()
    };
    let body = |change: Value| {
        let mut body = serde_json::to_value(&claims).unwrap();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let ours = |change: Value| by(Algorithm::HS256, Some("app"), &body(change));
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiYXBwIn0";
    let payload = good.split('.').nth(1).unwrap();
    for (what, token) in [
        ("another algorithm", by(Algorithm::HS512, Some("app"), &body(json!({})))),
        ("no key", by(Algorithm::HS256, None, &body(json!({})))),
        ("another key's name", by(Algorithm::HS256, Some("other"), &body(json!({})))),
        ("no algorithm", format!("{none}.{payload}.")),
        (
            "a changed signature",
            format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" }),
        ),
        ("a longer life", ours(json!({"exp": 1000 + LONGEST_LIFE + 1}))),
        ("no life", ours(json!({"exp": 1000}))),
        ("another audience", ours(json!({"aud": "elsewhere"}))),
        ("an unknown claim", ours(json!({"admin": true}))),
        ("an empty session", ours(json!({"sessionId": ""}))),
        ("variables that are no values", ours(json!({"vars": {"a": {"$ne": 1}}}))),
        ("variables under JavaScript's own names", ours(json!({"vars": {"__proto__": 1}}))),
        ("a name that ends a line", ours(json!({"sub": "a\nb"}))),
        ("an ill-typed claim", ours(json!({"sessionId": {"$ne": null}}))),
        ("no token", "eyJ.eyJ.x".to_owned()),
    ] {
        assert!(verify(&keys, &token, at(1000)).is_err(), "{what}");
    }
    assert!(verify(&keys, &ours(json!({})), at(1001)).is_ok());
}
