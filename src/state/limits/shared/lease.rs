//! What one caller has of its plan on this replica: cells and places that the store has granted.
//!
//! A request that finds both takes them, and asks nobody. Else it waits for the store: all that wait are in one call, and
//! the call asks for some more than wait, by how fast they were used. What comes back late is put into the lease all the
//! same: it is paid for.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::SharedLimits;
use super::caller::CallerTag;
use super::cells::LeaseCells;
use super::lease_state::{LeaseAnswer, LeaseState, LeaseWaiter};
use super::pace::nanos;
use super::wish::{LeaseGrant, LeaseWish, Shortage};
use crate::state::limits::allowance::AllowanceCounts;
use crate::state::limits::concurrency::{ConcurrencyLimit, Permit};
use crate::state::limits::plan::PlanLimits;
use crate::state::limits::quota::Period;

/// See the module.
#[derive(Debug)]
pub(in crate::state::limits) struct Lease {
    pub(super) shared: Arc<SharedLimits>,
    caller: CallerTag,
    pub(super) cells: LeaseCells,
    /// At so few left, more are asked for; 0: not now.
    low: AtomicU32,
    /// Free places that are kept for whoever comes next.
    pub(super) spare: AtomicU32,
    /// See `apart`.
    pub(super) is_apart: AtomicBool,
    /// When the bucket is whole as far as is known here, in nanoseconds.
    pub(super) whole_at: AtomicU64,
    state: Mutex<LeaseState>,
}

/// What a call is for, if nobody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeasePurpose {
    /// Cells and places.
    Acquire,
    /// All cells go back, and free places.
    GiveBack,
    /// Free places go back.
    Release,
    /// The store is told what is held and owed.
    Renew,
    /// Somebody wants to know what is left.
    Look,
}

impl LeasePurpose {
    fn name(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::GiveBack | Self::Release => "give_back",
            Self::Renew => "renew",
            Self::Look => "look",
        }
    }
}

impl Lease {
    pub(in crate::state::limits) fn new(shared: &Arc<SharedLimits>, caller: CallerTag) -> Self {
        Self {
            shared: Arc::clone(shared),
            caller,
            cells: LeaseCells::default(),
            low: AtomicU32::default(),
            spare: AtomicU32::default(),
            is_apart: AtomicBool::default(),
            whole_at: AtomicU64::default(),
            // By the time: one that is made again for the same caller is another one.
            state: Mutex::new(LeaseState::of(shared.now())),
        }
    }

    /// Nanoseconds until the bucket is whole, as far as is known here.
    pub(super) fn until_whole(&self, now: u64) -> u64 {
        self.whole_at.load(Ordering::Relaxed).saturating_sub(now)
    }

    /// A cell of that period. When few are left, more are asked for before there are none.
    pub(super) fn take_cell(&self, counts: &Arc<AllowanceCounts>, period: u32) -> bool {
        let Some(left) = self.cells.take(period) else { return false };
        let low = self.low.load(Ordering::Relaxed);
        if low > 0
            && left <= low
            && self.can_ask()
            && let Ok(mut state) = self.state.try_lock()
            && self.is_free(&state)
        {
            self.send(counts, &mut state, LeasePurpose::Acquire);
        }
        true
    }

    /// Waits for the store's answer, with whoever else waits.
    ///
    /// # Errors
    /// It is known what the store would say; `None`: it cannot be asked.
    pub(super) fn ask(
        &self,
        counts: &Arc<AllowanceCounts>,
        plan: &Arc<PlanLimits>,
        needs_place: bool,
    ) -> Result<oneshot::Receiver<LeaseAnswer>, Option<Shortage>> {
        let mut state = self.state();
        if let Some(shortage) = state.refusal(self.shared.now()) {
            return Err(Some(shortage));
        }
        state.come_under(plan);
        let (answer, told) = oneshot::channel();
        state.waiters.push(LeaseWaiter { needs_place, answer });
        if self.is_free(&state) && !self.send(counts, &mut state, LeasePurpose::Acquire) {
            return Err(None);
        }
        Ok(told)
    }

