//! What was admitted while the store was lost, and what of it the store is to charge.

use super::wish::BucketBase;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OfflineAdmissions {
    /// How often, in all.
    pub(super) taken: u64,
    /// How many of them the store has charged, as far as is known here.
    pub(super) told: u64,
    /// What the bucket there was based on when it was heard of last.
    pub(super) base: BucketBase,
    /// When the bucket would have been whole if nobody had come since then.
    pub(super) seed: u64,
    /// When the bucket began of which that is known, by the store's clock.
    pub(super) seed_of: u64,
    /// Something was, which the store does not know yet.
    pub(super) is_owed: bool,
}

impl OfflineAdmissions {
    /// What is charged to the bucket, of what was taken so far, when all of this replica's part is whole after `whole`: what
    /// the store knows of it, and what it does not, divided as the limit is.
    pub(super) fn debt(&self, now: u64, whole: u64, parts: u32) -> (u64, u64) {
        if !self.is_owed {
            return (whole, 0);
        }
        let known = self.seed.saturating_sub(now).min(whole);
        (known, (whole - known) / u64::from(parts))
    }

    /// The store has answered a call that began when so many were taken: when the bucket is whole, given that it says so. What
    /// was taken since is in this replica's part, of which some has been paid for if the answer comes late.
    pub(super) fn settle(&mut self, taken: u64, whole_at: u64, one: u64, here: u64) -> u64 {
        let since = self.taken - taken;
        self.told = self.told.max(taken);
        (self.is_owed, self.seed) = (since > 0, whole_at);
        whole_at.saturating_add(one.saturating_mul(since)).min(here.max(whole_at))
    }
}
