//! One key of a set (RFC 7517, 7518, 8037): whether it is one that signatures are checked with, and which.

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{KeyCurve, SignatureAlgorithm};

/// Bits of an RSA modulus: what is shorter can be broken, and what is longer only costs time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a key's id.
const LONGEST_ID: usize = 256;
/// What a point begins with of which both coordinates follow (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct PublicKey {
    pub(super) id: Option<Box<str>>,
    /// By each algorithm that it is for: taken apart once, and not for each token.
    checks: Box<[(SignatureAlgorithm, ParsedPublicKey)]>,
}

impl PublicKey {
    /// `None`: it is for something else, or not good enough.
    pub(super) fn read(jwk: &Value) -> Option<Self> {
        let jwk = jwk.as_object()?;
        // The only one that it is for, if it says so.
        let only = match jwk.get("alg") {
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
        let material = Material::read(jwk)?;
        let is_for = |algorithm: &SignatureAlgorithm| only.is_none_or(|only| only == *algorithm);
        let algorithms = SignatureAlgorithm::ALL.into_iter().filter(is_for);
        let checks: Box<[_]> = algorithms.filter_map(|one| Some((one, material.to_check(one)?))).collect();
        (!checks.is_empty()).then_some(Self { id, checks })
    }

    pub(super) fn fits(&self, algorithm: SignatureAlgorithm) -> bool {
        self.checks.iter().any(|(fitting, _)| *fitting == algorithm)
    }

    /// Whether the signature, in base64, is of that message and by this key.
    pub(super) fn has_signed(&self, message: &str, signature: &str, algorithm: SignatureAlgorithm) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let check = self.checks.iter().find(|(fitting, _)| *fitting == algorithm);
        check.is_some_and(|(_, key)| key.verify_sig(message.as_bytes(), &signature).is_ok())
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

/// What a key is made of.
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// A point of a curve, as the library reads it.
    Point(KeyCurve, Vec<u8>),
}

impl Material {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let point = |length: usize, curve| {
            let whole = |name| bytes(name).filter(|bytes| bytes.len() == length);
            Some(Self::Point(curve, [vec![UNCOMPRESSED], whole("x")?, whole("y")?].concat()))
        };
        match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (n, e) = (without_zeros(&bytes("n")?)?, without_zeros(&bytes("e")?)?);
                let zeros = n.first()?.leading_zeros() as usize;
                RSA_BITS.contains(&(n.len() * 8 - zeros)).then_some(Self::Rsa(RsaPublicKeyComponents { n, e }))
            }
            ("EC", Some("P-256")) => point(32, KeyCurve::P256),
            ("EC", Some("P-384")) => point(48, KeyCurve::P384),
            ("EC", Some("P-521")) => point(66, KeyCurve::P521),
            ("OKP", Some("Ed25519")) => bytes("x").filter(|x| x.len() == 32).map(|x| Self::Point(KeyCurve::Ed25519, x)),
            _ => None,
        }
    }

    /// `None`: it is for other algorithms, or is no key.
    fn to_check(&self, algorithm: SignatureAlgorithm) -> Option<ParsedPublicKey> {
        match self {
            Self::Rsa(components) => components.to_parsed_public_key(algorithm.rsa()?).ok(),
            Self::Point(curve, point) => ParsedPublicKey::new(algorithm.on_curve(*curve)?, point).ok(),
        }
    }
}

/// Without those in front that mean nothing.
fn without_zeros(number: &[u8]) -> Option<Vec<u8>> {
    let begin = number.iter().position(|byte| *byte != 0)?;
    number.get(begin..).map(<[u8]>::to_vec)
}
