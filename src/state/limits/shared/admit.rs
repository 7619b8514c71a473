//! What becomes of a request of a caller whom several replicas serve.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::SharedLimits;
use super::lease::Lease;
use super::lease_state::LeaseAnswer;
use super::wish::Shortage;
use crate::config::{QuotasOnLoss, RatesOnLoss};
use crate::state::limits::allowance::{AdmitDecision, AdmitTurn, Allowance, Exceeded};
use crate::state::limits::concurrency::{ConcurrencyLimit, Permit, QueuedPlace, Queueing};
use crate::state::limits::quota::{Left, Period};
use crate::state::limits::rate::RateDecision;
use crate::state::maybe_future::MaybeFuture;

/// Between two questions whether another replica has a place to spare.
const ASK_AGAIN: Duration = Duration::from_millis(25);

type RunningQuota = Option<(u32, Period)>;

impl Allowance {
    /// Out of the lease, or as the store says.
    pub(in crate::state::limits) fn admit_shared(
        &self,
        shared: &Arc<SharedLimits>,
        lease: &Lease,
    ) -> MaybeFuture<AdmitTurn> {
        let counts = &self.used.counts;
        let quota = self.plan.quota();
        if let Some(exceeded) = self.tokens_used_up() {
            lease.remind(counts, &self.plan);
            return decided(Err(exceeded), self.shared_state(lease, quota, Some(exceeded)));
        }
        let (permit, has_cell) = lease.enter(counts, number(quota));
        let permit = match permit {
            Some(permit) if has_cell => return decided(Ok(permit), self.shared_state(lease, quota, None)),
            permit => permit,
        };
        if !lease.can_ask() {
            drop(permit);
            return MaybeFuture::Now(self.alone(lease, quota));
        }
        match lease.ask(counts, &self.plan, permit.is_none()) {
            Ok(answer) => MaybeFuture::Later(Box::pin(self.clone().answered(answer, permit, shared.store.timeout))),
            Err(Some(shortage)) => MaybeFuture::Now(self.told(lease, LeaseAnswer::Refused(shortage), permit)),
            Err(None) => {
                drop(permit);
                MaybeFuture::Now(self.alone(lease, quota))
            }
        }
    }

    /// What the store says; after its time this replica decides.
    async fn answered(
        self,
        answer: oneshot::Receiver<LeaseAnswer>,
        permit: Option<Permit>,
        patience: Duration,
    ) -> AdmitTurn {
        let Some(lease) = self.used.counts.lease() else { return refused(Exceeded::Unknown, &self, None) };
        if let Ok(Ok(answer)) = timeout(patience, answer).await {
            return self.told(lease, answer, permit);
        }
        drop(permit);
        self.alone(lease, self.plan.quota())
    }

    fn told(&self, lease: &Lease, answer: LeaseAnswer, permit: Option<Permit>) -> AdmitTurn {
        let quota = self.plan.quota();
        let shortage = match answer {
            LeaseAnswer::Admitted(place) => {
                let permit = permit.or(place).ok_or(Exceeded::Concurrent);
                return AdmitTurn::Decided((permit, self.shared_state(lease, quota, None)));
            }
            LeaseAnswer::Refused(shortage) => shortage,
        };
        drop(permit);
        let exceeded = match shortage {
            Shortage::Rate { retry_after } => Exceeded::Rate { retry_after },
            Shortage::Quota => Exceeded::Quota { retry_after: quota.map_or(1, |(_, period)| period.left) },
            Shortage::Tokens => {
                Exceeded::Tokens { retry_after: self.plan.tokens().map_or(1, |(_, period)| period.left) }
            }
            Shortage::Places => match self.queue_shared() {
                Queueing::Entered(permit) => {
                    return AdmitTurn::Queued(Box::pin(self.clone().with_place(Ok(permit))));
                }
                Queueing::Waiting(waiting) => return AdmitTurn::Queued(Box::pin(self.clone().in_shared_turn(waiting))),
                Queueing::Full => Exceeded::Concurrent,
            },
        };
        AdmitTurn::Decided((Err(exceeded), self.shared_state(lease, quota, Some(exceeded))))
    }

    /// All tokens are spent, by whatever replica, as far as is known here.
    fn tokens_used_up(&self) -> Option<Exceeded> {
        let left = self.tokens_left().filter(|left| left.remaining == 0)?;
        Some(Exceeded::Tokens { retry_after: left.reset })
    }

