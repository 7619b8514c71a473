//! Which keys a load has changed, by their ids.

use std::sync::Arc;

use super::{Key, KeyStore, KeyTerms};

/// Ids that are named; more are counted.
const MOST_NAMED: usize = 20;

/// What has become of keys between two loads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyChanges {
    pub(crate) added: ChangedIds,
    /// Another secret, plan, right or end; also one that is switched on again.
    pub(crate) changed: ChangedIds,
    /// No longer there, or switched off.
    pub(crate) revoked: ChangedIds,
}

/// Ids of keys, as a log line tells them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangedIds {
    named: Vec<Box<str>>,
    total: usize,
}

impl KeyChanges {
    /// Plans are those of the configuration that each load belongs to.
    pub(crate) fn between(
        (before, plans_before): (&KeyStore, &[Arc<str>]),
        (after, plans_after): (&KeyStore, &[Arc<str>]),
    ) -> Self {
        let mut changes = Self::default();
        for key in after.keys() {
            match before.by_id(&key.id).map(|(_, old)| old) {
                None => changes.added.push(key),
                Some(old) if old.enabled && !key.enabled => changes.revoked.push(key),
                Some(old) => {
                    let has_its_plan = plans_before.get(old.plan) == plans_after.get(key.plan);
                    if !has_its_plan || key.digest != old.digest || !has_the_same_rights(key, old) {
                        changes.changed.push(key);
                    }
                }
            }
        }
        before.keys().iter().filter(|old| after.by_id(&old.id).is_none()).for_each(|old| changes.revoked.push(old));
        changes
    }

    /// Ids of keys that are named.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        [&self.added, &self.changed, &self.revoked].into_iter().flat_map(|ids| ids.named.iter().map(|id| &**id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whichever index their plans have.
fn has_the_same_rights(key: &Key, old: &Key) -> bool {
    if key.plan == old.plan { key.has_terms_of(old) } else { **key == KeyTerms { plan: key.plan, ..(**old).clone() } }
}

impl ChangedIds {
    fn push(&mut self, key: &Key) {
        self.total += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(key.id.clone());
        }
    }

    /// `None`: there are none.
    pub(crate) fn told(&self) -> Option<String> {
        let more = self.total - self.named.len();
        let names = self.named.join(", ");
        match (self.total, more) {
            (0, _) => None,
            (_, 0) => Some(names),
            _ => Some(format!("{names} and {more} more")),
        }
    }
}
