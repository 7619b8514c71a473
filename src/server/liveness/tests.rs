use super::*;

fn liveness() -> (Liveness, Instant) {
    let limits =
        Limits { header: Duration::from_secs(10), idle: Duration::from_secs(75), send: Duration::from_mins(1) };
    (Liveness::new(limits), Instant::now())
}

#[test]
fn a_head_that_never_ends_is_slow() {
    let (liveness, start) = liveness();
    assert!(liveness.judge(start + Duration::from_secs(9)).is_ok());
    assert_eq!(liveness.judge(start + Duration::from_secs(11)), Err(CutReason::SlowHead));
}

#[test]
fn a_connection_may_rest_between_requests_for_as_long_as_configured() {
    let (liveness, start) = liveness();
    liveness.request_began();
    assert!(liveness.judge(start + Duration::from_secs(1000)).is_ok());
    liveness.request_ended();
    assert!(liveness.judge(start).is_ok());
    assert!(liveness.judge(start + Duration::from_secs(74)).is_ok());
    assert_eq!(liveness.judge(start + Duration::from_secs(76)), Err(CutReason::Idle));
    liveness.received();
    liveness.waits();
    assert_eq!(liveness.judge(start + Duration::from_secs(11)), Err(CutReason::SlowHead));
}

#[test]
fn a_connection_that_another_process_does_not_have_may_be_used_once_more() {
    let (liveness, start) = liveness();
    liveness.request_began();
    liveness.request_ended();
    let later = start + Duration::from_secs(70);
    assert!(liveness.judge(later).is_ok());
    liveness.leave(LEAVING);
    assert!(liveness.judge(later).is_ok(), "from then on");
    assert!(liveness.judge(later + Duration::from_secs(4)).is_ok());
    assert_eq!(liveness.judge(later + Duration::from_secs(5)), Err(CutReason::Idle));
}

#[test]
fn a_connection_is_idle_between_requests_only() {
    let ((first, _), (second, _)) = (liveness(), liveness());
    assert_eq!(first.idle_turn(), None, "it may be about to ask");
    assert!(first.is_unused());
    for liveness in [&first, &second] {
        liveness.request_began();
        assert_eq!(liveness.idle_turn(), None);
        liveness.request_ended();
    }
    assert!(first.idle_turn().is_some() && first.idle_turn() < second.idle_turn());
    assert!(!first.is_unused());
    first.received();
    assert_eq!(first.idle_turn(), None);
    first.waits();
    assert_eq!(first.idle_turn(), None, "half a head");
    first.request_began();
    first.request_ended();
    assert!(first.idle_turn() > second.idle_turn());
}

#[test]
fn a_connection_that_stays_idle_rests_and_is_looked_at_when_it_is_time() {
    let (liveness, start) = liveness();
    assert!(liveness.watch() && !liveness.watch());
    liveness.watched(false);
    assert!(!liveness.rests() && liveness.watch());
    liveness.watched(true);
    assert!(!liveness.rests(), "it was never used");
    liveness.request_began();
    liveness.request_ended();
    for prevent in [Liveness::send_blocked, |liveness: &Liveness| liveness.flushes(true), Liveness::received] {
        assert!(liveness.watch());
        liveness.watched(true);
        prevent(&liveness);
        assert!(!liveness.rests());
        liveness.sent();
        liveness.flushes(false);
    }
    liveness.request_began();
    liveness.request_ended();
    assert!(liveness.watch());
    liveness.watched(true);
    assert!(liveness.rests() && liveness.is_resting() && liveness.idle_turn().is_some());
    assert_eq!(liveness.judge(start), Ok(start + Duration::from_secs(75)), "nothing happens before");
    assert_eq!(liveness.judge(start + Duration::from_secs(75)), Err(CutReason::Idle));
    liveness.wakes();
    assert_eq!(liveness.judge(start), Ok(start + Duration::from_secs(10)));
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    let (liveness, start) = liveness();
    liveness.request_began();
    liveness.send_blocked();
    assert_eq!(liveness.judge(start + Duration::from_secs(61)), Err(CutReason::ReadsNothing));
    liveness.sent();
    assert!(liveness.judge(start + Duration::from_secs(61)).is_ok());
    liveness.piece_handed_over();
    assert_eq!(liveness.judge(start + Duration::from_secs(61)), Err(CutReason::ReadsNothing));
}
