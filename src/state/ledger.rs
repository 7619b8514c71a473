//! Quota counts on disk, so that they survive a restart: `quota.json` in `state_dir`.
//!
//! Written off the request path, at most once a second and only if something was counted: a temporary file, synced,
//! renamed over the old one. So a crash loses what was counted in the last second or so, and a clean stop nothing. The
//! file is plain JSON: whoever stops the gateway may edit it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::folder::{self, FolderLock};
pub(crate) use super::limits::quota::QuotaCount;

const FILE: &str = "quota.json";
/// Held while a process keeps its counts in the folder.
const LOCK: &str = "quota.lock";
/// Far more than full tables of several plans take.
const LONGEST: u64 = 64 << 20;
const WHAT: &str = "the counts of quotas";

/// What has been counted: requests, and tokens where some plan limits them.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaCounts {
    pub(crate) keys: CountsByName,
    pub(crate) visitors: VisitorCounts,
    /// Left out where there are none, as before there was such a limit.
    #[serde(default, skip_serializing_if = "CallerCounts::is_empty")]
    pub(crate) tokens: CallerCounts,
}

/// Of keys, and of visitors.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerCounts {
    pub(crate) keys: CountsByName,
    pub(crate) visitors: VisitorCounts,
}

impl QuotaCounts {
    /// What has been counted since it was `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            keys: each_since(&self.keys, &before.keys),
            visitors: visitors_since(&self.visitors, &before.visitors),
            tokens: CallerCounts {
                keys: each_since(&self.tokens.keys, &before.tokens.keys),
                visitors: visitors_since(&self.tokens.visitors, &before.tokens.visitors),
            },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn each_since(now: &CountsByName, before: &CountsByName) -> CountsByName {
    now.iter().filter_map(|(name, count)| Some((name.clone(), count.since(before.get(name).copied())?))).collect()
}

fn visitors_since(now: &VisitorCounts, before: &VisitorCounts) -> VisitorCounts {
    let none = CountsByName::new();
    let of_plan = |(plan, now): (&String, &CountsByName)| {
        let since = each_since(now, before.get(plan).unwrap_or(&none));
        (!since.is_empty()).then(|| (plan.clone(), since))
    };
    now.iter().filter_map(of_plan).collect()
}

/// By key, or by visitor.
type CountsByName = BTreeMap<String, QuotaCount>;

/// By plan and visitor.
type VisitorCounts = BTreeMap<String, CountsByName>;

impl CallerCounts {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.visitors.is_empty()
    }
}

/// The counts in one folder, which are this process's alone for as long as this lives.
#[derive(Debug)]
pub(crate) struct Ledger(FolderLock);

impl Ledger {
    /// Takes the folder, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be used, or another process has it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        FolderLock::take(folder, LOCK).map(Self)
    }

    /// Whether these are the counts of that folder. It may have been removed, and made anew.
    pub(crate) fn is_of(&self, folder: &Path) -> bool {
        self.0.is_of(folder)
    }

    /// # Errors
    /// They cannot be read at all. What cannot be understood is kept aside, and its loss logged.
    pub(crate) fn read(&self) -> io::Result<QuotaCounts> {
        read(self.0.folder())
    }

    /// Replaces the counts.
    pub(crate) fn write(&self, counts: &QuotaCounts) -> io::Result<()> {
        write(self.0.folder(), counts)
    }
}

fn read(folder: &Path) -> io::Result<QuotaCounts> {
    folder::read_json(folder, FILE, LONGEST, WHAT)
}

fn write(folder: &Path, counts: &QuotaCounts) -> io::Result<()> {
    folder::replace(folder, FILE, &serde_json::to_vec(counts)?)
}

#[cfg(test)]
mod tests;
