//! How times, counts and names are told.

use jiff::Timestamp;

use super::super::overview::Overview;
use crate::snapshot::Snapshot;

const DAY: i64 = 24 * 60 * 60;

/// The value of a name in a query, as far as it is plain.
pub(super) fn asked<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A time as it is told.
pub(super) fn told(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// The second of the process that it is now.
pub(super) fn now(overview: &Overview) -> u32 {
    overview.state.recent.seconds(std::time::Instant::now())
}

/// The plan's name, by its index.
pub(super) fn plan_name(snapshot: &Snapshot, plan: usize) -> &str {
    snapshot.config.plans.get(plan).map_or("-", |plan| &plan.name)
}

/// Whole days until then; below 0 once it is over.
pub(super) fn days_left(end: i64, now: Timestamp) -> i64 {
    (end - now.as_second()).div_euclid(DAY)
}

/// `1 key`, `2 keys`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
