//! A primary that Sentinels may replace.

use super::chats::listening;
use super::limits::exhaust;
use super::*;
use crate::harness::KEY;
use crate::harness::store_fleet::SentinelStore;

const PLANS: &str = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";

fn start(upstream: &Upstream, store: &SentinelStore) -> Gateway {
    Gateway::start(&stored(upstream, &store.section(), PLANS))
}

fn answered(gateway: &Gateway, times: usize) -> usize {
    (0..times).filter(|_| ask(gateway, KEY).status == 200).count()
}

#[test]
fn all_replicas_follow_a_failover_though_the_old_primary_stays_in_office() {
    let Some(store) = SentinelStore::start(1) else { return };
    let upstream = Upstream::answering();
    let [first, second] = [start(&upstream, &store), start(&upstream, &store)];
    wait_shared_by(&[&first, &second], 2);
    assert_eq!((answered(&first, 10), answered(&second, 10)), (10, 10));
    // It cannot be told that it was replaced.
    assert_eq!(store.primary.command("ACL SETUSER default -replicaof -slaveof"), "+OK");
    store.fail_over();
    wait_for("two that listen to the new primary", || (listening(&store.replica) == 2).then_some(()));
    assert!(store.primary.list("ROLE").contains(&"master".to_owned()));
    for gateway in [&first, &second] {
        gateway.log_line(|line| line["reason"] == "Sentinels name another primary");
    }
    let third = start(&upstream, &store);
    wait_shared_by(&[&first, &second, &third], 3);
    // Whatever it had not heard of was told to it. Cells that were asked of the old primary when it was left are nobody's.
    let left = exhaust(&[first, second, third], "rate_limited");
    assert!((18..=20).contains(&left), "{left}");
}

#[test]
fn a_primary_that_was_killed_is_replaced_and_one_silent_sentinel_does_not_matter() {
    let Some(mut store) = SentinelStore::start(3) else { return };
    let upstream = Upstream::answering();
    let replicas = [start(&upstream, &store), start(&upstream, &store)];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas[0].log_line(|line| line["message"] == "a Sentinel does not say which server is the primary");
    assert_eq!((answered(&replicas[0], 10), answered(&replicas[1], 5)), (10, 5));
    store.primary.kill();
    wait_all(&replicas, LOST);
    assert_eq!(answered(&replicas[0], 3), 3);
    store.wait_promoted();
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    assert_eq!(exhaust(&replicas, "rate_limited"), 40 - 18);
    // The one that came back late is a replica: nobody counts there.
    store.primary.launch();
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    assert_eq!(exhaust(&replicas, "rate_limited"), 0);
}

#[test]
fn sentinels_that_know_no_such_primary_are_told_of() {
    let Some(store) = SentinelStore::start(1) else { return };
    let upstream = Upstream::answering();
    let section = store.section().replace("master_name: flowgate", "master_name: another");
    let gateway = Gateway::start(&stored(&upstream, &section, PLANS));
    gateway.log_line(|line| line["reason"] == "master name not found by sentinel");
    assert_eq!(ask(&gateway, KEY).status, 200);
    gateway.wait_metric(LOST, 1.0);
}
