//! What a lease has: requests that are paid for and not yet made.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. A count and the day or month that it was charged to are one number; 0: no quota.
#[derive(Debug, Default)]
pub(super) struct LeaseCells(AtomicU64);

fn pack(period: u32, count: u32) -> u64 {
    u64::from(period) << 32 | u64::from(count)
}

fn unpack(word: u64) -> (u32, u32) {
    let half = |word| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
    (half(word >> 32), half(word))
}

impl LeaseCells {
    /// Takes one that was charged to that period; how many are left then.
    pub(super) fn take(&self, period: u32) -> Option<u32> {
        let take = |word| {
            let (of, count) = unpack(word);
            (of == period && count > 0).then(|| word - 1)
        };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).ok()?;
        Some(unpack(before).1 - 1)
    }

    /// Those that were charged to that period.
    pub(super) fn count(&self, period: u32) -> u32 {
        let (of, count) = unpack(self.0.load(Ordering::Acquire));
        if of == period { count } else { 0 }
    }

    /// All of them, with their period.
    pub(super) fn all(&self) -> (u32, u32) {
        unpack(self.0.load(Ordering::Acquire))
    }

    /// Adds some; those of another period are of no use any more, and are told.
    pub(super) fn add(&self, period: u32, more: u32) -> u32 {
        let add = |word| {
            let (of, count) = unpack(word);
            let kept = if of == period { count } else { 0 };
            Some(pack(period, kept.saturating_add(more)))
        };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add).unwrap_or_default();
        let (of, count) = unpack(before);
        if of == period { 0 } else { count }
    }

    /// Takes all of them away.
    pub(super) fn drain(&self) -> (u32, u32) {
        unpack(self.0.swap(0, Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_belong_to_their_period() {
        let cells = LeaseCells::default();
        assert_eq!(cells.take(1), None);
        assert_eq!(cells.add(1, 2), 0);
        assert_eq!((cells.take(2), cells.take(1), cells.count(1), cells.count(2)), (None, Some(1), 1, 0));
        assert_eq!(cells.add(2, 3), 1, "yesterday's");
        assert_eq!((cells.take(1), cells.drain(), cells.take(2)), (None, (2, 3), None));
    }

    #[test]
    fn threads_take_no_cell_twice() {
        let cells = LeaseCells::default();
        cells.add(0, 10_000);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..8_000).filter(|_| cells.take(0).is_some()).count();
            [scope.spawn(take), scope.spawn(take)].map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!((taken, cells.count(0)), (10_000, 0));
    }
}
