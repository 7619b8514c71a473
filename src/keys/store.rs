//! Finds the key behind a digest. Built once per load of the keys file, then only read.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;

use super::file::AllowedNamesRef;
use super::hash_index::HashIndex;
use super::key::Key;
use super::secret::Digest;
use super::written::WrittenKeys;
use crate::uuid::is_uuid;

/// All keys of one load.
#[derive(Clone, Default)]
pub struct KeyStore {
    keys: Vec<Key>,
    /// Where each stands in the file; shorter where that is not known.
    lines: Vec<u32>,
    /// Of each key twice its index, and one more for its previous secret.
    by_digest: HashIndex,
    by_id: HashIndex,
    /// Ids in tokens are chosen by whoever sends them.
    hasher: RandomState,
}

impl PartialEq for KeyStore {
    /// The same keys in the same lines.
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && self.lines == other.lines
    }
}

/// A key that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundKey {
    /// For [`KeyStore::key`].
    pub index: usize,
    pub slot: SecretSlot,
}

/// Which of a key's two secrets was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretSlot {
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
pub enum KeyState {
    Active,
    Expired,
    Disabled,
}

/// How many keys are in which [`KeyState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyCounts {
    pub active: usize,
    pub expired: usize,
    pub disabled: usize,
}

impl FromIterator<Key> for KeyStore {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        let mut store = Self::default();
        keys.into_iter().for_each(|key| store.push(key));
        store
    }
}

/// With the lines in which they stand.
impl FromIterator<(Option<u32>, Key)> for KeyStore {
    fn from_iter<T: IntoIterator<Item = (Option<u32>, Key)>>(keys: T) -> Self {
        let mut store = Self::default();
        keys.into_iter().for_each(|(line, key)| store.push_at(line.unwrap_or(0), key));
        store
    }
}

impl KeyStore {
    /// Adds a key whose id and digests nobody else has.
    pub(super) fn push(&mut self, key: Key) {
        let Ok(index) = u32::try_from(self.keys.len()) else { return };
        let id = self.hasher.hash_one(&*key.id);
        let digests = [Some(key.digest), key.previous().map(|(digest, _)| digest)];
        self.keys.push(key);
        let Self { keys, by_digest, by_id, hasher, lines: _ } = self;
        let key_at = |index: u32| keys.get(index as usize);
        by_id.insert(id, index, |index| key_at(index).map_or(0, |key| hasher.hash_one(&*key.id)));
        for (number, digest) in (2 * index..).zip(digests) {
            let Some(digest) = digest else { continue };
            by_digest
                .insert(prefix(&digest), number, |number| digest_at(keys, number).map_or(0, |found| prefix(&found)));
        }
    }

    /// The same, of a key that stands in that line of the file.
    pub(super) fn push_at(&mut self, line: u32, key: Key) {
        self.lines.resize(self.keys.len(), 0);
        self.lines.push(line);
        self.push(key);
    }

    /// The line of the key with that index, where it is known.
    #[must_use]
    pub fn line(&self, index: usize) -> Option<u32> {
        self.lines.get(index).copied().filter(|line| *line > 0)
    }

