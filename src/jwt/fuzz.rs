//! Tokens and key sets, whatever they are and however they are broken.

use std::str;

use super::algorithm::SignatureAlgorithm;
use super::key_set::KeySet;
use super::token::Untrusted;
use crate::fuzzing::{corpus, fuzz};

const WORDS: [&str; 12] = [
    ".",
    "..",
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJIUzI1NiJ9",
    "=",
    "\"kty\":\"RSA\"",
    "\"crv\":\"P-384\"",
    "\"alg\":null",
    "\"key_ops\":[]",
    "\"d\":\"AAAA\"",
    "{\"keys\":[",
    "-_",
];

#[test]
fn fuzz_jwt() {
    let keys = corpus("key-set").iter().filter_map(|text| KeySet::read(text).ok()).max_by_key(KeySet::len).unwrap();
    let good = corpus("jwt");
    let read = |bytes: &[u8]| {
        let token = Untrusted::read(str::from_utf8(bytes).ok()?).ok()?;
        let _ = (token.issuer().is_some(), token.key_id().is_some(), token.has_shared_secret());
        token.signed(&keys, &SignatureAlgorithm::ALL).ok().map(|claims| claims.get("sub").cloned())
    };
    assert_eq!(good.iter().filter(|token| read(token).is_some()).count(), 3, "one of each kind is good");
    fuzz("jwt", &WORDS, |input| {
        if read(input).is_some() {
            assert!(good.iter().any(|token| token == input), "nothing but what was signed is taken for signed");
        }
    });
}

#[test]
fn fuzz_key_set() {
    fuzz("key-set", &WORDS, |input| {
        if let Ok(keys) = KeySet::read(input) {
            assert!((1..=100).contains(&keys.len()));
        }
    });
}