    /// Tokens were taken, which the store is told soon.
    pub(in crate::state::limits) fn spend(
        &self,
        counts: &Arc<AllowanceCounts>,
        plan: &Arc<PlanLimits>,
        tokens: u32,
        period: Period,
    ) {
        let mut state = self.state();
        state.come_under(plan);
        state.tokens.spend(tokens, period, counts.tokens());
        self.shared.look_after(counts, &mut state);
    }

    /// Asks for places for those who stand in the queue, unless a call is on its way.
    pub(super) fn ask_for_places(&self, counts: &Arc<AllowanceCounts>) {
        let mut state = self.state();
        if self.is_free(&state) {
            self.send(counts, &mut state, LeasePurpose::Acquire);
        }
    }

    /// A request has ended. Where there are few places, others are to have its place at once.
    pub(in crate::state::limits) fn left(&self, counts: &Arc<AllowanceCounts>) {
        if self.spare.load(Ordering::Relaxed) == 0 && counts.concurrency.free() > 0 && self.can_ask() {
            let mut state = self.state();
            if self.is_free(&state) {
                self.send(counts, &mut state, LeasePurpose::Release);
            }
        }
    }

    /// Whether a call may begin: none is on its way, or only one that began before the store was lost.
    pub(super) fn is_free(&self, state: &LeaseState) -> bool {
        state.call.is_none_or(|(_, losses)| losses != self.shared.store.health().losses())
    }

    /// Begins a call, for all who wait. `false`: the store takes none, and they are told so.
    pub(super) fn send(&self, counts: &Arc<AllowanceCounts>, state: &mut LeaseState, purpose: LeasePurpose) -> bool {
        let Some(plan) = state.plan.clone() else { return false };
        let waiters = std::mem::take(&mut state.waiters);
        let wish = self.wish(counts, state, &plan, &waiters, purpose);
        state.unanswered += 1;
        state.call = Some((wish.number, self.shared.store.health().losses()));
        self.low.store(0, Ordering::Relaxed);
        self.shared.look_after(counts, state);
        let (shared, counts, caller) = (Arc::clone(&self.shared), Arc::clone(counts), self.caller);
        let sent = self.shared.store.submit(move |calls| async move {
            let grant = wish.ask(&shared.script, &shared.store, &calls, caller).await.ok();
            if let Some(lease) = counts.lease() {
                lease.settle(&counts, &wish, grant, waiters);
            }
            shared.answered.notify_one();
        });
        if !sent {
            state.call = None;
            state.unanswered -= 1;
        }
        sent
    }

