//! Counts of quotas: out of a snapshot and, after a restart, into one.

use jiff::Timestamp;

use super::Snapshot;
use crate::config::Problem;
use crate::state::ledger::{self, Counts};

impl Snapshot {
    /// Whether something was charged to a quota since the last call.
    pub(crate) fn take_charged(&self) -> bool {
        self.plans.iter().fold(false, |charged, plan| plan.take_charged() | charged)
    }

    /// What has been counted in the running day or month.
    pub(crate) fn counts(&self) -> Counts {
        let now = Timestamp::now();
        let keys = self.keys.keys().iter().zip(&self.allowances);
        let keys = keys.filter_map(|(key, allowance)| Some((key.id.to_string(), allowance.counted(now)?))).collect();
        let mut counts = Counts { keys, ..Counts::default() };
        for visitors in self.visitors.iter().flatten() {
            let plan = counts.visitors.entry(visitors.plan.name().to_string()).or_default();
            visitors.counted(now, |visitor, counted| {
                plan.insert(visitor.to_string(), counted);
            });
        }
        counts.visitors.retain(|_, visitors| !visitors.is_empty());
        counts
    }

    /// Takes up what was counted before a restart; whoever is no longer known has no count.
    pub(crate) fn restore(&self, counts: &Counts) {
        let now = Timestamp::now();
        for (key, allowance) in self.keys.keys().iter().zip(&self.allowances) {
            if let Some(counted) = counts.keys.get(&*key.id).filter(|counted| counted.is_current(now)) {
                allowance.restore(*counted);
            }
        }
        for visitors in self.visitors.iter().flatten() {
            let of_plan = counts.visitors.get(&**visitors.plan.name()).into_iter().flatten();
            for (visitor, counted) in of_plan.filter(|(_, counted)| counted.is_current(now)) {
                if let Ok(visitor) = visitor.parse() {
                    visitors.restore(visitor, *counted);
                }
            }
        }
    }

    /// Whether counts must be kept.
    pub(crate) fn has_quotas(&self) -> bool {
        self.config.plans.iter().any(|plan| plan.quota.is_some())
    }

    /// Says whether counts and chats can be kept, if they must be.
    pub(super) fn probe_state_dir(&self) -> Result<(), Problem> {
        if !self.has_quotas() && !self.remembers() {
            return Ok(());
        }
        ledger::probe(&self.config.state_dir).map_err(|error| {
            if self.has_quotas() { self.state_dir_problem(&error) } else { self.memory_problem(&error) }
        })
    }

    /// Chats of the built-in engine that cannot be kept.
    pub(crate) fn memory_problem(&self, error: &std::io::Error) -> Problem {
        Problem {
            file: self.config.path.clone(),
            at: None,
            field: "state_dir".to_owned(),
            message: format!(
                "what chats remember is kept in the folder {}, which cannot be used: {error}",
                self.config.state_dir.display()
            ),
        }
    }

    /// A quota whose counts cannot be kept.
    pub(crate) fn state_dir_problem(&self, error: &std::io::Error) -> Problem {
        let plan = self.config.plans.iter().find(|plan| plan.quota.is_some());
        Problem {
            file: self.config.path.clone(),
            at: None,
            field: format!("plans.{}.quota", plan.map_or("", |plan| &plan.name)),
            message: format!(
                "its counts are kept in the folder {} (state_dir), which cannot be used: {error}",
                self.config.state_dir.display()
            ),
        }
    }
}
