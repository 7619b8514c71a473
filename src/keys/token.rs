//! Session tokens: what an application's backend hands to one of its pages, so that the page needs no key.
//!
//! A token is a JWT (RFC 7519), signed with HS256 and nothing else. Its signing secret descends from the key's own
//! digest, so a backend can make tokens without asking, every replica understands them, and they die with their key.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Denied, Digest, Key, KeyKind, KeyStore};
use crate::config::{Origins, is_reserved};

/// Longest life of a token, in seconds.
pub const LONGEST_LIFE: i64 = 15 * 60;
/// Bytes of a token.
const LONGEST: usize = 8 * 1024;
/// Bytes of a user's, a session's or a chatflow's name.
const LONGEST_NAME: usize = 256;
/// Seconds by which the clock of a backend may be ahead.
const LEEWAY: i64 = 30;
const AUDIENCE: &str = "flowgate";
/// Separates this use of a digest from every other.
const LABEL: &[u8] = b"flowgate session token v1";

/// What a token says. The key that it descends from is the caller's key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub aud: String,
    /// Seconds since the epoch.
    pub iat: i64,
    pub exp: i64,
    /// The chatflow's public name, the only one it may call.
    pub chatflow: String,
    /// The origin of the page it was made for; `None`: it counts wherever it is sent from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The user; chats of two subjects are kept apart, and from those of nobody in particular.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Forced into `overrideConfig.sessionId`, and the only chat there is.
    #[serde(rename = "sessionId", default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Forced into `overrideConfig.vars`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
    /// Tells two tokens apart; of no further meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

impl std::fmt::Debug for Claims {
    /// Without what the application says of its user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("chatflow", &self.chatflow).finish_non_exhaustive()
    }
}

impl Claims {
    /// For that chatflow, from now on.
    #[must_use]
    pub fn new(chatflow: &str, now: Timestamp, life: i64) -> Self {
        Self {
            aud: AUDIENCE.to_owned(),
            iat: now.as_second(),
            exp: now.as_second() + life.clamp(1, LONGEST_LIFE),
            chatflow: chatflow.to_owned(),
            origin: None,
            subject: None,
            session_id: None,
            vars: Map::new(),
            jti: None,
        }
    }

    /// What is wrong with what it says, whoever made it; nothing of the times, which are the clock's matter.
    #[must_use]
    pub fn fault(&self) -> Option<ClaimFault> {
        let names = [
            ("chatflow", Some(&self.chatflow)),
            ("sessionId", self.session_id.as_ref()),
            ("sub", self.subject.as_ref()),
            ("jti", self.jti.as_ref()),
        ];
        let mut ill_named = names.into_iter().filter(|(_, name)| !name.is_none_or(|name| is_name(name)));
        if let Some((claim, _)) = ill_named.next() {
            return Some(ClaimFault { claim, wanted: NAME });
        }
        if !self.origin.as_ref().is_none_or(|origin| is_origin(origin)) {
            return Some(ClaimFault {
                claim: "origin",
                wanted: "the origin of a page, such as https://app.example.com",
            });
        }
        let are_plain =
            self.vars.iter().all(|(name, value)| !is_reserved(name) && !value.is_array() && !value.is_object());
        (!are_plain).then_some(ClaimFault { claim: "vars", wanted: VARS })
    }
}

/// A claim that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimFault {
    pub claim: &'static str,
    /// What it must be, for people.
    pub wanted: &'static str,
}

/// What a name must be, for people.
pub const NAME: &str = "a string of 1 to 256 bytes without control characters";
/// What variables must be, as Flowise's are.
pub const VARS: &str = "an object of strings, numbers and booleans";

/// Whether a credential may be a token: three parts, the first a JSON object in base64. A key that was brought along
/// may look like that as well.
#[must_use]
pub fn is_token(credential: &str) -> bool {
    credential.starts_with("eyJ") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whether a text can name a user, a session or a chatflow.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// One exact origin.
fn is_origin(text: &str) -> bool {
    is_name(text) && !text.contains('*') && Origins::default().add(text).is_ok()
}

/// Makes a token of a key. `None`: the claims cannot be written as JSON, which maps and strings always can.
#[must_use]
pub fn sign(key: &Key, claims: &Claims) -> Option<String> {
    let header = Header { kid: Some(key.id.to_string()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret(&key.digest).as_ref())).ok()
}

/// The key behind a token, and what the token says, if both count at that time.
///
/// Whatever is wrong with it, clients get one answer; the reason is for the metric.
pub fn verify(keys: &KeyStore, token: &str, now: Timestamp) -> Result<(usize, Claims), Denied> {
    if token.len() > LONGEST {
        return Err(Denied::Unknown);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Denied::Unknown)?;
    // What must be understood and is not, RFC 7515, section 4.1.11: nothing is.
    if header.crit.is_some() {
        return Err(Denied::Unknown);
    }
    let (index, key) = header.kid.and_then(|id| keys.by_id(&id)).ok_or(Denied::Unknown)?;
    if key.kind != KeyKind::Secret {
        return Err(Denied::Unknown);
    }
    let previous = key.previous().filter(|_| key.is_rotating(now)).map(|(digest, _)| digest);
    let claims = [Some(key.digest), previous]
        .into_iter()
        .flatten()
        .find_map(|digest| read(token, &digest).transpose())
        .unwrap_or(Err(Denied::Unknown))?;
    key.check(now)?;
    let (now, life) = (now.as_second(), claims.exp.saturating_sub(claims.iat));
    if claims.exp <= now {
        return Err(Denied::Expired);
    }
    if claims.fault().is_some() {
        return Err(Denied::Unknown);
    }
    if claims.iat > now.saturating_add(LEEWAY) || !(1..=LONGEST_LIFE).contains(&life) {
        return Err(Denied::Unknown);
    }
    Ok((index, claims))
}

/// `Ok(None)`: not signed with this secret.
fn read(token: &str, digest: &Digest) -> Result<Option<Claims>, Denied> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["aud", "exp"]);
    // Times are looked at by the caller's clock.
    validation.validate_exp = false;
    match jsonwebtoken::decode(token, &DecodingKey::from_secret(secret(digest).as_ref()), &validation) {
        Ok(data) => Ok(Some(data.claims)),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Ok(None),
        Err(_) => Err(Denied::Unknown),
    }
}

/// HMAC-SHA256 of a label, keyed with the SHA-256 of the whole key.
fn secret(digest: &Digest) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, digest), LABEL)
}

#[cfg(test)]
mod tests;
