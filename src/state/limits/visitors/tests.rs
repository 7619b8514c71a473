use super::*;
use crate::config::{Plan, QuotaPeriod};
use crate::state::limits::Exceeded;
use crate::state::limits::allowance::AdmitDecision;
use crate::state::limits::tests::{plan, with_quota};

fn visitors(plan: &Plan, previous: Option<&Visitors>) -> Visitors {
    let limits = PlanLimits::new(plan, previous.map(|previous| &*previous.plan), &Arc::default());
    Visitors::new(&Arc::new(limits), previous)
}

fn at(number: u32) -> Visitor {
    Visitor::V4(number.to_be_bytes())
}

fn admit(visitors: &Visitors, number: u32) -> AdmitDecision {
    visitors.allowance(at(number)).admit().now().decided()
}

fn refused(visitors: &Visitors, number: u32) -> Option<Exceeded> {
    admit(visitors, number).0.err()
}

#[test]
fn each_visitor_has_limits_of_its_own_and_keeps_them_over_a_reload() {
    let before = visitors(&plan(1, 60, 1, 1), None);
    assert_eq!(refused(&before, 1), None);
    assert!(matches!(refused(&before, 1), Some(Exceeded::Rate { .. })));
    assert_eq!(refused(&before, 2), None);
    let same = visitors(&plan(1, 60, 1, 2), Some(&before));
    assert!(matches!(refused(&same, 1), Some(Exceeded::Rate { .. })));
    let (permit, _) = admit(&same, 3);
    let changed = visitors(&plan(60, 60, 9, 1), Some(&same));
    assert_eq!(refused(&changed, 1), None);
    assert_eq!(refused(&changed, 3), Some(Exceeded::Concurrent));
    drop(permit);
    assert_eq!(refused(&changed, 3), None);
}

#[test]
fn only_the_idle_are_forgotten() {
    let visitors = visitors(&with_quota(plan(1, 1, 1, 8), 5, QuotaPeriod::Month), None);
    let unlimited = self::visitors(&plan(1_000_000, 1, 1, 8), None);
    let (permit, _) = admit(&unlimited, 1);
    drop(unlimited.allowance(at(2)));
    unlimited.sweep();
    assert_eq!(unlimited.table.len(), 1, "whoever has a request in flight stays");
    drop(permit);
    // The bucket is whole again after a microsecond.
    while unlimited.table.len() > 0 {
        unlimited.sweep();
    }

    assert_eq!(refused(&visitors, 1), None);
    drop(visitors.allowance(at(2)));
    visitors.sweep();
    assert_eq!(visitors.table.len(), 1, "a count of the month is kept");
}

#[test]
fn a_million_addresses_neither_fill_the_memory_nor_lock_anybody_out() {
    let visitors = visitors(&with_quota(plan(1_000_000, 1, 1000, 8), 100, QuotaPeriod::Month), None);
    for _ in 0..3 {
        assert_eq!(refused(&visitors, u32::MAX), None);
    }
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let before = resident();
    for number in 0..1_000_000 {
        // Once in a while, as every second.
        if number % 150_000 == 0 {
            visitors.sweep();
        }
        let _ = admit(&visitors, number);
        assert!(visitors.table.len() <= MOST_VISITORS);
    }
    // Some 15 MiB; a million would be 150.
    assert!(resident().saturating_sub(before) < 64 << 20);
    while visitors.table.len() > MOST_VISITORS / 2 {
        visitors.sweep();
    }
    let left = |number| admit(&visitors, number).1.to_str().unwrap().to_owned();
    assert!(left(1_000_001).contains("\"test-quota\";r=99;"), "a newcomer has a place again");
    assert!(left(u32::MAX).contains("\"test-quota\";r=96;"), "who has used most is remembered");
}

#[test]
fn counts_are_read_and_restored() {
    let plan = with_quota(plan(60, 60, 9, 8), 2, QuotaPeriod::Day);
    let before = visitors(&plan, None);
    assert_eq!(refused(&before, 1), None);
    let after = visitors(&plan, None);
    let what = CountedUnit::Requests;
    before.counted(what, Timestamp::now(), |visitor, counted| {
        after.take_up(visitor, |used| used.restore(what, counted));
    });
    assert_eq!(refused(&after, 1), None);
    assert!(matches!(refused(&after, 1), Some(Exceeded::Quota { .. })));
    assert_eq!(refused(&after, 2), None);
}
