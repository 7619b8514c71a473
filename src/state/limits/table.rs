//! What is remembered of callers whom no configuration names, bounded however many there are.
//!
//! Sharded, so that workers seldom meet. When it is full, newcomers share a fixed number of entries until old ones are
//! forgotten. Hashes are keyed: nobody can choose whom to share with.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::visitor::Visitor;

/// Visitors remembered at once; 150 bytes each, more or less.
pub(super) const MOST_VISITORS: usize = 100_000;
const POOLS: u64 = 4096;
const SHARDS: u64 = 64;

type VisitorShard<T> = HashMap<Visitor, T>;

/// See the module.
#[derive(Debug)]
pub(super) struct VisitorTable<T> {
    shards: Box<[Mutex<VisitorShard<T>>]>,
    hasher: RandomState,
    /// Entries that are no pools.
    visitors: AtomicUsize,
}

#[derive(Debug)]
pub(super) enum VisitorEntry<T> {
    Own(T),
    /// Together with other newcomers.
    Pooled(T),
}

impl<T> Default for VisitorTable<T> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), visitors: AtomicUsize::new(0) }
    }
}

impl<T: Clone + Default> VisitorTable<T> {
    /// What is remembered of a visitor, from now on if not before.
    pub(super) fn entry(&self, visitor: Visitor) -> VisitorEntry<T> {
        let hash = self.hasher.hash_one(visitor);
        {
            let mut shard = self.shard(hash);
            if let Some(known) = shard.get(&visitor) {
                return VisitorEntry::Own(known.clone());
            }
            if self.reserve() {
                return VisitorEntry::Own(shard.entry(visitor).or_default().clone());
            }
        }
        let pool = Visitor::Pool(u16::try_from(hash % POOLS).unwrap_or(0));
        VisitorEntry::Pooled(self.shard(self.hasher.hash_one(pool)).entry(pool).or_default().clone())
    }

    /// Remembers a visitor from elsewhere, if there is room.
    pub(super) fn insert(&self, visitor: Visitor, value: T) {
        let mut shard = self.shard(self.hasher.hash_one(visitor));
        if shard.contains_key(&visitor) || self.reserve() {
            shard.insert(visitor, value);
        }
    }

    fn reserve(&self) -> bool {
        let more = |now| (now < MOST_VISITORS).then_some(now + 1);
        self.visitors.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Forgets what need not be kept. Nobody gets hold of an entry while it is looked at.
    pub(super) fn retain(&self, mut keep: impl FnMut(&T) -> bool) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut forgotten = 0;
            shard.retain(|visitor, value| {
                let keep = keep(value);
                forgotten += usize::from(!keep && !visitor.is_pool());
                keep
            });
            self.visitors.fetch_sub(forgotten, Ordering::Relaxed);
            if shard.capacity() / 4 > shard.len() {
                let room = 2 * shard.len();
                shard.shrink_to(room);
            }
        }
    }

    /// Looks at every visitor that is remembered by itself.
    pub(super) fn for_each(&self, mut look: impl FnMut(Visitor, &T)) {
        for shard in &self.shards {
            lock(shard).iter().filter(|(visitor, _)| !visitor.is_pool()).for_each(|(visitor, value)| {
                look(*visitor, value);
            });
        }
    }

    /// Visitors that are remembered by themselves.
    pub(super) fn len(&self) -> usize {
        self.visitors.load(Ordering::Relaxed)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, VisitorShard<T>> {
        let index = usize::try_from(hash >> 32).unwrap_or(0) % self.shards.len();
        #[expect(clippy::indexing_slicing, reason = "a remainder of the length")]
        lock(&self.shards[index])
    }
}

/// A panic under the lock leaves a table that is as good as before: entries are independent of each other.
fn lock<T>(shard: &Mutex<VisitorShard<T>>) -> MutexGuard<'_, VisitorShard<T>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn visitor(number: u32) -> Visitor {
        Visitor::V4(number.to_be_bytes())
    }

    #[test]
    fn a_million_visitors_take_no_more_room_than_the_table_has() {
        let table = VisitorTable::<Arc<u8>>::default();
        let pooled =
            (0..1_000_000).filter(|number| matches!(table.entry(visitor(*number)), VisitorEntry::Pooled(_))).count();
        assert_eq!((table.len(), pooled), (MOST_VISITORS, 1_000_000 - MOST_VISITORS));
        let entries = |table: &VisitorTable<_>| table.shards.iter().map(|shard| lock(shard).len()).sum::<usize>();
        assert!(entries(&table) <= MOST_VISITORS + 4096);
        let room = |table: &VisitorTable<_>| table.shards.iter().map(|shard| lock(shard).capacity()).sum::<usize>();
        assert!(room(&table) <= 4 * MOST_VISITORS);
        // Whoever was there before the crowd is not touched by it.
        assert!(matches!(table.entry(visitor(7)), VisitorEntry::Own(_)));

        table.retain(|_| false);
        assert_eq!((table.len(), entries(&table), room(&table)), (0, 0, 0));
        assert!(matches!(table.entry(visitor(999_999)), VisitorEntry::Own(_)));
    }

    #[test]
    fn a_newcomer_to_a_full_table_always_gets_the_same_share() {
        let table = VisitorTable::<Arc<u8>>::default();
        (0..100_000).for_each(|number| drop(table.entry(visitor(number))));
        let pooled = |number| match table.entry(visitor(number)) {
            VisitorEntry::Pooled(value) => value,
            VisitorEntry::Own(_) => panic!("there is no room"),
        };
        assert!(Arc::ptr_eq(&pooled(200_000), &pooled(200_000)));
        let mut seen = 0;
        table.for_each(|_, _| seen += 1);
        assert_eq!(seen, 100_000);
    }

    #[test]
    fn workers_count_entries_together() {
        let table = VisitorTable::<Arc<u8>>::default();
        std::thread::scope(|scope| {
            for start in [0, 1] {
                let table = &table;
                scope.spawn(move || (start..20_000).for_each(|number| drop(table.entry(visitor(number)))));
            }
        });
        assert_eq!(table.len(), 20_000);
    }
}