    fn queue_shared(&self) -> Queueing {
        let plan = &self.plan.plan;
        if plan.wait.is_zero() {
            return Queueing::Full;
        }
        ConcurrencyLimit::queue_for_granted(&self.used.counts, plan.queue)
    }

    /// The decision, once there is a place or the plan's patience has ended. Places become free here or on other replicas.
    async fn in_shared_turn(self, mut waiting: QueuedPlace) -> AdmitDecision {
        let end = Instant::now() + self.plan.plan.wait;
        let permit = loop {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(permit) = waiting.place_within(ASK_AGAIN.min(left)).await {
                break Some(permit);
            }
            if left <= ASK_AGAIN {
                break waiting.give_up();
            }
            let Some(lease) = self.used.counts.lease() else { break None };
            if lease.can_ask() {
                lease.ask_for_places(&self.used.counts);
            } else {
                self.used.counts.concurrency.hand_over_up_to(lease.places_alone(&self.plan));
            }
        };
        self.with_place(permit.ok_or(Exceeded::Concurrent)).await
    }

    /// Who has a place needs a cell.
    async fn with_place(self, permit: Result<Permit, Exceeded>) -> AdmitDecision {
        let quota = self.plan.quota();
        let (Some(shared), Some(lease)) = (&self.plan.shared, self.used.counts.lease()) else {
            return (permit, self.plan.state(RateDecision::Allowed { remaining: 0 }, None, None));
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(exceeded) => return (Err(exceeded), self.shared_state(lease, quota, None)),
        };
        if let Some(exceeded) = self.tokens_used_up() {
            return (Err(exceeded), self.shared_state(lease, quota, Some(exceeded)));
        }
        if lease.take_cell(&self.used.counts, number(quota)) {
            return (Ok(permit), self.shared_state(lease, quota, None));
        }
        let asked = if lease.can_ask() { lease.ask(&self.used.counts, &self.plan, false) } else { Err(None) };
        let answer = match asked {
            Ok(answer) => timeout(shared.store.timeout, answer).await.ok().and_then(Result::ok),
            Err(shortage) => shortage.map(LeaseAnswer::Refused),
        };
        match answer {
            Some(answer) => match self.told(lease, answer, Some(permit)) {
                AdmitTurn::Decided(decision) => decision,
                // Only whoever has no place is told that there are none.
                AdmitTurn::Queued(_) => (Err(Exceeded::Concurrent), self.shared_state(lease, quota, None)),
            },
            None => self.decided_alone(lease, quota, |_| Some(Queueing::Entered(permit))),
        }
    }

    /// By this replica's part of the limits: the store is lost.
    fn alone(&self, lease: &Lease, quota: RunningQuota) -> AdmitTurn {
        let mut queued = None;
        let decision = self.decided_alone(lease, quota, |most| {
            let counts = &self.used.counts;
            let plan = &self.plan.plan;
            match ConcurrencyLimit::enter(counts, most) {
                Some(permit) => Some(Queueing::Entered(permit)),
                None if plan.wait.is_zero() => Some(Queueing::Full),
                None => match ConcurrencyLimit::queue(counts, most, plan.queue) {
                    Queueing::Waiting(waiting) => {
                        queued = Some(waiting);
                        None
                    }
                    decided => Some(decided),
                },
            }
        });
        match queued {
            Some(waiting) => AdmitTurn::Queued(Box::pin(self.clone().in_turn_alone(waiting))),
            None => AdmitTurn::Decided(decision),
        }
    }

    /// Whether only the store knows what is left, so that nothing goes on without it.
    fn is_refused_alone(&self, lease: &Lease) -> bool {
        let on_loss = lease.shared.store.on_loss;
        let counts_periods = self.plan.plan.quota.is_some() || self.plan.plan.tokens.is_some();
        on_loss.rates == RatesOnLoss::Refuse || (counts_periods && on_loss.quotas == QuotasOnLoss::Refuse)
    }

    /// The same while the store is lost; else `false`.
    pub(in crate::state::limits) fn is_refused_by_loss(&self) -> bool {
        let lease = self.used.counts.lease().filter(|_| self.plan.shared.is_some());
        lease.is_some_and(|lease| !lease.shared.store.is_up() && self.is_refused_alone(lease))
    }

