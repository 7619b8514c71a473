//! Names in the store.

use super::RecordId;
use crate::state::limits::CallerTag;

/// The record of a key and a month.
pub(super) fn record(prefix: &str, id: &RecordId) -> String {
    CallerTag::key(&id.key).name(prefix, &format!("usage:{}", digits(&id.month)))
}

/// The ids of keys that have a record in that month.
pub(super) fn index(prefix: &str, month: &str) -> String {
    format!("{prefix}v1:usage:{}", digits(month))
}

/// 202611 of 2026-11.
fn digits(month: &str) -> String {
    month.chars().filter(char::is_ascii_digit).collect()
}
