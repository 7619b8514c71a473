//! An identity provider: it publishes keys as it is told, and signs whatever it is given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::tokens::{now, signed_by};
use super::upstream::Upstream;

/// The issuer of tokens whose keys are in a file.
pub(crate) const LOGIN: &str = "https://login.example.com";

pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn p521() -> Self {
        Self::P521(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::P521(_) => "ES512",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The public part, as a provider publishes it.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": name, "x": text(x), "y": text(y) })
        };
        let mut jwk = match self {
            Self::Rsa(key) => {
                let (modulus, exponent) = rsa_parts(key.public_key().as_ref());
                json!({ "kty": "RSA", "n": text(&modulus), "e": text(&exponent) })
            }
            Self::P256(key) => curve("P-256", key.public_key().as_ref()),
            Self::P384(key) => curve("P-384", key.public_key().as_ref()),
            Self::P521(key) => curve("P-521", key.public_key().as_ref()),
            Self::Ed25519(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref()) }),
        };
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Self::P256(key) | Self::P384(key) | Self::P521(key) => {
                key.sign(&random, message).expect("signed").as_ref().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with that header over the usual one.
    pub(crate) fn token_with(&self, id: &str, header: &Value, claims: &Value) -> String {
        let usual = json!({ "alg": self.algorithm(), "typ": "JWT", "kid": id });
        signed_by(&over(usual, header), claims, |message| self.sign(message))
    }

    pub(crate) fn token(&self, id: &str, claims: &Value) -> String {
        self.token_with(id, &json!({}), claims)
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_parts(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    /// The content of the element that begins here, and what follows.
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            short @ 0..0x80 => (usize::from(short), &der[2..]),
            long => {
                let (length, rest) = der[2..].split_at(usize::from(long & 0x7f));
                (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        rest.split_at(length)
    }
    let (numbers, _) = element(der);
    let (modulus, rest) = element(numbers);
    let (exponent, _) = element(rest);
    let start = usize::from(modulus[0] == 0);
    (modulus[start..].to_vec(), exponent.to_vec())
}

/// Claims of Ann for five minutes, and over them what `more` says; null takes one out.
pub(crate) fn claims(issuer: &str, more: &Value) -> Value {
    over(json!({ "iss": issuer, "aud": "flowgate", "sub": "ann", "iat": now(), "exp": now() + 300 }), more)
}

fn over(mut object: Value, more: &Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        match value {
            Value::Null => _ = fields.remove(name),
            value => _ = fields.insert(name.clone(), value.clone()),
        }
    }
    object
}

pub(crate) fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A provider that is asked: a document, and keys.
pub(crate) struct Issuer {
    server: Upstream,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    keys: Mutex<String>,
    /// What it calls itself, if that is another name.
    name: Mutex<Option<String>>,
    is_down: AtomicBool,
}

impl Issuer {
    pub(crate) fn start(keys: &[Value]) -> Self {
        let said = Arc::new(Said { keys: Mutex::new(key_set(keys)), ..Said::default() });
        let saying = Arc::clone(&said);
        let server = Upstream::start(move |seen, reply| {
            let url = format!("http://{}", seen.header("host").expect("a host"));
            match &*seen.path {
                _ if saying.is_down.load(Ordering::SeqCst) => reply.json("503 Service Unavailable", "{}"),
                "/.well-known/openid-configuration" => {
                    let name = saying.name.lock().unwrap().clone().unwrap_or_else(|| url.clone());
                    let document = json!({ "issuer": name, "jwks_uri": format!("{url}/keys") });
                    reply.json("200 OK", &document.to_string());
                }
                "/keys" => reply.json("200 OK", &saying.keys.lock().unwrap()),
                _ => reply.json("404 Not Found", "{}"),
            }
        });
        Self { server, said }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        *self.said.keys.lock().unwrap() = key_set(keys);
    }

    pub(crate) fn publish_text(&self, text: &str) {
        text.clone_into(&mut self.said.keys.lock().unwrap());
    }

    pub(crate) fn call_itself(&self, name: &str) {
        *self.said.name.lock().unwrap() = Some(name.to_owned());
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.said.is_down.store(is_down, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub(crate) fn readings(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.path == "/keys").count()
    }
}
