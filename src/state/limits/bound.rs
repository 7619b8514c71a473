//! What callers have used, by the ids of keys and plans, and the tables in which the requests of one policy find it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus::IntCounter;

use super::allowance::{Allowance, CountedUnit, Used};
use super::keys::{KeyAllowances, KnownKeys};
use super::penalty::Penalties;
use super::plan::{Charged, PlanLimits};
use super::quota::QuotaCount;
use super::shared::SharedLimits;
use super::visitors::Visitors;
use crate::config::{AuthFailures, Plan};
use crate::keys::KeyStore;
use crate::state::ledger::{CallerCounts, QuotaCounts};
use crate::state::valkey::SharedStore;

/// See the module. One for the process.
#[derive(Debug)]
pub(crate) struct LimitState {
    tables: Mutex<BoundTables>,
    keys: Arc<KnownKeys>,
    charged: Arc<Charged>,
    delayed: IntCounter,
    /// `None`: this process is alone.
    shared: Option<Arc<SharedLimits>>,
}

/// What the policy has that was bound last.
#[derive(Debug, Default)]
struct BoundTables {
    plans: HashMap<Arc<str>, Arc<PlanLimits>>,
    /// By the plan's name.
    visitors: HashMap<Arc<str>, Arc<Visitors>>,
    penalties: Option<Arc<Penalties>>,
}

/// Whom a policy limits, and how.
pub(crate) struct LimitPolicy<'a> {
    pub(crate) plans: &'a [Plan],
    /// Of visitors of what is no chatflow.
    pub(crate) anonymous: &'a Plan,
    /// Indices of the plans that chatflows have for visitors.
    pub(crate) for_visitors: BTreeSet<usize>,
    /// Each with a plan of these.
    pub(crate) keys: &'a Arc<KeyStore>,
    /// `None`: wrong keys are not counted.
    pub(crate) auth_failures: Option<AuthFailures>,
}

/// The limits of one policy's keys and plans.
#[derive(Debug)]
pub(crate) struct BoundLimits {
    keys: KeyAllowances,
    /// Of the plan with the same index, if some chatflow has it for callers without a key.
    visitors: Vec<Option<Arc<Visitors>>>,
    anonymous: Arc<Visitors>,
    penalties: Option<Arc<Penalties>>,
}

impl LimitState {
    /// `delayed`: counts answers that were held back.
    pub(crate) fn new(delayed: &IntCounter) -> Self {
        let (tables, keys, charged) = Default::default();
        Self { tables, keys, charged, delayed: delayed.clone(), shared: None }
    }

    /// The same, shared by the replicas that use that store.
    pub(crate) fn shared_in(self, store: &Arc<SharedStore>) -> Self {
        Self { shared: Some(SharedLimits::start(store)), ..self }
    }

    /// What was used by the keys, plans and visitors of a policy that comes into force. Of others nothing is kept.
    pub(crate) fn bind(&self, policy: &LimitPolicy<'_>) -> BoundLimits {
        let mut tables = self.tables();
        let plans: Vec<_> = policy.plans.iter().map(|plan| self.plan(&tables, plan)).collect();
        let anonymous = plans.iter().find(|plan| *plan.name() == policy.anonymous.name);
        let anonymous = anonymous.map_or_else(|| self.plan(&tables, policy.anonymous), Arc::clone);
        let keys = self.keys.bind(policy.keys, plans.iter().chain([&anonymous]).map(Arc::clone).collect());
        let of_plan = |plan: &Arc<PlanLimits>| {
            let before = tables.visitors.get(plan.name());
            Arc::new(Visitors::new(plan, before.map(|before| &**before)))
        };
        let of_anonymous = of_plan(&anonymous);
        let visitors: Vec<_> = (plans.iter().enumerate())
            .map(|(index, plan)| match policy.for_visitors.contains(&index) {
                _ if Arc::ptr_eq(plan, &anonymous) => Some(Arc::clone(&of_anonymous)),
                true => Some(of_plan(plan)),
                false => None,
            })
            .collect();
        let same =
            policy.auth_failures.and_then(|settings| tables.penalties.take().filter(|now| now.is_for(&settings)));
        let new = |settings| Arc::new(Penalties::new(settings, &self.delayed));
        let penalties = same.or_else(|| policy.auth_failures.map(new));
        let named = visitors.iter().flatten().chain([&of_anonymous]);
        *tables = BoundTables {
            visitors: named.map(|visitors| (Arc::clone(visitors.plan.name()), Arc::clone(visitors))).collect(),
            plans: plans.into_iter().map(|plan| (Arc::clone(plan.name()), plan)).collect(),
            penalties: penalties.clone(),
        };
        BoundLimits { keys, visitors, anonymous: of_anonymous, penalties }
    }

