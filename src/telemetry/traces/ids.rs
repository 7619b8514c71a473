//! Ids of traces and spans: random, never zero.
//!
//! A generator for each thread (`SplitMix64`, with a start and a stream of its own): nothing hangs on guessing one, but
//! they must be spread evenly, since which traces are sampled is told by their ids.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::num::{NonZeroU64, NonZeroU128};

struct IdGenerator {
    stream: u64,
    next: Cell<u64>,
}

thread_local! {
    static GENERATOR: IdGenerator = {
        let random = RandomState::new();
        IdGenerator { stream: random.hash_one(1), next: Cell::new(random.hash_one(2)) }
    };
}

/// `None` only while the thread ends.
fn random() -> Option<(u64, u64)> {
    let generate = |generator: &IdGenerator| {
        let next = generator.next.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        generator.next.set(next);
        (mix(next ^ generator.stream), mix(next))
    };
    GENERATOR.try_with(generate).ok()
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

pub(super) fn trace() -> NonZeroU128 {
    let (high, low) = random().unwrap_or_default();
    NonZeroU128::new(u128::from(high) << 64 | u128::from(low)).unwrap_or(NonZeroU128::MIN)
}

pub(super) fn span() -> NonZeroU64 {
    let (id, _) = random().unwrap_or_default();
    NonZeroU64::new(id).unwrap_or(NonZeroU64::MIN)
}

/// A number below `bound`, for whom it may be about.
pub(super) fn below(bound: u64) -> u64 {
    span().get().checked_rem(bound).unwrap_or_default()
}
