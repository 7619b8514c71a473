use proptest::prelude::*;

use super::*;

#[test]
fn durations() {
    for (text, millis) in
        [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("0s", 0), ("8784h", 31_622_400_000)]
    {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "30", "s", "1.5s", "-1s", "+1s", "30 s", " 30s", "30S", "30sec", "1m30s", "1d", "١s", "1_0s"] {
        assert_eq!(parse_duration(text), Err(UnitError::Duration), "{text}");
    }
    for text in ["8785h", "18446744073709551615h", "18446744073709551616ms"] {
        assert_eq!(parse_duration(text), Err(UnitError::DurationTooLong), "{text}");
    }
    assert_eq!(parse_time_limit("0ms"), Err(UnitError::DurationZero));
    assert_eq!(parse_time_limit("1ms"), Ok(Duration::from_millis(1)));
}

#[test]
fn sizes() {
    for (text, bytes) in [("0", 0), ("1024", 1024), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1 << 30)] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "KiB", "64KB", "64K", "64kib", "64 KiB", "1.5MiB", "-1", "0x10", "1B"] {
        assert_eq!(parse_size(text), Err(UnitError::Size), "{text}");
    }
    for text in ["18446744073709551616", "17179869184GiB"] {
        assert_eq!(parse_size(text), Err(UnitError::SizeTooLarge), "{text}");
    }
}

#[test]
fn byte_rates() {
    for (text, bytes) in [("1KiB/s", 1024), ("500/s", 500), ("2MiB/s", 2 << 20)] {
        assert_eq!(parse_byte_rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
    }
    for text in ["", "/s", "0/s", "1KiB", "1KiB/min", "1 KiB/s", "-1/s", "1KB/s"] {
        assert_eq!(parse_byte_rate(text), Err(UnitError::ByteRate), "{text}");
    }
}

#[test]
fn rates() {
    for (text, count, seconds) in
        [("60/min", 60, 60), ("1/s", 1, 1), ("5/sec", 5, 1), ("100/hour", 100, 3_600), ("10000/day", 10_000, 86_400)]
    {
        let rate = Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(seconds) };
        assert_eq!(parse_rate(text), Ok(rate), "{text}");
    }
    for text in ["", "60", "/min", "60/m", "60/minute", "60 / min", "60/", "60/5min", "-1/s", "1.5/s"] {
        assert_eq!(parse_rate(text), Err(UnitError::Rate), "{text}");
    }
    assert_eq!(parse_rate("0/s"), Err(UnitError::RateZero));
    assert_eq!(parse_rate("4294967296/day"), Err(UnitError::RateTooHigh));
    assert_eq!(parse_rate("1000000001/s"), Err(UnitError::RateTooHigh));
}

#[test]
fn quotas() {
    for (text, count, per) in [
        ("10000/day", 10_000, QuotaPeriod::Day),
        ("1/month", 1, QuotaPeriod::Month),
        ("4294967295/month", u32::MAX, QuotaPeriod::Month),
    ] {
        assert_eq!(parse_quota(text), Ok(Quota { count: NonZeroU32::new(count).unwrap(), per }), "{text}");
    }
    for text in ["", "10", "/day", "10/hour", "10/ day", "-1/day", "1.5/day", "10/days"] {
        assert_eq!(parse_quota(text), Err(UnitError::Quota), "{text}");
    }
    for text in ["0/day", "4294967296/month"] {
        assert_eq!(parse_quota(text), Err(UnitError::QuotaNumber), "{text}");
    }
}

proptest! {
    #[test]
    fn a_written_duration_is_read_back(count in 0_u64..8784, unit in 0_usize..4) {
        let (name, millis) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)][unit];
        let length = Duration::from_millis(count * millis);
        prop_assert_eq!(parse_duration(&format!("{count}{name}")), Ok(length));
    }

    #[test]
    fn a_written_size_is_read_back(count in 0_u64..1 << 34, unit in 0_usize..4) {
        let (name, bytes) = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1_u64 << 30)][unit];
        prop_assert_eq!(parse_size(&format!("{count}{name}")), count.checked_mul(bytes).ok_or(UnitError::SizeTooLarge));
    }

    #[test]
    fn a_written_rate_is_read_back(count in 1_u32..1_000_000, unit in 0_usize..4) {
        let (name, seconds) = [("s", 1), ("min", 60), ("hour", 3_600), ("day", 86_400)][unit];
        let rate = Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(seconds) };
        prop_assert_eq!(parse_rate(&format!("{count}/{name}")), Ok(rate));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = (parse_duration(&text), parse_size(&text), parse_rate(&text));
    }
}
