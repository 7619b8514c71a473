//! The script that counts what a caller has of its plan, asked as replicas do.

use super::*;

const SCRIPT: &str = include_str!("../../../src/state/limits/shared/lease.lua");
const HOUR: u64 = 3_600_000_000;

/// One call, of what matters here: all other wishes are nothing.
#[derive(Clone, Copy, Default)]
struct Wish {
    replica: &'static str,
    burst: u64,
    cells: u64,
    given_back: u64,
    /// The bucket's base as it was told last, and of the bucket that began then.
    base: (i64, i64),
    /// Cells that its lease was given and has not given back.
    held: i64,
    is_only: bool,
    /// What it has admitted without the store, and how much of that it knows to be charged.
    alone: (u64, u64),
    /// Another one that it takes for cut off, since when.
    cut_off: Option<(&'static str, u64)>,
}

/// What it grants, in cells and the microseconds until the bucket is whole, and the bucket's base.
#[derive(Debug)]
struct Grant {
    cells: u64,
    whole: i64,
    base: (i64, i64),
}

fn ask(store: &StoreServer, wish: Wish) -> Grant {
    let Wish { replica, burst, cells, given_back, base, held, is_only, alone, cut_off } = wish;
    let keys = ["{c}:rate", "{c}:quota", "{c}:places", "{c}:apart", "{c}:leases"];
    let arguments = format!(
        "{replica} 0 {HOUR} {burst} {cells} {cells} {given_back} 0 0 0 0 0 0 0 0 9 0 0 0 10000 {} {} {} {} {} 2 7 {held} {}",
        alone.0,
        alone.1,
        base.0,
        base.1,
        cut_off.map_or("-".to_owned(), |(other, since)| format!("{other}:{since}")),
        u8::from(is_only)
    );
    let arguments: Vec<&str> = arguments.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
    let answer = store.eval(SCRIPT, &keys, &arguments);
    let number = |at: usize| -> i64 { answer.get(at).and_then(|text| text.parse().ok()).expect("a number") };
    Grant { cells: number(0).unsigned_abs(), whole: number(3), base: (number(9), number(10)) }
}

#[test]
fn a_replica_whose_plan_has_a_smaller_burst_leaves_the_bucket_of_the_larger_one_as_it_is() {
    let Some(store) = StoreServer::start() else { return };
    let large = Wish { replica: "a", burst: 100, cells: 100, ..Wish::default() };
    assert_eq!(ask(&store, large).cells, 100);
    let small = Wish { replica: "b", burst: 10, given_back: 1, ..Wish::default() };
    assert_eq!(ask(&store, small).cells, 0);
    assert_eq!(ask(&store, Wish { held: 100, ..large }).cells, 1, "what was given back");
    assert_eq!(ask(&store, Wish { replica: "b", burst: 10, cells: 1, ..Wish::default() }).cells, 0);
}

#[test]
fn what_a_server_has_not_heard_of_is_charged_again_and_what_nobody_was_told_of_comes_back() {
    let Some(store) = StoreServer::start() else { return };
    let wish = Wish { replica: "a", burst: 100, cells: 10, ..Wish::default() };
    let first = ask(&store, wish);
    assert_eq!(first.cells, 10);
    // One that took over knows the first ten only, of thirty.
    let told = ask(&store, Wish { cells: 0, held: 30, base: first.base, ..wish });
    assert_eq!((told.whole + 1_000_000) / HOUR.cast_signed(), 30, "{told:?}");
    // A grant of ten whose answer never came: not as long as it may still come.
    assert_eq!(ask(&store, Wish { held: 30, ..wish }).cells, 10);
    let waits = ask(&store, Wish { cells: 0, held: 30, ..wish });
    assert_eq!((waits.whole + 1_000_000) / HOUR.cast_signed(), 40, "{waits:?}");
    let back = ask(&store, Wish { cells: 0, held: 30, is_only: true, ..wish });
    assert_eq!((back.whole + 1_000_000) / HOUR.cast_signed(), 30, "{back:?}");
    // Five that it admitted alone, told twice because nobody answered the first time: charged once.
    for _ in 0..2 {
        let told = ask(&store, Wish { cells: 0, held: 30, is_only: true, alone: (5, 0), base: first.base, ..wish });
        assert_eq!((told.whole + 1_000_000) / HOUR.cast_signed(), 35, "{told:?}");
    }
    // Two more, which only the server before it was told of.
    let told = ask(&store, Wish { cells: 0, held: 37, is_only: true, alone: (7, 7), base: first.base, ..wish });
    assert_eq!((told.whole + 1_000_000) / HOUR.cast_signed(), 37, "{told:?}");
}

/// Microseconds of the store's clock, as the script counts them.
fn now(store: &StoreServer) -> u64 {
    let time: Vec<u64> = store.list("TIME").iter().map(|part| part.parse().expect("a number")).collect();
    (time[0] - 1_700_000_000) * 1_000_000 + time[1]
}

#[test]
fn nothing_is_kept_for_a_replica_of_the_time_in_which_it_was_there() {
    let Some(store) = StoreServer::start() else { return };
    let wish = Wish { replica: "a", burst: 100, ..Wish::default() };
    ask(&store, Wish { alone: (1, 0), ..wish });
    let before = ask(&store, Wish { alone: (1, 1), ..wish });
    // Who has not heard that it is back believes that it has been away for a minute.
    let since = now(&store) - 60_000_000;
    let after = ask(&store, Wish { replica: "b", burst: 100, cut_off: Some(("a", since)), ..Wish::default() });
    assert!(after.whole - before.whole < 10_000_000, "{before:?} {after:?}");
    // One that has said nothing at all has its half.
    let after = ask(&store, Wish { replica: "b", burst: 100, cut_off: Some(("c", since)), ..Wish::default() });
    assert!(after.whole - before.whole > 25_000_000, "{before:?} {after:?}");
}
