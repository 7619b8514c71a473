//! Durations (`250ms`, `30s`, `5m`, `2h`), sizes (`64KiB`, `10MiB`, plain bytes), rates (`60/min`, `1KiB/s`) and
//! quotas (`10000/day`).
//!
//! Whole numbers only, with one spelling per unit; nothing is rounded and nothing overflows silently.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use thiserror::Error;

use super::{Quota, QuotaPeriod, Rate};

/// The longest duration: one year. Timers add it to the present without overflow.
pub(crate) const MAX_DURATION: Duration = Duration::from_hours(366 * 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum UnitError {
    #[error("expected a duration such as 250ms, 30s or 5m")]
    Duration,
    #[error("a duration of more than a year")]
    DurationTooLong,
    #[error("a duration of zero makes no sense here; expected one such as 250ms, 30s or 5m")]
    DurationZero,
    #[error("expected a size such as 64KiB, 10MiB or a plain number of bytes")]
    Size,
    #[error("a size too large to count")]
    SizeTooLarge,
    #[error("expected bytes a second such as 1KiB/s, or null")]
    ByteRate,
    #[error("expected a rate such as 60/min; units are s, min, hour and day")]
    Rate,
    #[error("expected a rate of at least one, such as 60/min")]
    RateZero,
    #[error("a rate too high to tell its requests apart")]
    RateTooHigh,
    #[error("expected a quota such as 10000/day or 100000/month")]
    Quota,
    #[error("expected a quota between 1 and 4294967295, such as 10000/day")]
    QuotaNumber,
}

/// A duration; zero is allowed.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (digits, unit) = split_number(text).ok_or(UnitError::Duration)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(UnitError::Duration),
    };
    // What is not a number any more is too long a number: there are only digits.
    let count: u64 = digits.parse().map_err(|_| UnitError::DurationTooLong)?;
    let millis = count.checked_mul(factor).ok_or(UnitError::DurationTooLong)?;
    Some(Duration::from_millis(millis)).filter(|length| *length <= MAX_DURATION).ok_or(UnitError::DurationTooLong)
}

/// A duration above zero.
pub(crate) fn parse_time_limit(text: &str) -> Result<Duration, UnitError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(UnitError::DurationZero),
        limit => Ok(limit),
    }
}

/// A size in bytes; zero is allowed.
pub(crate) fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (digits, unit) = split_number(text).ok_or(UnitError::Size)?;
    let factor: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::Size),
    };
    let count: u64 = digits.parse().map_err(|_| UnitError::SizeTooLarge)?;
    count.checked_mul(factor).ok_or(UnitError::SizeTooLarge)
}

/// Bytes a second, at least one.
pub(crate) fn parse_byte_rate(text: &str) -> Result<NonZeroU64, UnitError> {
    let size = text.strip_suffix("/s").ok_or(UnitError::ByteRate)?;
    parse_size(size).ok().and_then(NonZeroU64::new).ok_or(UnitError::ByteRate)
}

/// A rate of at least one per day and at most one per nanosecond.
pub(crate) fn parse_rate(text: &str) -> Result<Rate, UnitError> {
    let (digits, unit) = split_number(text).ok_or(UnitError::Rate)?;
    let seconds = match unit {
        "/s" | "/sec" => 1,
        "/min" => 60,
        "/hour" => 3_600,
        "/day" => 86_400,
        _ => return Err(UnitError::Rate),
    };
    let count: u32 = digits.parse().map_err(|_| UnitError::RateTooHigh)?;
    let count = NonZeroU32::new(count).ok_or(UnitError::RateZero)?;
    let per = Duration::from_secs(seconds);
    if (per / count.get()).is_zero() {
        return Err(UnitError::RateTooHigh);
    }
    Ok(Rate { count, per })
}

/// A count per calendar day or month.
pub(crate) fn parse_quota(text: &str) -> Result<Quota, UnitError> {
    let (digits, unit) = split_number(text).ok_or(UnitError::Quota)?;
    let per = match unit {
        "/day" => QuotaPeriod::Day,
        "/month" => QuotaPeriod::Month,
        _ => return Err(UnitError::Quota),
    };
    let count = digits.parse().map_err(|_| UnitError::QuotaNumber)?;
    Ok(Quota { count, per })
}

/// Splits `250ms` into its digits, at least one, and the rest.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())
}

#[cfg(test)]
mod tests;
