//! What callers may ask: plans, and what wrong keys meet.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Limits by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub name: Arc<str>,
    pub requests: Rate,
    /// How many requests may come at once.
    pub burst: NonZeroU32,
    /// Requests and streams in flight.
    pub concurrent: NonZeroU32,
    pub quota: Option<Quota>,
    /// Tokens of models, as their providers count them.
    pub tokens: Option<Quota>,
    /// How long a request waits for one of those in flight to end; zero: not at all.
    pub wait: Duration,
    /// How many wait at most.
    pub queue: u32,
}

impl Plan {
    /// With so many requests a minute, and at once, and in flight.
    pub(crate) fn new(name: &str, per_minute: u32, burst: u32, concurrent: u32) -> Self {
        let number = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            name: name.into(),
            requests: Rate { count: number(per_minute), per: Duration::from_mins(1) },
            burst: number(burst),
            concurrent: number(concurrent),
            quota: None,
            tokens: None,
            wait: Duration::from_secs(5),
            queue: 32,
        }
    }
}

/// What wrong keys from one address meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthFailures {
    /// Answered at once.
    pub free: u32,
    /// And then; more are refused.
    pub then: Rate,
    /// Until such an answer is given; zero: at once.
    pub delay: Duration,
}

impl Default for AuthFailures {
    fn default() -> Self {
        let then = Rate { count: NonZeroU32::MIN.saturating_add(9), per: Duration::from_mins(1) };
        Self { free: 20, then, delay: Duration::from_secs(1) }
    }
}

/// `10000/day`: a count per calendar day or month (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub count: NonZeroU32,
    pub per: QuotaPeriod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaPeriod {
    Day,
    Month,
}

/// `60/min`: a count per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub per: Duration,
}