    fn decided_alone(
        &self,
        lease: &Lease,
        quota: RunningQuota,
        place: impl FnOnce(u32) -> Option<Queueing>,
    ) -> AdmitDecision {
        lease.go_apart(&self.used.counts, &self.plan);
        if self.is_refused_alone(lease) {
            return (Err(Exceeded::Unknown), self.shared_state(lease, quota, None));
        }
        let rate = lease.take_alone(&self.used.counts, &self.plan);
        let permit = match rate {
            RateDecision::Limited { retry_after } => Err(Exceeded::Rate { retry_after }),
            RateDecision::Allowed { .. } => match place(lease.places_alone(&self.plan)) {
                Some(Queueing::Entered(permit)) => Ok(permit),
                _ => Err(Exceeded::Concurrent),
            },
        };
        self.charge_alone(lease, permit, rate, quota)
    }

    async fn in_turn_alone(self, waiting: QueuedPlace) -> AdmitDecision {
        let permit = waiting.place(self.plan.plan.wait).await.ok_or(Exceeded::Concurrent);
        let Some(lease) = self.used.counts.lease() else {
            return (permit, self.plan.state(RateDecision::Allowed { remaining: 0 }, None, None));
        };
        let remaining = lease.remaining(&self.plan, 0);
        self.charge_alone(lease, permit, RateDecision::Allowed { remaining }, self.plan.quota())
    }

    fn charge_alone(
        &self,
        lease: &Lease,
        permit: Result<Permit, Exceeded>,
        rate: RateDecision,
        quota: RunningQuota,
    ) -> AdmitDecision {
        let decision = self.charge(permit, rate);
        if let (Ok(_), Some((_, period))) = (&decision.0, quota) {
            lease.owe_quota(&self.used.counts, period);
        }
        decision
    }

    /// What other limits refuse is there for this caller's next request: it is paid for, be it by this replica's own part.
    pub(in crate::state::limits) fn give_back_shared(&self, lease: &Lease) -> http::HeaderValue {
        let quota = self.plan.quota();
        let mut state = lease.state();
        lease.shared.counters.void.inc_by(lease.cells.add(number(quota), 1).into());
        lease.shared.look_after(&self.used.counts, &mut state);
        drop(state);
        self.shared_state(lease, quota, None)
    }

    /// `RateLimit`, true within the lease: what is left in the store, as far as is known, and the cells that are here.
    fn shared_state(&self, lease: &Lease, quota: RunningQuota, exceeded: Option<Exceeded>) -> http::HeaderValue {
        let cells = lease.cells.count(number(quota));
        let rate = match exceeded {
            Some(Exceeded::Rate { retry_after }) => RateDecision::Limited { retry_after },
            _ => self.shared_rate(lease, cells),
        };
        self.plan.state(rate, self.shared_quota(quota, cells), self.tokens_left())
    }

    fn shared_rate(&self, lease: &Lease, cells: u32) -> RateDecision {
        RateDecision::Allowed { remaining: lease.remaining(&self.plan, cells) }
    }

    fn shared_quota(&self, quota: RunningQuota, cells: u32) -> Option<Left> {
        quota.map(|(most, period)| {
            let Left { remaining, reset } = self.used.counts.quota().left(most, period);
            Left { remaining: remaining.saturating_add(cells).min(most), reset }
        })
    }

    /// What is left of rate and quota, for whoever only looks.
    pub(in crate::state::limits) fn look_shared(&self, lease: &Lease) -> (RateDecision, Option<Left>) {
        let quota = self.plan.quota();
        let cells = lease.cells.count(number(quota));
        (self.shared_rate(lease, cells), self.shared_quota(quota, cells))
    }
}

fn number(quota: RunningQuota) -> u32 {
    quota.map_or(0, |(_, period)| period.number())
}

fn decided(permit: Result<Permit, Exceeded>, state: http::HeaderValue) -> MaybeFuture<AdmitTurn> {
    MaybeFuture::Now(AdmitTurn::Decided((permit, state)))
}

fn refused(exceeded: Exceeded, allowance: &Allowance, left: Option<Left>) -> AdmitTurn {
    let state = allowance.plan.state(RateDecision::Limited { retry_after: 1 }, left, None);
    AdmitTurn::Decided((Err(exceeded), state))
}
