//! What a process counts after its successor has taken up its counts: told to the successor, which adds it.

use super::ledger::QuotaCounts;
use super::usage::UsageHistory;

/// See the module.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LateCounts {
    pub(crate) quotas: QuotaCounts,
    pub(crate) usage: UsageHistory,
}

impl LateCounts {
    pub(crate) fn is_empty(&self) -> bool {
        self.quotas.is_empty() && self.usage.is_empty()
    }
}
