use super::*;

fn counts() -> Arc<AllowanceCounts> {
    Arc::default()
}

fn state(counts: &AllowanceCounts) -> (u32, u64) {
    let state = counts.concurrency.state.load(Ordering::Relaxed);
    (in_flight(state), waiting(state))
}

fn wait(counts: &Arc<AllowanceCounts>, most: u32) -> QueuedPlace {
    match ConcurrencyLimit::queue(counts, most, 3) {
        Queueing::Waiting(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

/// Whether its turn has come.
async fn is_served(waiting: QueuedPlace) -> Option<Permit> {
    waiting.place(Duration::ZERO).await
}

#[tokio::test]
async fn places_go_to_those_who_wait_in_their_order() {
    let counts = counts();
    let (first, second) = (ConcurrencyLimit::enter(&counts, 2).unwrap(), ConcurrencyLimit::enter(&counts, 2).unwrap());
    assert!(ConcurrencyLimit::enter(&counts, 2).is_none());
    let (a, b, c) = (wait(&counts, 2), wait(&counts, 2), wait(&counts, 2));
    assert!(matches!(ConcurrencyLimit::queue(&counts, 2, 3), Queueing::Full));
    drop(first);
    assert_eq!(state(&counts), (2, 2));
    assert!(ConcurrencyLimit::enter(&counts, 2).is_none(), "nobody overtakes");
    // Who leaves the queue makes room in it at once, and is passed over.
    drop(b);
    assert_eq!(state(&counts), (2, 1));
    drop(second);
    let (a, c) = (is_served(a).await.unwrap(), is_served(c).await.unwrap());
    assert_eq!(state(&counts), (2, 0));
    assert!(counts.concurrency.lock().is_none(), "the queue takes no room any more");
    drop((a, c));
    assert_eq!(state(&counts), (0, 0));
}

#[tokio::test]
async fn a_place_handed_to_somebody_who_has_left_goes_on() {
    let counts = counts();
    let permit = ConcurrencyLimit::enter(&counts, 1).unwrap();
    let (a, b) = (wait(&counts, 1), wait(&counts, 1));
    drop(permit);
    drop(a);
    let b = is_served(b).await.unwrap();
    assert_eq!(state(&counts), (1, 0));
    let impatient = wait(&counts, 1);
    assert!(is_served(impatient).await.is_none());
    assert_eq!(state(&counts), (1, 0));
    drop(b);
    assert!(matches!(ConcurrencyLimit::queue(&counts, 1, 3), Queueing::Entered(_)));
    assert_eq!(state(&counts), (0, 0));
}

#[tokio::test]
async fn a_changed_plan_is_taken_over_by_those_who_wait() {
    let counts = counts();
    let permits = [ConcurrencyLimit::enter(&counts, 2).unwrap(), ConcurrencyLimit::enter(&counts, 2).unwrap()];
    let before = wait(&counts, 2);
    let after = wait(&counts, 4);
    let (before, after) = (is_served(before).await.unwrap(), is_served(after).await.unwrap());
    assert_eq!(state(&counts), (4, 0));
    let lowered = wait(&counts, 1);
    drop((permits, before));
    assert_eq!(state(&counts), (1, 1));
    drop(after);
    assert!(is_served(lowered).await.is_some());
}

#[test]
fn threads_lose_no_place_and_wake_each_other() {
    let counts = counts();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let counts = &counts;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                for round in 0..2_000 {
                    let permit = ConcurrencyLimit::enter(counts, 2).or_else(|| {
                        match ConcurrencyLimit::queue(counts, 2, 8) {
                            Queueing::Entered(permit) => Some(permit),
                            // Some do not wait for it.
                            Queueing::Waiting(waiting) if (round + number) % 7 == 0 => drop_and(waiting),
                            Queueing::Waiting(waiting) => {
                                let permit = runtime.block_on(waiting.place(Duration::from_mins(1)));
                                assert!(permit.is_some(), "everybody's turn comes");
                                permit
                            }
                            Queueing::Full => panic!("there are four"),
                        }
                    });
                    assert!(counts.concurrency.taken() <= 2);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(state(&counts), (0, 0));
}

fn drop_and(waiting: QueuedPlace) -> Option<Permit> {
    drop(waiting);
    None
}
