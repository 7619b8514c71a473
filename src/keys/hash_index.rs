//! Finds numbers by the hash of what they stand for: four bytes a slot, at most half of them in use.

use std::iter;

/// In place of a number.
const FREE: u32 = u32::MAX;
const LEAST: usize = 16;

/// An open-addressing table. What the numbers stand for is kept elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct HashIndex {
    /// A power of two, or none.
    slots: Vec<u32>,
    used: usize,
}

impl HashIndex {
    /// The numbers that may stand for what has that hash; few, and often none.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let start = self.place(hash);
        let (before, after) = self.slots.split_at_checked(start).unwrap_or_default();
        after.iter().chain(before).copied().take_while(|number| *number != FREE)
    }

    /// `hash_of` says the hash of each number that is in the table.
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.used + 1) * 2 > self.slots.len() {
            let room = (self.slots.len() * 2).max(LEAST);
            let before = std::mem::replace(&mut self.slots, iter::repeat_n(FREE, room).collect());
            before.into_iter().filter(|known| *known != FREE).for_each(|known| self.put(hash_of(known), known));
        }
        self.put(hash, number);
        self.used += 1;
    }

    fn put(&mut self, hash: u64, number: u32) {
        let start = self.place(hash);
        let (before, after) = self.slots.split_at_mut_checked(start).unwrap_or_default();
        if let Some(free) = after.iter_mut().chain(before).find(|slot| **slot == FREE) {
            *free = number;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    fn place(&self, hash: u64) -> usize {
        hash as usize & self.slots.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_many_there_are_and_however_alike_their_hashes() {
        for hash_of in [|number: u32| u64::from(number) * 0x9e37_79b9, |number: u32| u64::from(number % 7)] {
            let mut slots = HashIndex::default();
            assert_eq!(slots.candidates(0).count(), 0);
            for number in 0..500 {
                slots.insert(hash_of(number), number, hash_of);
            }
            for number in 0..500 {
                assert!(slots.candidates(hash_of(number)).any(|found| found == number), "{number}");
            }
            assert!(slots.slots.len() <= 2048);
        }
    }
}
