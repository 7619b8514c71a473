//! Session tokens signed as an application's backend would, from what is documented and not from the gateway's code:
//! a JWT whose HS256 secret is HMAC-SHA256("flowgate session token v1"), keyed with the SHA-256 of the whole key.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What tokens of that key are signed with.
pub(crate) fn signing_secret(key: &str) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    hmac_sha256(digest.as_ref(), b"flowgate session token v1")
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// Header and claims, signed with HMAC-SHA256 and that secret, whatever the header says.
pub(crate) fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    signed_by(header, claims, |message| hmac_sha256(secret, message))
}

pub(crate) fn signed_by(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
    let signature = part(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The header of tokens of the key with that id.
pub(crate) fn header(id: &str) -> Value {
    json!({ "alg": "HS256", "typ": "JWT", "kid": id })
}

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Claims for `support` from now on, for five minutes, and over them what `more` says.
pub(crate) fn claims(more: &Value) -> Value {
    let mut claims = json!({ "aud": "flowgate", "iat": now(), "exp": now() + 300, "chatflow": "support" });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

/// A good token of the key with that id, with those claims over the usual ones.
pub(crate) fn mint(id: &str, key: &str, more: &Value) -> String {
    signed(&header(id), &claims(more), &signing_secret(key))
}
