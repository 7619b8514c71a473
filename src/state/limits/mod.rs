//! How much a caller may ask: requests per time, requests in flight, and requests and tokens per day or month.
//!
//! | file | what it is |
//! |---|---|
//! | [`bound`] | everything that is used, by id; and as the requests of one policy find it |
//! | [`keys`] | the same of keys, from their first request on |
//! | [`plan`] | what a plan allows, and the header fields that say so |
//! | [`allowance`] | one caller's share of a plan, be it a key or a visitor |
//! | [`status`] | what is left of it, for whoever only looks |
//! | [`concurrency`] | the concurrency limit: its requests in flight, and those that wait for a place among them |
//! | [`rate`], [`quota`] | what a caller has used: a GCRA bucket; a count in a calendar period |
//! | [`visitor`], [`visitors`], [`table`] | callers whom no configuration names, in bounded memory |
//! | [`shared`] | the same of callers whom several replicas serve |
//! | [`penalty`] | failed authentication |
//!
//! A key's limits are a few atomics behind two pointers, so the way of a request with a secret key takes no lock (but for
//! the key's first one), all workers share one count, and memory is bounded by the number of configured keys. A visitor costs one look-up under
//! the lock of a shard.

mod allowance;
mod bound;
mod concurrency;
mod keys;
mod penalty;
mod plan;
pub(crate) mod quota;
mod rate;
mod shared;
mod status;
mod table;
mod visitor;
mod visitors;

pub(crate) use allowance::{AdmitDecision, AdmitTurn, Allowance, Exceeded};
pub(crate) use bound::{BoundLimits, LimitPolicy, LimitState};
pub(crate) use concurrency::Permit;
pub(crate) use penalty::{Delay, Penalties};
pub(crate) use quota::Left;
pub(crate) use shared::CallerTag;
pub(crate) use status::{AllowancePeek, LimitStatus};
pub(crate) use visitor::Visitor;
pub(crate) use visitors::Visitors;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use crate::config::{Plan, Quota, QuotaPeriod, Rate};

    pub(super) fn plan(count: u32, per: u64, burst: u32, concurrent: u32) -> Plan {
        let number = |n| NonZeroU32::new(n).unwrap();
        Plan {
            requests: Rate { count: number(count), per: Duration::from_secs(per) },
            wait: Duration::ZERO,
            queue: 0,
            ..Plan::new("test", count, burst, concurrent)
        }
    }

    pub(super) fn with_queue(plan: Plan, wait: u64, queue: u32) -> Plan {
        Plan { wait: Duration::from_secs(wait), queue, ..plan }
    }

    pub(super) fn with_quota(plan: Plan, count: u32, per: QuotaPeriod) -> Plan {
        Plan { quota: Some(quota(count, per)), ..plan }
    }

    pub(super) fn with_tokens(plan: Plan, count: u32, per: QuotaPeriod) -> Plan {
        Plan { tokens: Some(quota(count, per)), ..plan }
    }

    fn quota(count: u32, per: QuotaPeriod) -> Quota {
        Quota { count: NonZeroU32::new(count).unwrap(), per }
    }
}
