use super::*;

fn turns(text: &str) -> Vec<Turn> {
    vec![Turn { by_user: true, text: text.to_owned() }, Turn { by_user: false, text: format!("re {text}") }]
}

fn open(folder: &Path) -> WriteBehindStore {
    WriteBehindStore::open(folder, &Arc::new(Metrics::new().unwrap())).unwrap()
}

#[test]
fn what_was_said_is_known_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(folder.path());
    let mut expected = Vec::new();
    for number in 0..150 {
        let said = turns(&number.to_string());
        kept.add("flow", "session", &said).unwrap();
        expected.extend(said);
        if number % 7 == 0 {
            // Lets the writer in between.
            std::thread::yield_now();
        }
        let known = kept.turns("flow", "session").unwrap();
        let last = expected.get(expected.len().saturating_sub(MOST_TURNS)..).unwrap();
        assert_eq!(known, last, "{number}");
    }
    drop(kept);
    let kept = open(folder.path());
    assert_eq!(kept.turns("flow", "session").unwrap(), expected[expected.len() - MOST_TURNS..]);
    assert!(kept.turns("flow", "other").unwrap().is_empty());
    assert!(kept.turns("other", "session").unwrap().is_empty());
    // And goes on in order.
    kept.add("flow", "session", &turns("next")).unwrap();
    assert_eq!(kept.turns("flow", "session").unwrap().last().unwrap().text, "re next");
}

#[test]
fn what_waits_too_long_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    // Without its writer, as with a disk that takes nothing.
    let kept = open(folder.path());
    kept.finish();
    let long = "x".repeat(1 << 20);
    for _ in 0..40 {
        kept.add("flow", "session", &turns(&long)).unwrap();
    }
    let waiting = kept.shared.waiting().bytes;
    assert!((MOST_WAITING - (4 << 20)..=MOST_WAITING).contains(&waiting), "{waiting}");
    assert_eq!(kept.shared.metrics.engine.memory_lost.get(), 25);
}

#[test]
fn a_write_that_failed_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(folder.path());
    let held = kept.shared.database.swap(None);
    kept.add("flow", "session", &turns("one")).unwrap();
    assert!(kept.turns("flow", "session").is_err());
    // The file can be had again.
    drop(held);
    let end = Instant::now() + Duration::from_secs(20);
    while kept.turns("flow", "session").is_err() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    assert_eq!(kept.turns("flow", "session").unwrap(), turns("one"));
    drop(kept);
    assert_eq!(open(folder.path()).turns("flow", "session").unwrap(), turns("one"));
}

#[test]
fn of_two_who_would_go_on_with_a_run_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(folder.path());
    assert_eq!(kept.run("flow", "s"), Ok(None));
    assert_eq!(kept.replace_run("flow", "s", "waits", "goes on".into()), Ok(false));
    for is_written in [false, true] {
        kept.keep_run("flow", "s", Some("waits".into())).unwrap();
        if is_written {
            let end = Instant::now() + Duration::from_secs(20);
            while !kept.shared.waiting().runs.is_empty() {
                assert!(Instant::now() < end);
                std::thread::yield_now();
            }
        }
        let count = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if kept.replace_run("flow", "s", "waits", "goes on".into()).unwrap() {
                        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 1);
        assert_eq!(kept.run("flow", "s").unwrap().as_deref(), Some("goes on"));
    }
    drop(kept);
    let kept = open(folder.path());
    assert_eq!(kept.run("flow", "s").unwrap().as_deref(), Some("goes on"));
    kept.keep_run("flow", "s", None).unwrap();
    assert_eq!(kept.run("flow", "s"), Ok(None));
    drop(kept);
    assert_eq!(open(folder.path()).run("flow", "s"), Ok(None));
}

#[test]
fn runs_that_wait_too_long_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let kept = open(folder.path());
    kept.finish();
    for session in 0..20 {
        kept.keep_run("flow", &session.to_string(), Some("x".repeat(1 << 20).into())).unwrap();
    }
    assert_eq!(kept.shared.waiting().runs.len(), 16);
    assert_eq!(kept.shared.metrics.engine.memory_lost.get(), 4);
    // What is gone on with is, whatever waits.
    assert_eq!(kept.replace_run("flow", "0", &"x".repeat(1 << 20), "goes on".into()), Ok(true));
}
