//! What keys have used, by their ids, from their first request on: a key that nobody uses takes no room.
//!
//! Each policy has a table of its own, in which its requests find a key's allowance without a lock. What is not in it yet
//! is looked up by the key's id in the table of all policies, so that two of them count together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::allowance::{Allowance, CountedUnit, Used};
use super::plan::PlanLimits;
use super::quota::QuotaCount;
use crate::keys::KeyStore;
use crate::state::sparse::SparseTable;

/// See the module. One for the process.
#[derive(Debug, Default)]
pub(super) struct KnownKeys(Mutex<KnownKeyTable>);

#[derive(Debug, Default)]
struct KnownKeyTable {
    /// Of the policy that was bound last.
    in_force: Arc<KeyPlans>,
    /// Of keys that were used.
    used: HashMap<Box<str>, Allowance>,
}

/// A policy's keys and what they are allowed.
#[derive(Debug, Default)]
struct KeyPlans {
    keys: Arc<KeyStore>,
    /// At the index that a key names, or the last one.
    plans: Vec<Arc<PlanLimits>>,
}

/// The limits of one policy's keys.
#[derive(Debug)]
pub(super) struct KeyAllowances {
    known: Arc<KnownKeys>,
    plans: Arc<KeyPlans>,
    /// Of the key with the same index.
    found: SparseTable<Allowance>,
}

impl KeyPlans {
    fn of(&self, index: usize) -> Option<(&str, &Arc<PlanLimits>)> {
        let key = self.keys.key(index)?;
        Some((&key.id, self.plans.get(key.plan).or(self.plans.last())?))
    }
}

impl KnownKeys {
    /// Of a policy that comes into force. What keys have used that it does not have is forgotten.
    pub(super) fn bind(self: &Arc<Self>, keys: &Arc<KeyStore>, plans: Vec<Arc<PlanLimits>>) -> KeyAllowances {
        let plans = Arc::new(KeyPlans { keys: Arc::clone(keys), plans });
        let mut table = self.table();
        let carried = |(id, before): (Box<str>, Allowance)| {
            let (index, _) = keys.by_id(&id)?;
            let allowance = Allowance::new(plans.of(index)?.1, &id, Some(&before));
            Some((id, allowance))
        };
        table.used = std::mem::take(&mut table.used).into_iter().filter_map(carried).collect();
        table.in_force = Arc::clone(&plans);
        KeyAllowances { known: Arc::clone(self), plans, found: SparseTable::new(keys.keys().len()) }
    }

    /// What has been counted in the running day or month, by id.
    pub(super) fn counted(&self, what: CountedUnit, now: Timestamp) -> BTreeMap<String, QuotaCount> {
        let table = self.table();
        let counted = |id: &str, allowance: &Allowance| Some((id.to_owned(), allowance.used.counted(what, now)?));
        table.used.iter().filter_map(|(id, allowance)| counted(id, allowance)).collect()
    }

    /// Calls `take` with what the key of that id has used, if the policy in force has one.
    pub(super) fn take_up(&self, id: &str, take: impl FnOnce(&Used)) {
        let mut table = self.table();
        let plans = Arc::clone(&table.in_force);
        if let Some((_, plan)) = plans.keys.by_id(id).and_then(|(index, _)| plans.of(index)) {
            take(&table.allowance(&plans, id, plan).used);
        }
    }

    /// A panic under the lock leaves a table of which each entry is good.
    fn table(&self) -> MutexGuard<'_, KnownKeyTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownKeyTable {
    /// What a key is allowed by one of these plans.
    fn allowance(&mut self, of: &Arc<KeyPlans>, id: &str, plan: &Arc<PlanLimits>) -> Allowance {
        let before = self.used.get(id);
        let allowance = Allowance::new(plan, id, before);
        // A request under a policy that is over must not bring back its plan.
        if before.is_none() || Arc::ptr_eq(of, &self.in_force) {
            self.used.insert(id.into(), allowance.clone());
        }
        allowance
    }
}

impl KeyAllowances {
    /// Of the key with that index.
    pub(super) fn get(&self, index: u32) -> Option<&Allowance> {
        let index = index as usize;
        let (id, plan) = self.plans.of(index)?;
        self.found.get_or_init(index, || self.known.table().allowance(&self.plans, id, plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;
    use crate::state::limits::Exceeded;
    use crate::state::limits::tests::plan;

    fn keys(ids: &[&str]) -> Arc<KeyStore> {
        Arc::new(ids.iter().map(|id| Key::new(id, crate::keys::secret::digest(id))).collect())
    }

    fn once_a_day(per: u64, previous: Option<&PlanLimits>) -> Arc<PlanLimits> {
        Arc::new(PlanLimits::new(&plan(1, per, 1, 8), previous, &Arc::default()))
    }

    fn refused(keys: &KeyAllowances, index: u32) -> Option<Exceeded> {
        keys.get(index).unwrap().admit().now().decided().0.err()
    }

    #[test]
    fn a_key_takes_room_once_it_is_used() {
        let (known, plan) = (Arc::new(KnownKeys::default()), once_a_day(60, None));
        let bound = known.bind(&keys(&["a", "b", "c"]), vec![plan]);
        assert_eq!(known.table().used.len(), 0);
        assert_eq!(refused(&bound, 1), None);
        assert_eq!(refused(&bound, 1), Some(Exceeded::Rate { retry_after: 60 }));
        assert_eq!(known.table().used.keys().map(|id| &**id).collect::<Vec<_>>(), ["b"]);
        assert!(bound.get(3).is_none());
    }

    #[test]
    fn a_policy_that_is_over_does_not_bring_back_its_plan() {
        let known = Arc::new(KnownKeys::default());
        let slow = once_a_day(600, None);
        let before = known.bind(&keys(&["a", "b"]), vec![Arc::clone(&slow)]);
        let now = known.bind(&keys(&["b", "a"]), vec![once_a_day(60, Some(&slow))]);
        // Under the former policy first, with its own rate.
        assert_eq!(refused(&before, 1), None);
        assert_eq!(refused(&now, 0), None);
        assert_eq!(refused(&now, 1), None);
        assert_eq!(refused(&before, 0), None);
        let next = known.bind(&keys(&["a", "b"]), vec![once_a_day(60, Some(&now.get(0).unwrap().plan))]);
        for index in [0, 1] {
            assert_eq!(refused(&next, index), Some(Exceeded::Rate { retry_after: 60 }), "{index}");
        }
    }
}
