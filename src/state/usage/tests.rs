use super::*;
use crate::keys::Key;

fn bind(state: &UsageState, ids: &[&str], chatflows: &[&str]) -> BoundUsage {
    let keys = Arc::new(ids.iter().map(|id| Key::new(id, crate::keys::secret::digest(id))).collect());
    state.bind(&keys, std::iter::once(Arc::from("staff")), chatflows.iter().map(|name| Arc::from(*name)))
}

fn one(refused: bool, tokens_in: u64, tokens_out: u64) -> UsageTotals {
    UsageTotals { requests: 1, refused: u64::from(refused), tokens_in, tokens_out }
}

fn drained(state: &UsageState, day: &str) -> Vec<(String, String, UsageTotals)> {
    let mut all = Vec::new();
    state.drain(&day.into(), |key, chatflow, used| all.push((key.to_owned(), chatflow.to_owned(), used)));
    all.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    all
}

#[test]
fn what_was_used_is_found_by_name_wherever_it_stands_in_the_next_policy() {
    let state = UsageState::default();
    let first = bind(&state, &["a", "b"], &["x", "y"]);
    first.count(Some(1), Some(0), one(false, 7, 3));
    first.count(None, None, one(true, 0, 0));
    first.count(Some(2), Some(0), one(false, 0, 0));
    let second = bind(&state, &["b"], &["new", "x"]);
    second.count(Some(0), Some(1), one(true, 1, 0));
    let of_b = UsageTotals { requests: 2, refused: 1, tokens_in: 8, tokens_out: 3 };
    assert_eq!(state.known.of_key_here("b", QuotaPeriod::Day), of_b, "also what is not drained yet");
    let all = drained(&state, "2026-11-29");
    let named = |key: &str, chatflow: &str, used| (key.to_owned(), chatflow.to_owned(), used);
    let of_nobody = named("anonymous", "-", one(true, 0, 0));
    assert_eq!(all, [of_nobody, named("b", "x", of_b), named("staff", "x", one(false, 0, 0))]);
    assert_eq!(drained(&state, "2026-11-29"), [], "once");
    assert_eq!(state.known.of_key_here("b", QuotaPeriod::Day), of_b);
    assert_eq!(state.known.of_key_here("a", QuotaPeriod::Month), UsageTotals::default());
}

#[test]
fn days_and_months_begin_anew_and_who_is_gone_is_forgotten() {
    let state = UsageState::default();
    let bound = bind(&state, &["a"], &["x"]);
    bound.count(Some(0), Some(0), one(false, 5, 0));
    drained(&state, "2026-11-29");
    drained(&state, "2026-11-30");
    let tokens = |per| state.known.of_key_here("a", per).tokens_in;
    assert_eq!((tokens(QuotaPeriod::Day), tokens(QuotaPeriod::Month)), (0, 5));
    drained(&state, "2026-12-01");
    assert_eq!(tokens(QuotaPeriod::Month), 0);
    assert_eq!(state.known.table().keys.len(), 1);
    drop(bound);
    drained(&state, "2026-12-02");
    assert_eq!(state.known.table().keys.len(), 0);
}

#[test]
fn what_was_kept_is_taken_up() {
    let (state, mut history) = (UsageState::default(), UsageHistory::default());
    history.add(&"2026-11-28".into(), "a", "x", one(false, 5, 1));
    history.add(&"2026-11-29".into(), "a", "x", one(false, 2, 0));
    state.restore(&history, &"2026-11-29".into());
    let bound = bind(&state, &["a"], &["x"]);
    bound.count(Some(0), Some(0), one(false, 1, 0));
    let tokens = |per| state.known.of_key_here("a", per).tokens_in;
    assert_eq!((tokens(QuotaPeriod::Day), tokens(QuotaPeriod::Month)), (3, 8));
    assert_eq!(drained(&state, "2026-11-29").len(), 1, "what is kept already is not told again");
}

#[test]
fn threads_count_together_and_nothing_is_told_twice() {
    let state = UsageState::default();
    let bound = bind(&state, &["a"], &["x"]);
    let mut told = 0;
    std::thread::scope(|scope| {
        let count = || (0..20_000).for_each(|_| bound.count(Some(0), Some(0), one(false, 1, 1)));
        let threads = [scope.spawn(count), scope.spawn(count)];
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            state.drain(&"2026-11-29".into(), |_, _, used| told += used.requests);
        }
    });
    state.drain(&"2026-11-29".into(), |_, _, used| told += used.requests);
    assert_eq!((told, state.known.of_key_here("a", QuotaPeriod::Day).tokens_out), (40_000, 40_000));
}
