//! Finds the key behind a digest. Built once per load of the keys file, then only read.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;

use super::{Digest, Key};

/// All keys of one load.
#[derive(Clone, Default)]
pub struct KeyStore {
    keys: Vec<Key>,
    by_prefix: HashMap<u64, Vec<Entry>, BuildHasherDefault<AsIs>>,
    by_id: HashMap<Arc<str>, usize>,
}

/// A key that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// For [`KeyStore::key`].
    pub index: usize,
    pub slot: Slot,
}

/// Which of a key's two secrets was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Current,
    /// The old one, during a rotation.
    Previous,
}

/// Why there is no key. Clients get one answer for all of these; the difference is for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("unknown key")]
    Unknown,
    /// The key, or the old secret of a rotation.
    #[error("expired key")]
    Expired,
    #[error("disabled key")]
    Disabled,
}

/// What a key is at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Active,
    Expired,
    Disabled,
}

/// How many keys are in which [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub active: usize,
    pub expired: usize,
    pub disabled: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    digest: Digest,
    found: Found,
}

impl KeyStore {
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        let mut by_prefix: HashMap<u64, Vec<Entry>, _> = HashMap::default();
        for (index, key) in keys.iter().enumerate() {
            let previous = key.previous.as_ref().map(|(digest, _)| (digest, Slot::Previous));
            for (digest, slot) in std::iter::once((&key.digest, Slot::Current)).chain(previous) {
                let entry = Entry { digest: *digest, found: Found { index, slot } };
                by_prefix.entry(prefix(digest)).or_default().push(entry);
            }
        }
        let by_id = keys.iter().enumerate().map(|(index, key)| (Arc::clone(&key.id), index)).collect();
        Self { keys, by_prefix, by_id }
    }

    /// The key with that id, whatever its state.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<(usize, &Key)> {
        let index = *self.by_id.get(id)?;
        self.keys.get(index).map(|key| (index, key))
    }

    /// The key with that digest, if it counts at that time.
    ///
    /// The whole digest is compared in constant time, and an unknown one is compared too, so that neither the answer
    /// nor its time says how much of a guess was right.
    ///
    /// `now` is asked for only if the key or its secret has an end.
    pub fn find(&self, digest: &Digest, now: impl FnOnce() -> Timestamp) -> Result<Found, Denied> {
        const NOBODY: &[Entry] = &[Entry { digest: [0; 32], found: Found { index: usize::MAX, slot: Slot::Current } }];
        let candidates = self.by_prefix.get(&prefix(digest)).map_or(NOBODY, Vec::as_slice);
        let mut found = None;
        for entry in candidates {
            if verify_slices_are_equal(&entry.digest, digest).is_ok() {
                found = Some(entry.found);
            }
        }
        // The dummy has no key, so even its own digest finds nothing.
        let found = found.ok_or(Denied::Unknown)?;
        let key = self.keys.get(found.index).ok_or(Denied::Unknown)?;
        if key.enabled && key.expires_at.is_none() && found.slot == Slot::Current {
            return Ok(found);
        }
        let now = now();
        key.check(now)?;
        if found.slot == Slot::Previous && !key.is_rotating(now) {
            return Err(Denied::Expired);
        }
        Ok(found)
    }

    #[must_use]
    pub fn key(&self, index: usize) -> Option<&Key> {
        self.keys.get(index)
    }

    /// In the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    #[must_use]
    pub fn counts(&self, now: Timestamp) -> Counts {
        self.keys.iter().fold(Counts::default(), |mut counts, key| {
            match key.state(now) {
                State::Active => counts.active += 1,
                State::Expired => counts.expired += 1,
                State::Disabled => counts.disabled += 1,
            }
            counts
        })
    }
}

impl fmt::Debug for KeyStore {
    /// Without the digests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Key {
    /// A disabled key stays disabled, whether it has expired or not.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        if !self.enabled {
            State::Disabled
        } else if self.expires_at.is_some_and(|end| end <= now) {
            State::Expired
        } else {
            State::Active
        }
    }

    /// Whether it counts at that time.
    pub fn check(&self, now: Timestamp) -> Result<(), Denied> {
        match self.state(now) {
            State::Active => Ok(()),
            State::Expired => Err(Denied::Expired),
            State::Disabled => Err(Denied::Disabled),
        }
    }

    /// Whether the old secret of a rotation still counts.
    #[must_use]
    pub fn is_rotating(&self, now: Timestamp) -> bool {
        self.previous.is_some_and(|(_, until)| now < until)
    }
}

