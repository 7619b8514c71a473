//! A token in its compact form (RFC 7515, section 7.1): taken apart, and its signature.
//!
//! What its header says of keys (`jku`, `x5u`, `jwk`, `x5c`) is not looked at: an issuer's keys are where the operator says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::SignatureAlgorithm;
use super::fault::TokenFault;
use super::key_set::KeySet;
use super::object::object;

/// Bytes of a token. Those that name very many groups have ten thousand.
const LONGEST_TOKEN: usize = 16 << 10;
/// Bytes of its first part, of which a certificate or two are the most.
const LONGEST_HEADER: usize = 8 << 10;
/// Tokens for access and for signing in; others of the same issuer, such as those that end a session, are for something
/// else (RFC 8725, section 3.11).
const KINDS: [&str; 2] = ["jwt", "at+jwt"];

/// What a token says of itself, whoever made it.
pub(crate) struct Untrusted<'a> {
    /// Header and claims, as they were signed.
    message: &'a str,
    signature: &'a str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// What a token says that its issuer has signed. Made by [`Untrusted::signed`] alone.
#[derive(Clone, Copy)]
pub(crate) struct SignedClaims<'a>(&'a Map<String, Value>);

/// A token is a credential, whole; what it says is somebody's own.
impl fmt::Debug for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untrusted([redacted])")
    }
}

impl fmt::Debug for SignedClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedClaims([redacted])")
    }
}

impl<'a> SignedClaims<'a> {
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }
}

impl<'a> Untrusted<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, TokenFault> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenFault::Malformed);
        }
        let malformed = || TokenFault::Malformed;
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
        if header.len() > LONGEST_HEADER || claims.contains('.') {
            return Err(TokenFault::Malformed);
        }
        let part = |part: &str| object(&URL_SAFE_NO_PAD.decode(part).ok()?);
        let (header, claims) = part(header).zip(part(claims)).ok_or_else(malformed)?;
        Ok(Self { message, signature, header, claims })
    }

    /// Whether it is signed with a secret that two share, as the gateway's own tokens are.
    pub(crate) fn has_shared_secret(&self) -> bool {
        self.header.get("alg").is_some_and(|name| name == "HS256")
    }

    /// The name of its key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// How it is signed, if its header is one that is understood.
    pub(crate) fn algorithm(&self) -> Result<SignatureAlgorithm, TokenFault> {
        // RFC 7515, section 4.1.11: nothing that must be understood is. RFC 7797: such a payload is no base64.
        if self.header.contains_key("crit") || self.header.contains_key("b64") {
            return Err(TokenFault::Critical);
        }
        match self.header.get("kid") {
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(TokenFault::Malformed),
        }
        let kind = match self.header.get("typ") {
            None => None,
            Some(kind) => Some(kind.as_str().ok_or(TokenFault::Kind)?.to_ascii_lowercase()),
        };
        let is_ours = |kind: &str| KINDS.contains(&kind.strip_prefix("application/").unwrap_or(kind));
        if kind.is_some_and(|kind| !is_ours(&kind)) {
            return Err(TokenFault::Kind);
        }
        let name = self.header.get("alg").and_then(Value::as_str);
        name.and_then(SignatureAlgorithm::named).ok_or(TokenFault::Algorithm)
    }

    /// Its claims, if one of those keys has signed it, by one of those algorithms.
    pub(crate) fn signed(&self, keys: &KeySet, allowed: &[SignatureAlgorithm]) -> Result<SignedClaims<'_>, TokenFault> {
        let algorithm = self.algorithm()?;
        if !allowed.contains(&algorithm) {
            return Err(TokenFault::Algorithm);
        }
        keys.check((self.message, self.signature), algorithm, self.key_id())?;
        Ok(SignedClaims(&self.claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let token = ["eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJhbm4ifQ", "c2lnbmF0dXJl"].join(".");
        let read = Untrusted::read(&token).unwrap();
        assert_eq!(format!("{read:?}"), "Untrusted([redacted])");
    }
}
