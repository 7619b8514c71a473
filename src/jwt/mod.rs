//! JSON Web Tokens that others have signed (RFC 7515, 7519, 8725), and the public keys by which that is found out (RFC 7517).
//!
//! | file | what it is |
//! |---|---|
//! | [`algorithm`] | how they may be signed: by a private key, never by a secret that two share |
//! | [`token`] | a token, taken apart; its signature |
//! | [`key_set`], [`public_key`] | the keys that an issuer publishes |
//! | [`fault`] | why one does not count |
//! | [`object`] | JSON that two readers cannot understand differently |
//!
//! It knows nothing of who uses it. The gateway's own session tokens are another matter: `keys::token`.

mod algorithm;
mod fault;
#[cfg(test)]
mod fuzz;
mod key_set;
mod object;
mod public_key;
mod token;

pub(crate) use algorithm::SignatureAlgorithm;
pub(crate) use fault::TokenFault;
pub(crate) use key_set::{KeySet, KeySetFault};
pub(crate) use token::{SignedClaims, Untrusted};
