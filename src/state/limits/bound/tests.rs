use super::*;
use crate::config::QuotaPeriod;
use crate::keys::Key;
use crate::state::limits::tests::{plan, with_quota, with_tokens};
use crate::state::limits::{Exceeded, Visitor};

fn state() -> LimitState {
    LimitState::new(&IntCounter::new("delayed", "of a test").unwrap())
}

fn keys(ids: &[&str]) -> Arc<KeyStore> {
    Arc::new(ids.iter().map(|id| Key::new(id, crate::keys::secret::digest(id))).collect())
}

fn bind(state: &LimitState, plan: &Plan, ids: &[&str]) -> BoundLimits {
    let plans = std::slice::from_ref(plan);
    let (keys, auth_failures) = (keys(ids), Some(AuthFailures::default()));
    state.bind(&LimitPolicy { plans, anonymous: plan, for_visitors: [0].into(), keys: &keys, auth_failures })
}

fn refused(limits: &BoundLimits, key: u32) -> Option<Exceeded> {
    limits.key(key).unwrap().admit().now().decided().0.err()
}

fn refused_visitor(limits: &BoundLimits, number: u32) -> Option<Exceeded> {
    limits.visitors(None).allowance(Visitor::V4(number.to_be_bytes())).admit().now().decided().0.err()
}

#[test]
fn what_was_used_is_found_by_id_wherever_it_stands_in_the_next_policy() {
    let (state, once) = (state(), plan(1, 86_400, 1, 8));
    let first = bind(&state, &once, &["a", "b"]);
    assert_eq!((refused(&first, 0), refused_visitor(&first, 7)), (None, None));
    let second = bind(&state, &once, &["c", "b", "a"]);
    assert_eq!((refused(&second, 0), refused(&second, 1)), (None, None));
    assert!(matches!(refused(&second, 2), Some(Exceeded::Rate { .. })));
    assert!(matches!(refused_visitor(&second, 7), Some(Exceeded::Rate { .. })));
    assert!(refused(&first, 1).is_some(), "requests under the policy before count with those under the new one");
}

#[test]
fn what_a_policy_no_longer_has_is_forgotten() {
    let (state, once) = (state(), plan(1, 86_400, 1, 8));
    assert_eq!(refused(&bind(&state, &once, &["a"]), 0), None);
    bind(&state, &once, &["b"]);
    assert_eq!(refused(&bind(&state, &once, &["a"]), 0), None);
    let tables = state.tables();
    assert_eq!((tables.plans.len(), tables.visitors.len()), (1, 1));
}

#[test]
fn counts_of_quotas_outlive_the_process_by_id() {
    let twice = with_quota(plan(60, 60, 9, 8), 2, QuotaPeriod::Month);
    let (before, after) = (state(), state());
    let limits = bind(&before, &twice, &["a", "b"]);
    assert_eq!((refused(&limits, 0), refused_visitor(&limits, 7)), (None, None));
    assert!(before.take_charged() && !before.take_charged());
    let limits = bind(&after, &twice, &["b", "a"]);
    after.restore(before.counts());
    assert_eq!(after.counts(), before.counts());
    assert_eq!((refused(&limits, 1), refused_visitor(&limits, 7)), (None, None));
    for refused in [refused(&limits, 1), refused_visitor(&limits, 7)] {
        assert!(matches!(refused, Some(Exceeded::Quota { .. })), "{refused:?}");
    }
    assert_eq!((refused(&limits, 0), refused_visitor(&limits, 8)), (None, None));
}

#[test]
fn counts_of_tokens_outlive_the_process_too() {
    let plan = with_tokens(plan(60, 60, 9, 8), 2, QuotaPeriod::Month);
    let (before, after) = (state(), state());
    let limits = bind(&before, &plan, &["a", "b"]);
    limits.key(0).unwrap().spend(5);
    limits.visitors(None).allowance(Visitor::V4([0, 0, 0, 7])).spend(2);
    assert!(before.take_charged());
    before.sweep();
    let limits = bind(&after, &plan, &["b", "a"]);
    after.restore(before.counts());
    for refused in [refused(&limits, 1), refused_visitor(&limits, 7)] {
        assert!(matches!(refused, Some(Exceeded::Tokens { .. })), "{refused:?}");
    }
    assert_eq!((refused(&limits, 0), refused_visitor(&limits, 8)), (None, None));
}

#[test]
fn wrong_keys_are_remembered_while_their_settings_stay() {
    let (state, plan) = (state(), plan(1, 60, 1, 8));
    let first = bind(&state, &plan, &[]);
    let second = bind(&state, &plan, &["a"]);
    let same =
        |one: &BoundLimits, other: &BoundLimits| std::ptr::eq(one.penalties().unwrap(), other.penalties().unwrap());
    assert!(same(&first, &second));
    let none = LimitPolicy {
        plans: &[],
        anonymous: &plan,
        for_visitors: BTreeSet::new(),
        keys: &keys(&[]),
        auth_failures: None,
    };
    assert!(state.bind(&none).penalties().is_none());
    assert!(!same(&second, &bind(&state, &plan, &[])));
}
