//! Tokens of others that were given to the process, whichever flows use them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::config::Secret;

/// Credentials that tokens are kept of; with more, all are asked for again.
const MOST: usize = 1000;

/// A token, and what the next one is had with.
#[derive(Debug)]
pub(crate) struct GrantedToken {
    pub(crate) access: Secret,
    /// As it was given with this one.
    pub(crate) refresh: Option<Secret>,
    pub(crate) end: Timestamp,
    /// When there was no answer but a no, and the words.
    pub(crate) refused: Option<(Timestamp, String)>,
}

/// Of one credential. Whoever has the lock asks, and all others wait for what he is given.
type TokenPlace = Arc<tokio::sync::Mutex<Option<GrantedToken>>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct GrantedTokens(Mutex<HashMap<[u8; 32], TokenPlace>>);

impl GrantedTokens {
    /// The place of a credential, which is known by a digest of it.
    pub(crate) fn place(&self, key: &[u8; 32]) -> TokenPlace {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST && !places.contains_key(key) {
            places.clear();
        }
        Arc::clone(places.entry(*key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_and_are_not_endless() {
        let tokens = GrantedTokens::default();
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        let first = tokens.place(&key(0));
        assert!(Arc::ptr_eq(&first, &tokens.place(&key(0))));
        for number in 0..=MOST {
            tokens.place(&key(number));
        }
        assert!(!Arc::ptr_eq(&first, &tokens.place(&key(0))));
    }
}
