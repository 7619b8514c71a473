//! The keys that an issuer publishes.

use aws_lc_rs::digest::{SHA256, digest};

use super::algorithm::SignatureAlgorithm;
use super::fault::TokenFault;
use super::object::object;
use super::public_key::PublicKey;

/// Keys of a set; issuers have two or three, and large ones a few more of tenants that share it.
const MOST_KEYS: usize = 100;
/// Keys that one token is tried with, where it does not name one or several have its name.
const MOST_TRIED: usize = 8;

/// A JSON Web Key Set: those of its keys that signatures are checked with. Two from the same text are equal.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Box<[PublicKey]>,
    /// Of the text.
    digest: [u8; 32],
}

/// Why a text is no set of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub(crate) enum KeySetFault {
    Shape,
    TooMany,
    Nothing,
}

impl KeySetFault {
    /// For people.
    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::Shape => "expected a JSON Web Key Set: a JSON object with the list `keys`",
            Self::TooMany => "there are more than 100 keys in it",
            Self::Nothing => {
                "it has no key to check signatures with: RSA of at least 2048 bits, EC P-256, P-384 or P-521, or OKP Ed25519, \
                 public and not for encryption"
            }
        }
    }
}

impl KeySet {
    /// # Errors
    /// There is no key in it that could be used.
    pub(crate) fn read(json: &[u8]) -> Result<Self, KeySetFault> {
        let set = object(json).ok_or(KeySetFault::Shape)?;
        let listed = set.get("keys").and_then(|keys| keys.as_array()).ok_or(KeySetFault::Shape)?;
        if listed.len() > MOST_KEYS {
            return Err(KeySetFault::TooMany);
        }
        let keys: Box<[_]> = listed.iter().filter_map(PublicKey::read).collect();
        if keys.is_empty() {
            return Err(KeySetFault::Nothing);
        }
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, json).as_ref());
        Ok(Self { keys, digest: sum })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of the keys has signed the message. One that is named is looked for among those of that name, and among
    /// those without any.
    pub(super) fn check(
        &self,
        message: (&str, &str),
        algorithm: SignatureAlgorithm,
        id: Option<&str>,
    ) -> Result<(), TokenFault> {
        let is_named = |key: &&PublicKey| id.is_some() && key.id.as_deref() == id;
        let mut named = self.keys.iter().filter(is_named).peekable();
        if named.peek().is_some() {
            return try_each(named, message, algorithm, TokenFault::Algorithm);
        }
        let others = self.keys.iter().filter(|key| id.is_none() || key.id.is_none());
        let tried = try_each(others, message, algorithm, TokenFault::UnknownKey);
        tried.map_err(|fault| if id.is_some() { TokenFault::UnknownKey } else { fault })
    }
}

/// `without`: what is wrong if no key is for that algorithm.
fn try_each<'a>(
    keys: impl Iterator<Item = &'a PublicKey>,
    (message, signature): (&str, &str),
    algorithm: SignatureAlgorithm,
    without: TokenFault,
) -> Result<(), TokenFault> {
    let mut fitting = keys.filter(|key| key.fits(algorithm)).take(MOST_TRIED).peekable();
    if fitting.peek().is_none() {
        return Err(without);
    }
    if fitting.any(|key| key.has_signed(message, signature, algorithm)) { Ok(()) } else { Err(TokenFault::Signature) }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for KeySet {}
