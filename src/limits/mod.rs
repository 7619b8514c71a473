//! How much a caller may ask: requests per time (GCRA, by `governor`) and requests in flight.
//!
//! A key's limits are two atomics behind an `Arc`, so the request path takes no lock, all workers share one count,
//! and memory is bounded by the number of configured keys. Callers without a key are counted per address.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use http::HeaderValue;

use crate::config::Plan;
use crate::wire::decimal::decimal;

type Instant = <DefaultClock as governor::clock::Clock>::Instant;
type PerKey = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;
type PerAddress = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

/// One key's limits; shared by all workers and by successive snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) plan: Arc<PlanLimits>,
    rate: Arc<PerKey>,
    in_flight: Arc<AtomicU32>,
}

/// What a plan allows, with the header value that says so.
#[derive(Debug)]
pub(crate) struct PlanLimits {
    plan: Plan,
    /// Time for one more request.
    period: Duration,
    /// `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-11, section 3.
    pub(crate) policy: HeaderValue,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed {
        remaining: u32,
    },
    /// Whole seconds until the next request is accepted, at least 1.
    Limited {
        retry_after: u64,
    },
}

impl PlanLimits {
    pub(crate) fn new(plan: &Plan) -> Self {
        let policy = format!("\"{}\";q={};w={}", plan.name, plan.requests.count, plan.requests.per.as_secs().max(1));
        Self {
            period: (plan.requests.per / plan.requests.count.get()).max(Duration::from_nanos(1)),
            policy: HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("\"plan\";q=1;w=1")),
            plan: plan.clone(),
        }
    }

    fn quota(&self) -> Quota {
        // `with_period` refuses zero only, which `new` has excluded.
        Quota::with_period(self.period).unwrap_or(Quota::per_second(self.plan.burst)).allow_burst(self.plan.burst)
    }

    /// `RateLimit`: what is left, and the seconds until nothing is used any more, rounded up.
    pub(crate) fn state(&self, verdict: Verdict) -> HeaderValue {
        let (remaining, reset) = match verdict {
            Verdict::Allowed { remaining } => {
                let used = self.plan.burst.get().saturating_sub(remaining);
                (remaining, whole_seconds(self.period.saturating_mul(used)))
            }
            Verdict::Limited { retry_after } => (0, retry_after),
        };
        let mut text = Vec::with_capacity(self.plan.name.len() + 24);
        text.push(b'"');
        text.extend_from_slice(self.plan.name.as_bytes());
        text.extend_from_slice(b"\";r=");
        decimal(&mut text, u64::from(remaining), 1);
        text.extend_from_slice(b";t=");
        decimal(&mut text, reset, 1);
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"plan\";r=0"))
    }
}

fn verdict(outcome: Result<StateSnapshot, NotUntil<Instant>>, now: Instant) -> Verdict {
    match outcome {
        Ok(state) => Verdict::Allowed { remaining: state.remaining_burst_capacity() },
        Err(until) => Verdict::Limited { retry_after: whole_seconds(until.wait_time_from(now)).max(1) },
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Allowance {
    /// Limits for a key of that plan. What `previous` (the same key before a reload) has used stays used.
    pub(crate) fn new(plan: &Arc<PlanLimits>, previous: Option<&Self>) -> Self {
        let kept = previous.filter(|previous| previous.plan.plan == plan.plan);
        Self {
            plan: Arc::clone(plan),
            rate: kept.map_or_else(
                || Arc::new(RateLimiter::direct(plan.quota()).with_middleware()),
                |kept| Arc::clone(&kept.rate),
            ),
            in_flight: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.in_flight)),
        }
    }

    /// Counts one request.
    pub(crate) fn take(&self) -> Verdict {
        verdict(self.rate.check(), self.rate.clock().now())
    }

    /// One more request in flight, until the permit is dropped; `None` if the plan's number is reached.
    pub(crate) fn enter(&self) -> Option<Permit> {
        let most = self.plan.plan.concurrent.get();
        let entered =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < most).then_some(now + 1));
        entered.ok().map(|_| Permit(Arc::clone(&self.in_flight)))
    }
}

/// A request in flight; dropped with its body's last byte.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicU32>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Limits of callers without a key, by address (IPv6 by /64).
#[derive(Debug)]
pub(crate) struct Anonymous {
    pub(crate) plan: Arc<PlanLimits>,
    table: PerAddress,
    /// Set while the table holds too many addresses; newcomers then share [`POOLS`] buckets.
    crowded: AtomicBool,
}

