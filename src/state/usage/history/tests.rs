use super::*;

fn used(requests: u64) -> UsageTotals {
    UsageTotals { requests, tokens_in: 7, ..UsageTotals::default() }
}

#[test]
fn totals_are_read_as_they_are_written() {
    let totals = UsageTotals { requests: 1, refused: 0, tokens_in: u64::MAX, tokens_out: 3 };
    assert_eq!(UsageTotals::read(&totals.to_string()), Some(totals));
    for text in ["", "1 2 3", "1 2 3 4 5", "1 2 3 -4", "1 2 3 x", "1  2 3 4"] {
        assert_eq!(UsageTotals::read(text), None, "{text}");
    }
}

#[test]
fn a_day_is_one_of_utc() {
    let day = UsageDay::of("2026-12-01T00:30:00+01:00".parse().unwrap());
    assert_eq!((&day, day.month()), (&"2026-11-30".into(), "2026-11"));
}

#[test]
fn days_add_up_to_months() {
    let (mut history, mut other) = (UsageHistory::default(), UsageHistory::default());
    history.add(&"2026-11-28".into(), "a", "x", used(1));
    other.add(&"2026-11-28".into(), "a", "y", used(2));
    other.add(&"2026-11-29".into(), "a", "x", used(4));
    other.add(&"2026-12-01".into(), "a", "x", used(8));
    history.merge(other);
    let month: Vec<_> = history.of_month("2026-11").map(|(_, chatflow, used)| (chatflow, used.requests)).collect();
    assert_eq!(month, [("x", 5), ("y", 2)]);
    let days: Vec<_> =
        history.days_of("2026-11", "a").into_iter().map(|(day, used)| (day, used.requests, used.tokens_in)).collect();
    assert_eq!(days, [("2026-11-28", 3, 14), ("2026-11-29", 4, 7)]);
    assert!(history.days_of("2026-11", "b").is_empty());
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<UsageHistory>(&text).unwrap(), history);
}

#[test]
fn what_is_old_or_too_much_is_forgotten() {
    let mut history = UsageHistory::default();
    for month in 1..=12 {
        for year in 2024..=2026 {
            for day in 1..=28 {
                history.add(&(&*format!("{year}-{month:02}-{day:02}")).into(), "a", "x", used(1));
            }
        }
    }
    history.trim();
    assert_eq!((history.days.len(), history.months.len()), (MOST_DAYS, MOST_MONTHS));
    assert_eq!(history.months.first_key_value().unwrap().0.as_ref(), "2025-01");
    for key in 0..MOST_ROWS {
        history.add(&"2026-12-31".into(), &key.to_string(), "x", used(1));
    }
    history.trim();
    assert_eq!((history.days.len(), history.months.len()), (1, MOST_MONTHS), "the running day is kept");
}