fn prefix(digest: &Digest) -> u64 {
    digest.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Takes the first 8 bytes of a digest for its hash: they are uniform already.
///
/// No secret seed is needed. What is in the map comes from the operator, so a client cannot fill a bucket; it can
/// only choose which bucket to look into, and to aim at `n` bits of a SHA-256 it has to try `2^n` keys.
#[derive(Clone, Copy, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    /// Not called for `u64`; right, if slow, should that ever change.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::secret;

    fn key(id: &str) -> Key {
        Key {
            id: id.into(),
            digest: secret::digest(id),
            previous: None,
            kind: crate::keys::Kind::Secret,
            allowed_origins: crate::config::Origins::default(),
            plan: 0,
            chatflows: None,
            allowed_ips: Vec::new(),
            upsert: false,
            vars: serde_json::Map::new(),
            expires_at: None,
            enabled: true,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_digest_only() {
        let store = KeyStore::new(vec![key("a"), key("b")]);
        let found = store.find(&secret::digest("b"), || at(0)).unwrap();
        assert_eq!(found, Found { index: 1, slot: Slot::Current });
        assert_eq!(&*store.key(1).unwrap().id, "b");
        assert!(store.key(2).is_none());
        assert_eq!(store.find(&secret::digest("c"), || at(0)), Err(Denied::Unknown));
        let mut near = secret::digest("a");
        near[31] ^= 1;
        assert_eq!(store.find(&near, || at(0)), Err(Denied::Unknown));
    }

    #[test]
    fn the_dummy_is_no_key() {
        assert_eq!(KeyStore::new(vec![key("a")]).find(&[0; 32], || at(0)), Err(Denied::Unknown));
        assert_eq!(KeyStore::default().find(&[0; 32], || at(0)), Err(Denied::Unknown));
    }

    #[test]
    fn digests_with_a_common_prefix_are_told_apart() {
        let (mut one, mut other) = (key("a"), key("b"));
        (one.digest, other.digest) = ([7; 32], [7; 32]);
        other.digest[31] = 8;
        let store = KeyStore::new(vec![one, other.clone()]);
        assert_eq!(store.find(&other.digest, || at(0)).unwrap().index, 1);
        assert_eq!(store.find(&[7; 32], || at(0)).unwrap().index, 0);
    }

    #[test]
    fn the_old_secret_counts_until_its_time() {
        let rotated = Key { previous: Some((secret::digest("old"), at(100))), ..key("new") };
        let store = KeyStore::new(vec![rotated]);
        let found = store.find(&secret::digest("old"), || at(99)).unwrap();
        assert_eq!(found, Found { index: 0, slot: Slot::Previous });
        assert_eq!(store.find(&secret::digest("old"), || at(100)), Err(Denied::Expired));
        assert_eq!(store.find(&secret::digest("new"), || at(100)).unwrap().slot, Slot::Current);
    }

    #[test]
    fn disabled_and_expired_keys_are_denied_with_both_secrets() {
        let previous = Some((secret::digest("old"), at(1000)));
        let disabled = Key { enabled: false, previous, ..key("disabled") };
        let expired = Key { expires_at: Some(at(100)), ..key("expired") };
        let store = KeyStore::new(vec![disabled, expired, key("active")]);
        assert_eq!(store.find(&secret::digest("disabled"), || at(0)), Err(Denied::Disabled));
        assert_eq!(store.find(&secret::digest("old"), || at(0)), Err(Denied::Disabled));
        assert!(store.find(&secret::digest("expired"), || at(99)).is_ok());
        assert_eq!(store.find(&secret::digest("expired"), || at(100)), Err(Denied::Expired));
        assert_eq!(store.counts(at(99)), Counts { active: 2, expired: 0, disabled: 1 });
        assert_eq!(store.counts(at(100)), Counts { active: 1, expired: 1, disabled: 1 });
    }

    #[test]
    fn no_digest_is_printed() {
        let key = Key { digest: [171; 32], previous: Some(([205; 32], at(0))), ..key("a") };
        let printed = format!("{:?} {key:?}", KeyStore::new(vec![key.clone()]));
        assert!(printed.contains("\"a\""));
        assert!(!printed.contains("171") && !printed.contains("205"), "{printed}");
    }
}