/// Addresses remembered at once; about 100 bytes each.
const MOST_ADDRESSES: usize = 100_000;
const POOLS: u16 = 4096;

impl Anonymous {
    pub(crate) fn new(plan: &Arc<PlanLimits>) -> Self {
        Self {
            table: RateLimiter::dashmap(plan.quota()).with_middleware(),
            plan: Arc::clone(plan),
            crowded: AtomicBool::new(false),
        }
    }

    /// `previous` itself if the plan is the same, so that its counts survive a reload.
    pub(crate) fn carried(plan: &Arc<PlanLimits>, previous: Option<&Arc<Self>>) -> Arc<Self> {
        match previous {
            Some(previous) if previous.plan.plan == plan.plan => Arc::clone(previous),
            _ => Arc::new(Self::new(plan)),
        }
    }

    pub(crate) fn take(&self, address: IpAddr) -> Verdict {
        let who = if self.crowded.load(Ordering::Relaxed) { pooled(address) } else { network(address) };
        verdict(self.table.check_key(&who), self.table.clock().now())
    }

    /// Forgets addresses that have their whole burst again. To be called about once a second.
    pub(crate) fn sweep(&self) {
        if self.table.len() > MOST_ADDRESSES / 2 {
            self.table.retain_recent();
            self.table.shrink_to_fit();
        }
        self.crowded.store(self.table.len() > MOST_ADDRESSES, Ordering::Relaxed);
    }
}

/// The unit that is counted: an IPv4 address, or the /64 that one IPv6 subscriber usually holds.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// One of a fixed number of buckets, as an address out of 0.0.0.0/8, which no client has.
fn pooled(address: IpAddr) -> IpAddr {
    let number = match network(address) {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
    };
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let [_, _, high, low] = ((mixed as u32) % u32::from(POOLS)).to_be_bytes();
    IpAddr::from([0, 0, high, low])
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::Rate;

    fn plan(count: u32, per: u64, burst: u32, concurrent: u32) -> Arc<PlanLimits> {
        let number = |n| NonZeroU32::new(n).unwrap();
        Arc::new(PlanLimits::new(&Plan {
            name: "test".into(),
            requests: Rate { count: number(count), per: Duration::from_secs(per) },
            burst: number(burst),
            concurrent: number(concurrent),
            quota: None,
        }))
    }

    #[test]
    fn a_burst_is_followed_by_whole_seconds_of_waiting() {
        let allowance = Allowance::new(&plan(60, 60, 2, 1), None);
        assert_eq!(allowance.take(), Verdict::Allowed { remaining: 1 });
        assert_eq!(allowance.take(), Verdict::Allowed { remaining: 0 });
        assert_eq!(allowance.take(), Verdict::Limited { retry_after: 1 });
    }

    #[test]
    fn headers_follow_the_draft() {
        let plan = plan(60, 60, 10, 1);
        assert_eq!(plan.policy, "\"test\";q=60;w=60");
        assert_eq!(plan.state(Verdict::Allowed { remaining: 4 }), "\"test\";r=4;t=6");
        assert_eq!(plan.state(Verdict::Limited { retry_after: 3 }), "\"test\";r=0;t=3");
    }

    #[test]
    fn use_survives_a_reload_unless_the_plan_changes() {
        let before = Allowance::new(&plan(1, 60, 1, 1), None);
        before.take();
        let after = Allowance::new(&plan(1, 60, 1, 1), Some(&before));
        assert!(matches!(after.take(), Verdict::Limited { .. }));
        let permit = before.enter();
        let changed = Allowance::new(&plan(1, 60, 2, 1), Some(&before));
        assert!(matches!(changed.take(), Verdict::Allowed { .. }));
        assert!(permit.is_some() && changed.enter().is_none(), "what is in flight stays in flight");
    }

    #[test]
    fn a_permit_frees_its_place_when_dropped() {
        let allowance = Allowance::new(&plan(60, 60, 1, 1), None);
        let first = allowance.enter();
        assert!(first.is_some());
        assert!(allowance.enter().is_none());
        drop(first);
        assert!(allowance.enter().is_some());
    }

    #[test]
    fn ipv6_is_counted_by_subscriber() {
        let anonymous = Anonymous::new(&plan(1, 60, 1, 1));
        assert!(matches!(anonymous.take("2001:db8::1".parse().unwrap()), Verdict::Allowed { .. }));
        assert!(matches!(anonymous.take("2001:db8::2".parse().unwrap()), Verdict::Limited { .. }));
        assert!(matches!(anonymous.take("2001:db8:0:1::1".parse().unwrap()), Verdict::Allowed { .. }));
    }
}
