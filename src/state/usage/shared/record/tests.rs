use super::*;

fn used(requests: u64) -> UsageTotals {
    UsageTotals { requests, ..UsageTotals::default() }
}

fn rows(told: &ReportedRows) -> Vec<(&str, u64)> {
    told.rows.iter().map(|(name, used)| (&**name, used.requests)).collect()
}

fn listed() -> UsageRecord {
    UsageRecord { is_listed: true, ..UsageRecord::default() }
}

#[test]
fn what_has_changed_is_told_in_whole_totals_until_it_is_heard() {
    let (mut record, now) = (listed(), Instant::now());
    assert!(!record.is_owed());
    record.add("c:x", used(1));
    record.add("c:y", used(2));
    let first = record.told("me", now);
    record.add("c:x", used(4));
    assert_eq!((rows(&first), first.answered), (vec![("c:x", 1), ("c:y", 2)], 0));
    // Nobody knows whether it has arrived.
    let second = record.told("me", now);
    assert_eq!(rows(&second), [("c:x", 5), ("c:y", 2)]);
    record.add("c:x", used(8));
    record.heard(&second, false, now);
    let third = record.told("me", now);
    assert_eq!((rows(&third), third.call, third.answered), (vec![("c:x", 13)], 3, 2));
    record.heard(&third, false, now);
    assert!(!record.is_owed() && record.told("me", now).rows.is_empty());
}

#[test]
fn all_is_told_again_when_the_store_lacks_something() {
    let (mut record, now) = (listed(), Instant::now());
    record.add("c:x", used(1));
    record.add("d:29", used(1));
    let first = record.told("me", now);
    record.heard(&first, true, now);
    assert!(record.is_owed() && !record.is_listed);
    assert_eq!(rows(&record.told("me", now)), [("c:x", 1), ("d:29", 1)]);
}

#[test]
fn who_was_cut_off_for_long_goes_on_under_another_name_with_what_is_new() {
    let (mut record, now) = (listed(), Instant::now());
    record.add("c:x", used(3));
    let first = record.told("me", now);
    record.heard(&first, false, now);
    record.add("c:x", used(2));
    let later = record.told("me", now + FORGOTTEN);
    assert_eq!((&*later.name, later.answered, rows(&later)), ("me.1", 0, vec![("c:x", 2)]));
    record.heard(&later, false, now + FORGOTTEN);
    record.add("c:x", used(1));
    let last = record.told("me", now + FORGOTTEN);
    assert_eq!((&*last.name, last.answered, rows(&last)), ("me.1", later.call, vec![("c:x", 3)]));
}
