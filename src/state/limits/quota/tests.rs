use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn periods_are_days_and_months_of_utc() {
    for (per, now, number, left) in [
        (QuotaPeriod::Day, "2026-11-23T00:00:00Z", 20_261_123, 86_400),
        (QuotaPeriod::Day, "2026-11-23T23:59:59.9Z", 20_261_123, 1),
        (QuotaPeriod::Day, "2026-11-24T01:00:00+02:00", 20_261_123, 3600),
        (QuotaPeriod::Month, "2026-11-30T23:59:59Z", 202_611, 1),
        (QuotaPeriod::Month, "2026-11-01T00:00:00Z", 202_611, 30 * 86_400),
        (QuotaPeriod::Month, "2028-02-28T12:00:00Z", 202_802, 86_400 + 43_200),
        (QuotaPeriod::Month, "2026-12-31T23:59:58Z", 202_612, 2),
    ] {
        assert_eq!(Period::of(per, at(now)), Period { number, left }, "{now}");
    }
}

#[test]
fn a_quota_is_used_up_and_starts_anew() {
    let count = QuotaCounter::default();
    let monday = Period::of(QuotaPeriod::Day, at("2026-11-23T23:59:50Z"));
    assert_eq!(count.charge(2, monday), Ok(Left { remaining: 1, reset: 10 }));
    assert_eq!(count.charge(2, monday), Ok(Left { remaining: 0, reset: 10 }));
    assert_eq!(count.charge(2, monday), Err(Left { remaining: 0, reset: 10 }));
    // Another number for the same period counts on, be it larger or smaller.
    assert_eq!(count.charge(3, monday), Ok(Left { remaining: 0, reset: 10 }));
    assert_eq!(count.charge(1, monday), Err(Left { remaining: 0, reset: 10 }));
    assert_eq!(count.left(5, monday).remaining, 2);
    let tuesday = Period::of(QuotaPeriod::Day, at("2026-11-24T00:00:00Z"));
    assert_eq!(count.left(2, tuesday).remaining, 2);
    assert_eq!(count.charge(2, tuesday), Ok(Left { remaining: 1, reset: 86_400 }));
}

#[test]
fn what_was_used_is_counted_beyond_the_limit_and_never_wraps() {
    let count = QuotaCounter::default();
    let monday = Period::of(QuotaPeriod::Day, at("2026-11-23T12:00:00Z"));
    count.add(7, monday);
    assert_eq!(count.left(10, monday).remaining, 3);
    count.add(9, monday);
    assert_eq!((count.left(10, monday).remaining, count.left(20, monday).remaining), (0, 4));
    count.add(u32::MAX, monday);
    assert_eq!(count.left(u32::MAX, monday).remaining, 0);
    count.add(1, Period::of(QuotaPeriod::Day, at("2026-11-24T12:00:00Z")));
    assert_eq!(count.left(10, monday).remaining, 10, "another day has begun");
}

#[test]
fn only_what_still_counts_is_kept() {
    let count = QuotaCounter::default();
    assert_eq!(count.read(at("2026-11-23T10:00:00Z")), None);
    let _ = count.charge(9, Period::of(QuotaPeriod::Day, at("2026-11-23T10:00:00Z")));
    let kept = count.read(at("2026-11-23T23:00:00Z")).unwrap();
    assert_eq!(serde_json::to_string(&kept).unwrap(), r#"{"period":20261123,"count":1}"#);
    assert_eq!(count.read(at("2026-11-24T00:00:00Z")), None);
    let other = QuotaCounter::default();
    other.restore(kept);
    assert_eq!(other.left(9, Period::of(QuotaPeriod::Day, at("2026-11-23T11:00:00Z"))).remaining, 8);
}

#[test]
fn what_another_process_counted_is_added_once() {
    let now = at("2026-11-23T10:00:00Z");
    let today = Period::of(QuotaPeriod::Day, now);
    let [before, after] = [3, 5].map(|count| QuotaCount::new(today, count));
    assert_eq!(after.since(Some(before)), Some(QuotaCount::new(today, 2)));
    assert_eq!((before.since(Some(before)), before.since(None)), (None, Some(before)));
    let yesterday = QuotaCount { period: 20_261_122, count: 9 };
    assert_eq!(after.since(Some(yesterday)), Some(after), "another day");
    let here = QuotaCounter::default();
    here.add_counted(before, now);
    here.add_counted(before, now);
    here.add_counted(yesterday, now);
    assert_eq!(here.read(now), Some(QuotaCount::new(today, 6)));
}

#[test]
fn threads_count_together_over_the_turn_of_a_period() {
    let count = QuotaCounter::default();
    let days = ["2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"].map(|now| Period::of(QuotaPeriod::Day, at(now)));
    for day in days {
        let granted: usize = std::thread::scope(|scope| {
            let charge = || (0..600).filter(|_| count.charge(1000, day).is_ok()).count();
            [scope.spawn(charge), scope.spawn(charge)].map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(granted, 1000);
    }
}
