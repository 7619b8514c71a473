//! Whether what must be kept can be, in `state_dir`.

use std::io;

use super::Policy;
use crate::config::Problem;
use crate::state::folder;

impl Policy {
    /// Whether something must be kept: counts of quotas, or what chats remember, which a store does as well.
    pub(crate) fn keeps(&self) -> bool {
        self.has_quotas() || (self.remembers() && self.config.valkey.is_none())
    }

    /// Whether counts must be kept. A store keeps them, and a folder as well only if there is to be one.
    pub(crate) fn has_quotas(&self) -> bool {
        let (config, plans) = (&self.config, &self.config.plans);
        let is_kept_here = config.valkey.is_none() || config.names_state_dir;
        plans.iter().any(|plan| plan.tokens.is_some() || (is_kept_here && plan.quota.is_some()))
    }

    /// Says whether counts and chats can be kept, if they must be.
    pub(super) fn probe_state_dir(&self) -> Result<(), Problem> {
        if !self.keeps() {
            return Ok(());
        }
        folder::probe(&self.config.state_dir).map_err(|error| self.state_dir_problem(&error))
    }

    /// What must be kept cannot be.
    pub(crate) fn state_dir_problem(&self, error: &io::Error) -> Problem {
        if self.has_quotas() { self.quota_problem(error) } else { self.memory_problem(error) }
    }

    /// Chats of the built-in engine that cannot be kept.
    pub(crate) fn memory_problem(&self, error: &io::Error) -> Problem {
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
    pub(crate) fn quota_problem(&self, error: &io::Error) -> Problem {
        let plans = &self.config.plans;
        let with_quota = plans.iter().find(|plan| plan.quota.is_some()).map(|plan| (plan, "quota"));
        let counting =
            with_quota.or_else(|| plans.iter().find(|plan| plan.tokens.is_some()).map(|plan| (plan, "tokens")));
        let (plan, field) = counting.map_or(("", "quota"), |(plan, field)| (&*plan.name, field));
        Problem {
            file: self.config.path.clone(),
            at: None,
            field: format!("plans.{plan}.{field}"),
            message: format!(
                "its counts are kept in the folder {} (state_dir), which cannot be used: {error}",
                self.config.state_dir.display()
            ),
        }
    }
}