    /// Makes room.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.keys.reserve(keys);
        self.lines.reserve(keys);
    }

    /// Gives back what room is left.
    pub(super) fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    /// The key with that id, whatever its state.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<(usize, &Key)> {
        let mut candidates = self.by_id.candidates(self.hasher.hash_one(id));
        candidates.find_map(|index| {
            self.keys.get(index as usize).filter(|key| *key.id == *id).map(|key| (index as usize, key))
        })
    }

    /// Whose digest that is, whatever its state.
    fn holder(&self, digest: &Digest) -> Option<FoundKey> {
        let mut found = None;
        let mut compared = 0;
        for number in self.by_digest.candidates(prefix(digest)) {
            let Some(known) = digest_at(&self.keys, number) else { continue };
            compared += 1;
            if verify_slices_are_equal(&known, digest).is_ok() {
                found = Some(found_at(number));
            }
        }
        if compared == 0 {
            let _ = verify_slices_are_equal(&NOBODY, digest);
        }
        found
    }

    /// The index of the key that has that digest, and in which of its two places; whether or not it counts.
    pub(crate) fn with_digest(&self, digest: &Digest) -> Option<FoundKey> {
        self.holder(digest)
    }

    /// The key with that digest, if it counts at that time.
    ///
    /// The whole digest is compared in constant time, and an unknown one is compared too, so that neither the answer
    /// nor its time says how much of a guess was right.
    ///
    /// `now` is asked for only if the key or its secret has an end.
    pub fn find(&self, digest: &Digest, now: impl FnOnce() -> Timestamp) -> Result<FoundKey, Denied> {
        let found = self.holder(digest).ok_or(Denied::Unknown)?;
        let key = self.keys.get(found.index).ok_or(Denied::Unknown)?;
        if key.enabled && key.expires_at.is_none() && found.slot == SecretSlot::Current {
            return Ok(found);
        }
        let now = now();
        key.check(now)?;
        if found.slot == SecretSlot::Previous && !key.is_rotating(now) {
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

    /// Ids of keys whose running streams are to end.
    pub(crate) fn cut_off(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| !key.enabled && key.end_streams).map(|key| &*key.id)
    }

    pub(super) fn into_keys(self) -> Vec<Key> {
        self.keys
    }

    /// These keys without those that `written` has revoked: which are not in it, or are disabled, have ended or have
    /// another secret there. Nothing that it grants is added.
    #[must_use]
    pub fn without_revoked(&self, written: &WrittenKeys) -> Self {
        let left = self.keys.iter().enumerate();
        left.filter_map(|(index, key)| Some((self.line(index), written.leaves(key)?))).collect::<Self>()
    }

    /// The same keys under a configuration that calls plans and chatflows otherwise. `plans`: how they were called.
    ///
    /// # Errors
    /// What it does not have, and a key that needs it.
    pub fn under(&self, plans: &[Arc<str>], names: &AllowedNamesRef<'_>) -> Result<Self, Unknown> {
        let moved = |key: &Key| {
            let unknown = |what, name: &str| Unknown { key: key.id.clone(), what, name: name.into() };
            let plan = plans.get(key.plan).map_or("", |plan| &**plan);
            let index = names.plans.iter().position(|known| **known == *plan).ok_or_else(|| unknown("plan", plan))?;
            let is_known = |name: &&Arc<str>| names.chatflows.contains(name) || (names.wildcard && is_uuid(name));
            match key.chatflows.iter().flat_map(|list| list.iter()).find(|name| !is_known(name)) {
                Some(name) => Err(unknown("chatflow", name)),
                None => Ok(key.on_plan(index)),
            }
        };
        self.keys.iter().enumerate().map(|(index, key)| Ok((self.line(index), moved(key)?))).collect()
    }

    #[must_use]
    pub fn counts(&self, now: Timestamp) -> KeyCounts {
        self.keys.iter().fold(KeyCounts::default(), |mut counts, key| {
            match key.state(now) {
                KeyState::Active => counts.active += 1,
                KeyState::Expired => counts.expired += 1,
                KeyState::Disabled => counts.disabled += 1,
            }
            counts
        })
    }
}

/// What a key needs and a configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub key: Box<str>,
    /// `plan` or `chatflow`.
    pub what: &'static str,
    pub name: Box<str>,
}

/// No key's digest.
const NOBODY: Digest = [0; 32];

fn digest_at(keys: &[Key], number: u32) -> Option<Digest> {
    let FoundKey { index, slot } = found_at(number);
    let key = keys.get(index)?;
    match slot {
        SecretSlot::Current => Some(key.digest),
        SecretSlot::Previous => key.previous().map(|(digest, _)| digest),
    }
}

fn found_at(number: u32) -> FoundKey {
    FoundKey {
        index: (number / 2) as usize,
        slot: if number.is_multiple_of(2) { SecretSlot::Current } else { SecretSlot::Previous },
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
    pub fn state(&self, now: Timestamp) -> KeyState {
        if !self.enabled {
            KeyState::Disabled
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Whether it counts at that time.
    pub fn check(&self, now: Timestamp) -> Result<(), Denied> {
        match self.state(now) {
            KeyState::Active => Ok(()),
            KeyState::Expired => Err(Denied::Expired),
            KeyState::Disabled => Err(Denied::Disabled),
        }
    }

    /// Whether the old secret of a rotation still counts.
    #[must_use]
    pub fn is_rotating(&self, now: Timestamp) -> bool {
        self.previous().is_some_and(|(_, until)| now < until)
    }
}

/// The first 8 bytes are as good as a hash: they are uniform already.
///
/// No secret seed is needed. What is in the table comes from the operator, so a client cannot fill it; it can only
/// choose where to look, and to aim at `n` bits of a SHA-256 it has to try `2^n` keys.
fn prefix(digest: &Digest) -> u64 {
    digest.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
