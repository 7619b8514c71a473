//! How much was used, and the day on which it was.

use std::fmt;
use std::ops::AddAssign;

use jiff::Timestamp;
use jiff::tz::Offset;

/// How much was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageTotals {
    pub(crate) requests: u64,
    /// Of these.
    pub(crate) refused: u64,
    /// As models' providers count them.
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
}

/// Four numbers, as the store that replicas share has them.
impl fmt::Display for UsageTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, refused, tokens_in, tokens_out } = self;
        write!(f, "{requests} {refused} {tokens_in} {tokens_out}")
    }
}

impl UsageTotals {
    /// Of the four numbers.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let read = Self { requests: next()?, refused: next()?, tokens_in: next()?, tokens_out: next()? };
        numbers.next().is_none().then_some(read)
    }

    pub(super) fn without(self, less: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(less.requests),
            refused: self.refused.saturating_sub(less.refused),
            tokens_in: self.tokens_in.saturating_sub(less.tokens_in),
            tokens_out: self.tokens_out.saturating_sub(less.tokens_out),
        }
    }
}

impl AddAssign for UsageTotals {
    fn add_assign(&mut self, more: Self) {
        for (sum, more) in [
            (&mut self.requests, more.requests),
            (&mut self.refused, more.refused),
            (&mut self.tokens_in, more.tokens_in),
            (&mut self.tokens_out, more.tokens_out),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A day of UTC as it is written: `2026-11-29`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UsageDay(Box<str>);

impl UsageDay {
    pub(crate) fn of(now: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(now).date().to_string().into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is written: `2026-11`.
    pub(crate) fn month(&self) -> &str {
        self.0.get(..7).unwrap_or_default()
    }

    /// Its number in the month as it is written: `29`.
    pub(super) fn of_month(&self) -> &str {
        self.0.get(8..).unwrap_or_default()
    }
}

#[cfg(test)]
impl From<&str> for UsageDay {
    fn from(day: &str) -> Self {
        Self(day.into())
    }
}