    fn wish(
        &self,
        counts: &Arc<AllowanceCounts>,
        state: &mut LeaseState,
        plan: &PlanLimits,
        waiters: &[LeaseWaiter],
        purpose: LeasePurpose,
    ) -> LeaseWish {
        let now = self.shared.now();
        let waiting = u32::try_from(waiters.len()).unwrap_or(u32::MAX);
        let replicas = self.shared.store.health().replicas();
        state.calls += 1;
        let mut wish = LeaseWish {
            number: state.calls,
            call: purpose.name(),
            is_urgent: waiting > 0 || purpose == LeasePurpose::Acquire,
            period: plan.limiter.period,
            burst: plan.plan.burst.get(),
            concurrent: plan.plan.concurrent.get(),
            ..LeaseWish::default()
        };
        let quota = plan.quota();
        let period = quota.map_or(0, |(_, period)| period.number());

        self.reckon(state);
        let mut unused = std::mem::take(&mut state.late);
        if purpose == LeasePurpose::GiveBack {
            let (of, cells) = self.cells.drain();
            state.pace.had = 0;
            unused.add(of, cells);
        }
        if unused.cells > 0 {
            let back = if unused.period == period { unused.cells } else { 0 };
            if let Some((_, period)) = quota {
                state.quota.give_back(period, back, counts.quota());
            }
            wish.given_back = back;
            state.lease.held -= i64::from(back);
            self.shared.counters.returned.inc_by(back.into());
            self.shared.counters.void.inc_by((unused.cells - back).into());
        }
        wish.quota = quota.map(|(most, period)| state.quota.wish(most, period, counts.quota()));
        wish.tokens = plan.tokens().map(|(most, period)| state.tokens.wish(most, period, counts.tokens()));
        if purpose == LeasePurpose::Acquire {
            let left = quota.map_or(u32::MAX, |(most, _)| state.quota.left(most));
            let most = (wish.burst / 10).min(left / 100) / replicas;
            let has = self.cells.count(period);
            let ahead = state.pace.ahead(now, waiting, most);
            wish.cells = (waiting + ahead).saturating_sub(has);
            wish.needed = waiting.saturating_sub(has).min(wish.cells);
        }

        let spare = self.spare_places(counts, &wish, replicas, purpose);
        self.spare.store(spare, Ordering::Relaxed);
        let newcomers = u32::try_from(waiters.iter().filter(|waiter| waiter.needs_place).count()).unwrap_or(u32::MAX);
        let queued = if purpose == LeasePurpose::Acquire { counts.concurrency.queued() } else { 0 };
        let (held, free) = counts.concurrency.hold(newcomers + queued + spare);
        (wish.held, wish.places) = (held, (newcomers + queued + spare).saturating_sub(free));
        wish.places_needed = newcomers.saturating_sub(free);

        (wish.known, wish.debt) = state.loss.debt(now, self.until_whole(now), self.shared.parts());
        wish.known_of = state.loss.seed_of;
        (wish.taken_alone, wish.told_alone, wish.base) = (state.loss.taken, state.loss.told, state.loss.base);
        (wish.lease, wish.is_only) = (state.lease, state.unanswered == 0);
        (wish.sent, state.renewed) = (now, now);
        wish
    }

    /// Where there are many places, some are kept for whoever comes next.
    fn spare_places(&self, counts: &AllowanceCounts, wish: &LeaseWish, replicas: u32, purpose: LeasePurpose) -> u32 {
        let most = wish.concurrent / 10 / replicas;
        match purpose {
            LeasePurpose::GiveBack => 0,
            LeasePurpose::Release | LeasePurpose::Renew | LeasePurpose::Look => {
                self.spare.load(Ordering::Relaxed).min(most)
            }
            LeasePurpose::Acquire => most.min((counts.concurrency.in_flight() / 2).max(4)),
        }
    }

