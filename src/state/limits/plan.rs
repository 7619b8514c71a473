//! What a plan allows, with the header fields that say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use jiff::Timestamp;

use super::quota::{Left, Period};
use super::rate::{Limiter, RateDecision, whole_seconds};
use super::shared::SharedLimits;
use crate::config::{Plan, Quota, QuotaPeriod};
use crate::wire::decimal::{decimal, width};

/// After a plan's name in its items of `RateLimit`.
const QUOTA: &str = "-quota\";r=";
const TOKENS: &str = "-tokens\";r=";

/// See the module.
#[derive(Debug)]
pub(crate) struct PlanLimits {
    pub(super) plan: Plan,
    /// The same over reloads that leave rate and burst as they are.
    pub(super) limiter: Arc<Limiter>,
    /// `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-11, section 3.
    pub(crate) policy: HeaderValue,
    charged: Arc<Charged>,
    /// Where replicas share what there is; `None`: this process is alone, or these callers are.
    pub(super) shared: Option<Arc<SharedLimits>>,
}

/// Whether something was charged to a quota or to tokens, of whatever plan, since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Charged(AtomicBool);

impl Charged {
    pub(super) fn note(&self) {
        // Read first: the flag is set but for once a second, and a store would take the line from other workers.
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl PlanLimits {
    /// `previous`: the plan of that name before a reload. `charged`: told of what is charged.
    pub(super) fn new(plan: &Plan, previous: Option<&Self>, charged: &Arc<Charged>) -> Self {
        let limiter = previous
            .filter(|previous| previous.limiter.is_for(plan.requests, plan.burst))
            .map_or_else(|| Arc::new(Limiter::new(plan.requests, plan.burst)), |same| Arc::clone(&same.limiter));
        Self { policy: policy(plan), limiter, plan: plan.clone(), charged: Arc::clone(charged), shared: None }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.plan.name
    }

    /// The plan without its counts and for this process alone, for callers who cannot be told apart.
    pub(super) fn without_quota(&self) -> Self {
        let plan = Plan { quota: None, tokens: None, ..self.plan.clone() };
        let (limiter, charged) = (Arc::clone(&self.limiter), Arc::clone(&self.charged));
        Self { policy: policy(&plan), limiter, plan, charged, shared: None }
    }

    /// The same, shared by replicas.
    pub(super) fn shared_by(self, shared: Option<&Arc<SharedLimits>>) -> Self {
        Self { shared: shared.cloned(), ..self }
    }

    /// The quota's number and the running period; `None` costs nothing.
    pub(super) fn quota(&self) -> Option<(u32, Period)> {
        self.plan.quota.map(now)
    }

    /// The same of tokens.
    pub(super) fn tokens(&self) -> Option<(u32, Period)> {
        self.plan.tokens.map(now)
    }

    /// Something was charged.
    pub(super) fn note_charge(&self) {
        self.charged.note();
    }

    #[cfg(test)]
    pub(super) fn was_charged(&self) -> bool {
        self.charged.take()
    }

    /// `RateLimit`: what is left, and the seconds until nothing is used any more, rounded up; the same for the counts of a
    /// day or month.
    pub(crate) fn state(&self, verdict: RateDecision, quota: Option<Left>, tokens: Option<Left>) -> HeaderValue {
        let (remaining, reset) = self.rate(verdict);
        let rate = ("\";r=", remaining, reset);
        let counted = [(QUOTA, quota), (TOKENS, tokens)];
        let counted = counted.map(|(name, left)| left.map(|Left { remaining, reset }| (name, remaining, reset)));
        // Exactly: a buffer with room left would cost a second allocation to be shared.
        let length = self.length(rate) + counted.iter().flatten().map(|item| self.length(*item) + 2).sum::<usize>();
        let mut text = Vec::with_capacity(length);
        self.item(&mut text, rate);
        for item in counted.into_iter().flatten() {
            text.extend_from_slice(b", ");
            self.item(&mut text, item);
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"plan\";r=0"))
    }

    /// How many requests are left, and the seconds until nothing is used any more.
    pub(super) fn rate(&self, verdict: RateDecision) -> (u32, u64) {
        match verdict {
            RateDecision::Allowed { remaining } => {
                let used = self.plan.burst.get().saturating_sub(remaining);
                (remaining, whole_seconds(self.limiter.period.saturating_mul(used)))
            }
            RateDecision::Limited { retry_after } => (0, retry_after),
        }
    }

    fn length(&self, (after_name, remaining, reset): (&str, u32, u64)) -> usize {
        1 + self.plan.name.len() + after_name.len() + width(u64::from(remaining)) + ";t=".len() + width(reset)
    }

    fn item(&self, text: &mut Vec<u8>, (after_name, remaining, reset): (&str, u32, u64)) {
        text.push(b'"');
        text.extend_from_slice(self.plan.name.as_bytes());
        text.extend_from_slice(after_name.as_bytes());
        decimal(text, u64::from(remaining), 1);
        text.extend_from_slice(b";t=");
        decimal(text, reset, 1);
    }
}

/// The running period of a count.
fn now(quota: Quota) -> (u32, Period) {
    (quota.count.get(), Period::of(quota.per, Timestamp::now()))
}

fn policy(plan: &Plan) -> HeaderValue {
    let Plan { name, requests, .. } = plan;
    let mut policy = format!("\"{name}\";q={};w={}", requests.count, requests.per.as_secs().max(1));
    for (suffix, quota) in [("quota", plan.quota), ("tokens", plan.tokens)] {
        let Some(quota) = quota else { continue };
        // Months differ in length, and the window may be left out.
        let window = match quota.per {
            QuotaPeriod::Day => ";w=86400",
            QuotaPeriod::Month => "",
        };
        policy = format!("{policy}, \"{name}-{suffix}\";q={}{window}", quota.count);
    }
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("\"plan\";q=1;w=1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::limits::tests::{plan, with_quota, with_tokens};

    #[test]
    fn headers_follow_the_draft() {
        let plan = PlanLimits::new(&plan(60, 60, 10, 1), None, &Arc::default());
        assert_eq!(plan.policy, "\"test\";q=60;w=60");
        assert_eq!(plan.state(RateDecision::Allowed { remaining: 4 }, None, None), "\"test\";r=4;t=6");
        assert_eq!(plan.state(RateDecision::Limited { retry_after: 3 }, None, None), "\"test\";r=0;t=3");
    }

    #[test]
    fn a_quota_is_a_second_item() {
        let day = PlanLimits::new(&with_quota(plan(60, 60, 10, 1), 10_000, QuotaPeriod::Day), None, &Arc::default());
        assert_eq!(day.policy, "\"test\";q=60;w=60, \"test-quota\";q=10000;w=86400");
        let left = Left { remaining: 9_999, reset: 4_000 };
        let state = day.state(RateDecision::Allowed { remaining: 4 }, Some(left), None);
        assert_eq!(state, "\"test\";r=4;t=6, \"test-quota\";r=9999;t=4000");
        let month = PlanLimits::new(&with_quota(plan(60, 60, 10, 1), 5, QuotaPeriod::Month), None, &Arc::default());
        assert_eq!(month.policy, "\"test\";q=60;w=60, \"test-quota\";q=5");
    }

    #[test]
    fn tokens_are_the_last_item() {
        let rate = plan(60, 60, 10, 1);
        let tokens = with_tokens(rate.clone(), 100_000, QuotaPeriod::Day);
        let (day, left) = (PlanLimits::new(&tokens, None, &Arc::default()), Left { remaining: 7, reset: 4_000 });
        assert_eq!(day.policy, "\"test\";q=60;w=60, \"test-tokens\";q=100000;w=86400");
        let state = day.state(RateDecision::Allowed { remaining: 4 }, None, Some(left));
        assert_eq!(state, "\"test\";r=4;t=6, \"test-tokens\";r=7;t=4000");
        let both = with_tokens(with_quota(rate, 5, QuotaPeriod::Month), 9, QuotaPeriod::Month);
        let both = PlanLimits::new(&both, None, &Arc::default());
        assert_eq!(both.policy, "\"test\";q=60;w=60, \"test-quota\";q=5, \"test-tokens\";q=9");
        let state = both.state(RateDecision::Limited { retry_after: 3 }, Some(left), Some(left));
        assert_eq!(state, "\"test\";r=0;t=3, \"test-quota\";r=7;t=4000, \"test-tokens\";r=7;t=4000");
    }
}
