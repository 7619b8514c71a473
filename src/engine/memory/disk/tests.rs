use super::*;

const BOUNDS: StoreBounds = StoreBounds { turns: 4, bytes: 1000, sessions: 3, age: 1000 };

fn exchange(session: &str, number: u64, text: &str) -> StoredExchange {
    let turn = |by_user| Turn { by_user, text: text.to_owned() };
    StoredExchange { flow: "flow".into(), session: session.into(), number, turns: vec![turn(true), turn(false)] }
}

fn texts(database: &Database, session: &str) -> Vec<String> {
    let rows = read(database, "flow", session, 0).unwrap();
    rows.into_iter().filter_map(|(_, turns)| turns.first().map(|turn| turn.text.clone())).collect()
}

#[test]
fn a_session_keeps_its_last_turns() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).unwrap();
    for (number, text) in (1..).zip(["a", "b", "c"]) {
        write(&database, [&exchange("s", number, text)], [], &BOUNDS).unwrap();
    }
    assert_eq!(texts(&database, "s"), ["b", "c"]);
    // By size as well, but the last stays whatever its size.
    write(&database, [&exchange("s", 4, &"x".repeat(2000))], [], &BOUNDS).unwrap();
    assert_eq!(texts(&database, "s").len(), 1);
    // And by age.
    write(&database, [&exchange("s", 2000, "late")], [], &BOUNDS).unwrap();
    assert_eq!(texts(&database, "s"), ["late"]);
    assert_eq!(last_number(&database).unwrap(), 2000);
}

#[test]
fn the_session_unused_for_longest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).unwrap();
    let all: Vec<_> = (1..).zip(["a", "b", "c", "a", "d"]).map(|(n, name)| exchange(name, n, name)).collect();
    write(&database, &all, [], &BOUNDS).unwrap();
    let known = |name: &str| !texts(&database, name).is_empty();
    assert_eq!(["a", "b", "c", "d"].map(known), [true, false, true, true]);
    assert!(!forget(&database, 5, 100).unwrap());
    assert_eq!(["a", "b", "c", "d"].map(known), [false, false, false, true]);
    // Nothing is left of them.
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.open_table(FLOWS).unwrap().get("flow").unwrap().unwrap().value(), 1);
    let rows = |count: redb::Result<redb::Range<'_, (&str, u64, &str), ()>>| count.unwrap().count();
    assert_eq!(rows(transaction.open_table(USES).unwrap().iter()), 1);
    assert_eq!(transaction.open_table(EXCHANGES).unwrap().iter().unwrap().count(), 1);
}

#[test]
fn sessions_and_flows_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).unwrap();
    let other = StoredExchange { flow: "flow2".into(), ..exchange("s", 3, "other") };
    write(&database, [&exchange("s", 1, "mine"), &exchange("s2", 2, "next"), &other], [], &BOUNDS).unwrap();
    assert_eq!(texts(&database, "s"), ["mine"]);
    assert_eq!(read(&database, "flow2", "s", 0).unwrap().len(), 1);
    assert!(read(&database, "flow2", "s", 4).unwrap().is_empty(), "too old");
    assert_eq!(last_number(&database).unwrap(), 3);
}

#[test]
fn a_damaged_file_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), "nonsense, and longer than a header would be".repeat(100)).unwrap();
    let database = open(folder.path()).unwrap();
    write(&database, [&exchange("s", 1, "a")], [], &BOUNDS).unwrap();
    assert!(folder.path().join(ASIDE).exists());
}

#[test]
fn a_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let _held = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
}

fn last_run(session: &str, number: u64, run: Option<&str>) -> LastRun {
    LastRun { flow: "flow".into(), session: session.into(), number, run: run.map(Arc::from) }
}

#[test]
fn a_run_is_kept_in_one_row_and_goes_with_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).unwrap();
    let known = |session: &str| run(&database, "flow", session, 0).unwrap();
    let runs = [last_run("s", 2, Some("first")), last_run("s", 3, Some("second")), last_run("t", 4, Some("other"))];
    write(&database, [&exchange("s", 1, "a")], &runs, &BOUNDS).unwrap();
    assert_eq!((known("s").as_deref(), known("t").as_deref()), (Some("second"), Some("other")));
    assert_eq!(run(&database, "flow", "s", 4).unwrap(), None, "too old");
    assert_eq!(texts(&database, "s"), ["a"]);
    assert_eq!(last_number(&database).unwrap(), 4);
    write(&database, [], [&last_run("t", 5, None)], &BOUNDS).unwrap();
    assert_eq!(known("t"), None);
    assert!(!forget(&database, 6, 100).unwrap());
    assert_eq!(known("s"), None);
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.open_table(RUNS).unwrap().iter().unwrap().count(), 0);
    assert_eq!(transaction.open_table(USES).unwrap().iter().unwrap().count(), 0);
}

#[test]
fn a_run_of_before_there_was_a_table_is_known_until_another_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).unwrap();
    let said = |number, text: &str| {
        let turns = vec![Turn { by_user: false, text: text.to_owned() }];
        StoredExchange { flow: "flow#runs".into(), session: "s".into(), number, turns }
    };
    write(&database, [&said(1, "old"), &said(2, "waits")], [], &BOUNDS).unwrap();
    assert_eq!(run(&database, "flow", "s", 0).unwrap().as_deref(), Some("waits"));
    write(&database, [], [&last_run("s", 3, None)], &BOUNDS).unwrap();
    assert_eq!(run(&database, "flow", "s", 0).unwrap(), None);
}
