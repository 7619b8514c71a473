//! One key of a set (RFC 7517, 7518, 8037): whether it is one that signatures are checked with, and which.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};

use super::algorithm::{KeyFamily, SignatureAlgorithm};

/// Bits of an RSA modulus: what is shorter can be broken, and what is longer only costs time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a key's id.
const LONGEST_ID: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct PublicKey {
    pub(super) id: Option<Box<str>>,
    family: KeyFamily,
    /// The only one that it is for, if it says so.
    algorithm: Option<SignatureAlgorithm>,
    key: DecodingKey,
}

impl PublicKey {
    /// `None`: it is for something else, or not good enough.
    pub(super) fn read(jwk: &Value) -> Option<Self> {
        let jwk = jwk.as_object()?;
        let algorithm = match jwk.get("alg") {
            None | Some(Value::Null) => None,
            Some(name) => Some(SignatureAlgorithm::named(name.as_str()?)?),
        };
        let id = match jwk.get("kid") {
            None | Some(Value::Null) => None,
            Some(id) => Some(id.as_str().filter(|id| id.len() <= LONGEST_ID)?.into()),
        };
        // A private key that lies open is nobody's proof of anything.
        if !is_for_signatures(jwk) || jwk.contains_key("d") {
            return None;
        }
        let (family, key) = material(jwk)?;
        let fits = algorithm.is_none_or(|algorithm| algorithm.family() == family);
        fits.then_some(Self { id, family, algorithm, key })
    }

    pub(super) fn fits(&self, algorithm: SignatureAlgorithm) -> bool {
        self.family == algorithm.family() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature, in base64, is of that message and by this key.
    pub(super) fn has_signed(&self, message: &str, signature: &str, algorithm: SignatureAlgorithm) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.key, algorithm.of_library()).unwrap_or(false)
    }
}

/// RFC 7517, sections 4.2 and 4.3. Where nothing is said it may be for anything.
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let is_sig = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let verifies = jwk
        .get("key_ops")
        .is_none_or(|operations| operations.as_array().is_some_and(|list| list.contains(&"verify".into())));
    is_sig && verifies
}

fn material(jwk: &Map<String, Value>) -> Option<(KeyFamily, DecodingKey)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let point = |length: usize, family| {
        let is_whole = |name| bytes(name).is_some_and(|bytes| bytes.len() == length);
        let key = DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?;
        (is_whole("x") && is_whole("y")).then_some((family, key))
    };
    match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            let modulus = modulus.get(modulus.iter().position(|byte| *byte != 0)?..)?;
            let zeros = modulus.first()?.leading_zeros() as usize;
            let key = DecodingKey::from_rsa_raw_components(modulus, &exponent);
            RSA_BITS.contains(&(modulus.len() * 8 - zeros)).then_some((KeyFamily::Rsa, key))
        }
        ("EC", Some("P-256")) => point(32, KeyFamily::P256),
        ("EC", Some("P-384")) => point(48, KeyFamily::P384),
        ("OKP", Some("Ed25519")) if bytes("x")?.len() == 32 => {
            Some((KeyFamily::Ed25519, DecodingKey::from_ed_components(text("x")?).ok()?))
        }
        _ => None,
    }
}