    fn plan(&self, tables: &BoundTables, plan: &Plan) -> Arc<PlanLimits> {
        let before = tables.plans.get(&plan.name).map(|before| &**before);
        Arc::new(PlanLimits::new(plan, before, &self.charged).shared_by(self.shared.as_ref()))
    }

    /// Forgets visitors whom nobody needs to remember. To be called about once a second.
    pub(crate) fn sweep(&self) {
        let (visitors, penalties) = {
            let tables = self.tables();
            (tables.visitors.values().map(Arc::clone).collect::<Vec<_>>(), tables.penalties.clone())
        };
        for visitors in visitors {
            visitors.sweep();
        }
        if let Some(penalties) = penalties {
            penalties.sweep();
        }
    }

    /// Whether something was charged to a quota or to tokens since the last call.
    pub(crate) fn take_charged(&self) -> bool {
        self.charged.take()
    }

    /// What has been counted in the running day or month.
    pub(crate) fn counts(&self) -> QuotaCounts {
        let (tables, now) = (self.tables(), Timestamp::now());
        let count = |what| CallerCounts { keys: self.keys.counted(what, now), visitors: tables.visitors(what, now) };
        let CallerCounts { keys, visitors } = count(CountedUnit::Requests);
        QuotaCounts { keys, visitors, tokens: count(CountedUnit::Tokens) }
    }

    /// Takes up what was counted before a restart; whoever is no longer known has no count.
    pub(crate) fn restore(&self, counts: QuotaCounts) {
        self.take_up(counts, &Used::restore);
    }

    /// Adds what another process has counted for the same callers.
    pub(crate) fn add(&self, counts: QuotaCounts) {
        self.take_up(counts, &Used::add);
        self.charged.note();
    }

    /// `take`: sets a count, or adds to it.
    fn take_up(&self, counts: QuotaCounts, take: &dyn Fn(&Used, CountedUnit, QuotaCount)) {
        let (tables, now) = (self.tables(), Timestamp::now());
        let QuotaCounts { keys, visitors, tokens } = counts;
        for (what, counts) in [(CountedUnit::Requests, CallerCounts { keys, visitors }), (CountedUnit::Tokens, tokens)]
        {
            for (id, counted) in counts.keys.iter().filter(|(_, counted)| counted.is_current(now)) {
                self.keys.take_up(id, |used| take(used, what, *counted));
            }
            tables.take_up(what, &counts, now, take);
        }
    }

    /// A panic under the lock leaves the tables of one policy or of the other.
    fn tables(&self) -> MutexGuard<'_, BoundTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoundTables {
    /// What visitors have used, by plan.
    fn visitors(&self, what: CountedUnit, now: Timestamp) -> BTreeMap<String, BTreeMap<String, QuotaCount>> {
        let mut counts = BTreeMap::new();
        for (plan, visitors) in &self.visitors {
            let mut of_plan = BTreeMap::new();
            visitors.counted(what, now, |visitor, counted| {
                of_plan.insert(visitor.to_string(), counted);
            });
            if !of_plan.is_empty() {
                counts.insert(plan.to_string(), of_plan);
            }
        }
        counts
    }

    /// The visitors among those who are counted.
    fn take_up(
        &self,
        what: CountedUnit,
        counts: &CallerCounts,
        now: Timestamp,
        take: &dyn Fn(&Used, CountedUnit, QuotaCount),
    ) {
        for (plan, visitors) in &self.visitors {
            let of_plan = counts.visitors.get(&**plan).into_iter().flatten();
            for (visitor, counted) in of_plan.filter(|(_, counted)| counted.is_current(now)) {
                if let Ok(visitor) = visitor.parse() {
                    visitors.take_up(visitor, |used| take(used, what, *counted));
                }
            }
        }
    }
}

impl BoundLimits {
    /// Of the policy's key with that index.
    pub(crate) fn key(&self, index: u32) -> Option<&Allowance> {
        self.keys.get(index)
    }

    /// Of visitors under the policy's plan with that index; `None`: of what is no chatflow.
    pub(crate) fn visitors(&self, plan: Option<usize>) -> &Visitors {
        plan.and_then(|index| self.visitors.get(index)?.as_ref()).unwrap_or(&self.anonymous)
    }

    pub(crate) fn penalties(&self) -> Option<&Penalties> {
        self.penalties.as_deref()
    }
}

#[cfg(test)]
mod tests;
