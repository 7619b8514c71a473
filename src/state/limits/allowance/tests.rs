use super::*;
use crate::config::{Plan, QuotaPeriod};
use crate::state::limits::tests::{plan, with_queue, with_quota, with_tokens};

fn allowance(plan: &Plan, previous: Option<&Allowance>) -> Allowance {
    let limits = PlanLimits::new(plan, previous.map(|previous| &*previous.plan), &Arc::default());
    Allowance::new(&Arc::new(limits), "test", previous)
}

fn admit(allowance: &Allowance) -> AdmitDecision {
    allowance.admit().now().decided()
}

fn refused(allowance: &Allowance) -> Option<Exceeded> {
    admit(allowance).0.err()
}

#[test]
fn use_survives_a_reload_unless_the_rate_changes() {
    let before = allowance(&plan(1, 60, 1, 2), None);
    assert_eq!(refused(&before), None);
    let after = allowance(&plan(1, 60, 1, 1), Some(&before));
    assert!(matches!(refused(&after), Some(Exceeded::Rate { retry_after: 59..=60 })));
    let permit = ConcurrencyLimit::enter(&before.used.counts, 2);
    let changed = allowance(&plan(1, 60, 2, 1), Some(&after));
    assert_eq!(refused(&changed), Some(Exceeded::Concurrent), "what is in flight stays in flight");
    drop(permit);
    assert_eq!(refused(&changed), None);
}

#[test]
fn a_permit_frees_its_place_when_dropped() {
    let allowance = allowance(&plan(60, 60, 10, 1), None);
    let (first, _) = admit(&allowance);
    assert!(first.is_ok());
    assert_eq!(refused(&allowance), Some(Exceeded::Concurrent));
    drop(first);
    assert_eq!(refused(&allowance), None);
}

#[test]
fn a_quota_is_charged_for_what_passes_the_other_limits() {
    let plan = with_quota(plan(1, 86_400, 4, 1), 2, QuotaPeriod::Month);
    let allowance = allowance(&plan, None);
    let (first, state) = admit(&allowance);
    assert!(state.to_str().unwrap().contains("\"test-quota\";r=1;t="), "{state:?}");
    let (second, state) = admit(&allowance);
    assert_eq!(second.err(), Some(Exceeded::Concurrent));
    assert!(state.to_str().unwrap().contains("\"test-quota\";r=1;t="), "{state:?}");
    drop(first);
    assert!(allowance.plan.was_charged());
    assert_eq!(refused(&allowance), None);
    assert!(matches!(refused(&allowance), Some(Exceeded::Quota { retry_after: 1.. })));
    let (fifth, state) = admit(&allowance);
    assert!(matches!(fifth.err(), Some(Exceeded::Rate { .. })));
    assert!(state.to_str().unwrap().contains("\"test-quota\";r=0;t="), "{state:?}");
    assert_eq!(allowance.used.counts.concurrency.taken(), 0, "who is refused holds no place");
    assert!(allowance.plan.was_charged() && !allowance.plan.was_charged());
}

#[test]
fn what_is_given_back_was_never_counted() {
    let allowance = allowance(&with_quota(plan(1, 86_400, 2, 1), 9, QuotaPeriod::Month), None);
    for _ in 0..3 {
        let (permit, _) = admit(&allowance);
        let state = allowance.give_back(permit.unwrap());
        let state = state.to_str().unwrap();
        assert!(state.starts_with("\"test\";r=2;") && state.contains("\"test-quota\";r=9;"), "{state}");
    }
    assert_eq!((refused(&allowance), refused(&allowance)), (None, None));
    assert!(matches!(refused(&allowance), Some(Exceeded::Rate { .. })));
}

#[test]
fn a_changed_quota_keeps_the_count() {
    let numbers = plan(60, 60, 10, 8);
    let before = allowance(&with_quota(numbers.clone(), 1, QuotaPeriod::Month), None);
    assert_eq!(refused(&before), None);
    assert!(matches!(refused(&before), Some(Exceeded::Quota { .. })));
    let after = allowance(&with_quota(numbers, 2, QuotaPeriod::Month), Some(&before));
    assert_eq!(refused(&after), None);
    assert!(matches!(refused(&after), Some(Exceeded::Quota { .. })));
}

#[tokio::test]
async fn a_request_that_waited_is_charged_once_and_told_the_state_of_now() {
    let plan = with_queue(with_quota(plan(2, 86_400, 4, 1), 9, QuotaPeriod::Month), 60, 1);
    let allowance = allowance(&plan, None);
    let (permit, _) = admit(&allowance);
    let AdmitTurn::Queued(waiting) = allowance.admit().now() else { panic!("there is a queue") };
    let (refused, state) = admit(&allowance);
    assert_eq!(refused.err(), Some(Exceeded::Concurrent), "the queue is full");
    assert!(state.to_str().unwrap().starts_with("\"test\";r=1;"), "{state:?}");
    drop(permit);
    let (permit, state) = waiting.await;
    let state = state.to_str().unwrap();
    assert!(permit.is_ok() && state.starts_with("\"test\";r=1;t=129600, \"test-quota\";r=7;"), "{state}");
}

#[test]
fn who_has_used_up_the_tokens_is_refused_and_charged_nothing_more() {
    let plan = with_tokens(with_quota(plan(60, 60, 9, 1), 9, QuotaPeriod::Month), 10, QuotaPeriod::Month);
    let allowance = allowance(&plan, None);
    let (permit, state) = admit(&allowance);
    assert!(permit.is_ok() && state.to_str().unwrap().contains("\"test-tokens\";r=10;t="), "{state:?}");
    drop(permit);
    for (tokens, left) in [(9, 1), (0, 1)] {
        allowance.spend(tokens);
        assert!(allowance.plan.was_charged());
        let (permit, state) = admit(&allowance);
        assert!(permit.is_ok() && state.to_str().unwrap().contains(&format!("\"test-tokens\";r={left};t=")));
    }
    allowance.spend(5);
    let (refused, state) = admit(&allowance);
    assert!(matches!(refused.err(), Some(Exceeded::Tokens { retry_after: 1.. })));
    let state = state.to_str().unwrap();
    assert!(state.contains("\"test-quota\";r=6;t=") && state.contains("\"test-tokens\";r=0;t="), "{state}");
    assert_eq!(allowance.used.counts.concurrency.taken(), 0, "who is refused holds no place");
}

#[tokio::test]
async fn nobody_waits_whom_the_quota_refuses_anyhow() {
    let plan = with_queue(with_quota(plan(60, 60, 9, 1), 1, QuotaPeriod::Month), 60, 9);
    let allowance = allowance(&plan, None);
    let (_permit, _) = admit(&allowance);
    assert_eq!(refused(&allowance), Some(Exceeded::Concurrent));
}