    /// Takes what the store has granted, and tells those who wait.
    fn settle(
        &self,
        counts: &Arc<AllowanceCounts>,
        wish: &LeaseWish,
        grant: Option<LeaseGrant>,
        waiters: Vec<LeaseWaiter>,
    ) {
        // Dropped when the lock is free again: who drops a permit looks into it.
        let mut unwanted = Vec::new();
        let mut state = self.state();
        let is_last = state.call.is_some_and(|(number, _)| number == wish.number);
        if is_last {
            state.call = None;
        }
        state.unanswered = state.unanswered.saturating_sub(1);
        // Dropped at the end, which tells them: what is left is read without the state.
        let _lookers = std::mem::take(&mut state.lookers);
        let Some(grant) = grant else {
            self.fail(&mut state);
            // Those who wait are told by that.
            state.waiters.clear();
            return;
        };
        let now = self.shared.now();
        let period = wish.quota.map_or(0, |quota| quota.period.number());
        // Who decides alone has taken them out of its own part: only those who still wait for them get them.
        let waiting = waiters.iter().filter(|waiter| !waiter.answer.is_closed()).count();
        let kept = if self.can_ask() { u32::MAX } else { u32::try_from(waiting).unwrap_or(u32::MAX) }.min(grant.cells);
        let one = nanos(wish.period);
        let whole = nanos(grant.whole).saturating_sub(one.saturating_mul((grant.cells - kept).into()));
        let one = one.saturating_mul(self.shared.parts().into());
        let here = self.whole_at.load(Ordering::Relaxed);
        let whole_at = state.loss.settle(wish.taken_alone, now + whole, one, here);
        let is_known = std::mem::replace(&mut state.loss.seed_of, grant.base.began) == grant.base.began;
        self.hear(&mut state, wish, now, is_known);
        // Until all have told what they know, a store that began anew knows less than this replica's own part.
        let whole_at = if self.can_ask() { whole_at } else { whole_at.max(here) };
        self.whole_at.store(whole_at, Ordering::Relaxed);
        // What was admitted since it was asked is older than its answer.
        if is_last && !state.loss.is_owed {
            state.loss.base = grant.base;
        }
        state.learn_quotas(wish, &grant, is_last, [counts.quota(), counts.tokens()]);
        if state.lease.number == wish.lease.number {
            state.lease.held += i64::from(grant.cells);
        }
        state.note_refusal(now, &grant);
        self.reckon(&mut state);
        self.shared.counters.granted.inc_by(grant.cells.into());
        state.late.add(period, grant.cells - kept);
        let void = self.cells.add(period, kept);
        self.shared.counters.void.inc_by(void.into());
        state.pace.had = self.cells.count(period);
        if is_last {
            counts.concurrency.grant(wish.held + grant.places);
        }
        let mut late = Vec::new();
        for waiter in waiters {
            if let Some(waiter) = self.tell(counts, period, waiter, grant.shortage, &mut unwanted) {
                late.push(waiter);
            }
        }
        counts.concurrency.hand_over_granted();
        // What they were to have, others took before them.
        late.append(&mut state.waiters);
        state.waiters = late;
        self.low.store(state.pace.low(), Ordering::Relaxed);
        if self.is_free(&state) {
            if !state.waiters.is_empty() {
                self.send(counts, &mut state, LeasePurpose::Acquire);
            } else if self.spare.load(Ordering::Relaxed) == 0 && counts.concurrency.free() > 0 {
                self.send(counts, &mut state, LeasePurpose::Release);
            }
        }
        drop(state);
        drop(unwanted);
    }

    /// Tells one who waits, who is given back if there is nothing to tell.
    fn tell(
        &self,
        counts: &Arc<AllowanceCounts>,
        period: u32,
        waiter: LeaseWaiter,
        shortage: Option<Shortage>,
        unwanted: &mut Vec<LeaseAnswer>,
    ) -> Option<LeaseWaiter> {
        if waiter.answer.is_closed() {
            return None;
        }
        let permit = if waiter.needs_place { ConcurrencyLimit::enter_granted(counts) } else { None };
        let answer = if waiter.needs_place && permit.is_none() {
            match shortage {
                Some(shortage) => LeaseAnswer::Refused(shortage),
                None if counts.concurrency.queued() > 0 => LeaseAnswer::Refused(Shortage::Places),
                None => return Some(waiter),
            }
        } else if self.cells.take(period).is_some() {
            LeaseAnswer::Admitted(permit)
        } else {
            unwanted.extend(permit.map(|permit| LeaseAnswer::Admitted(Some(permit))));
            match shortage {
                Some(shortage) => LeaseAnswer::Refused(shortage),
                None => return Some(waiter),
            }
        };
        if let Err(answer) = waiter.answer.send(answer) {
            if matches!(answer, LeaseAnswer::Admitted(_)) {
                self.cells.add(period, 1);
            }
            unwanted.push(answer);
        }
        None
    }

    /// Counts the cells that were taken.
    pub(super) fn reckon(&self, state: &mut LeaseState) {
        let used = state.pace.look(self.cells.all().1);
        self.shared.counters.used.inc_by(used.into());
    }

    /// A panic under the lock leaves numbers that the next answer puts right.
    pub(super) fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place and a cell that are there. Who has a place only may ask for a cell.
    pub(super) fn enter(&self, counts: &Arc<AllowanceCounts>, period: u32) -> (Option<Permit>, bool) {
        let permit = ConcurrencyLimit::enter_granted(counts);
        let has_cell = permit.is_some() && self.take_cell(counts, period);
        (permit, has_cell)
    }
}
