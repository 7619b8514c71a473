//! Callers whom the store does not answer: a node of a Cluster is gone, or something else lies under a key.

use std::time::{Duration, Instant};

use super::limits::exhaust;
use super::*;
use crate::harness::KEY;
use crate::harness::store_fleet::ClusterStore;
use crate::rate_limits::{SECOND, two_keys};

fn start(upstream: &Upstream, section: &str, plans: &str) -> [Gateway; 2] {
    let start = || Gateway::start_with(&stored(upstream, section, plans), &two_keys(""), |_| {});
    let replicas = [start(), start()];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

fn answered(gateway: &Gateway, key: &str, times: usize) -> usize {
    (0..times).filter(|_| ask(gateway, key).status == 200).count()
}

/// In turn, so that both know of it.
fn spend_half(replicas: &[Gateway; 2]) {
    assert_eq!((0..20).map(|number| answered(&replicas[number % 2], KEY, 1)).sum::<usize>(), 20);
}

/// Which node has the key that ends like that.
fn node_of(store: &ClusterStore, end: &str) -> usize {
    let has = |node: &StoreServer| node.keys().iter().any(|key| key.ends_with(end));
    store.nodes.iter().position(has).expect("a node that has it")
}

#[test]
fn callers_of_a_node_that_is_gone_are_counted_apart_and_all_others_as_ever() {
    let Some(mut store) = ClusterStore::start() else { return };
    let upstream = Upstream::answering();
    let section = store.section();
    let plans = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";
    let replicas = start(&upstream, &section, plans);
    spend_half(&replicas);
    let at = node_of(&store, ":rate");
    assert_ne!(at, node_of(&store, "v1:replicas"), "the replicas are known elsewhere");
    store.nodes[at].kill();
    // Half of what was left, each, as far as they know.
    for replica in &replicas {
        let part = answered(replica, KEY, 30);
        assert!((9..=11).contains(&part), "{part}");
    }
    for replica in &replicas {
        replica.log_line(|line| line["message"].as_str().unwrap().starts_with("part of the store is lost"));
        assert_eq!(told(replica, "\"the store is lost"), 0);
        assert!(ready(replica).ends_with("part of it lost\n"), "{}", ready(replica));
    }
    // Whose node is there shares all of it.
    let asked = [(0, 10), (1, 50), (0, 50)].map(|(number, times)| answered(&replicas[number], SECOND, times));
    assert_eq!(asked.iter().sum::<usize>(), 40);
    // It comes back empty, and is told.
    store.nodes[at].launch();
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    assert_eq!(exhaust(&replicas, "rate_limited"), 0);
}

#[test]
fn callers_of_other_nodes_are_shared_while_the_one_is_gone_that_counts_the_replicas() {
    let Some(mut store) = ClusterStore::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";
    let replicas = start(&upstream, &store.section(), plans);
    spend_half(&replicas);
    let at = node_of(&store, "v1:replicas");
    store.nodes[at].kill();
    for replica in &replicas {
        replica.log_line(|line| line["message"].as_str().unwrap().starts_with("part of the store is lost"));
    }
    // Nor does one that starts now count by itself.
    let third = Gateway::start_with(&stored(&upstream, &store.section(), plans), &two_keys(""), |_| {});
    third.wait_metric(UP, 1.0);
    let [first, second] = &replicas;
    let asked = [(first, 10), (&third, 5), (second, 30), (&third, 30), (first, 30)];
    assert_eq!(asked.map(|(replica, times)| answered(replica, KEY, times)).iter().sum::<usize>(), 20);
    for replica in [first, second, &third] {
        assert_eq!(told(replica, "\"the store is lost"), 0);
        assert!(ready(replica).ends_with("part of it lost\n"), "{}", ready(replica));
    }
    store.nodes[at].launch();
    wait_shared_by(&[first, second, &third], 3);
}

#[test]
fn who_has_a_quota_is_answered_again_once_its_node_is_back() {
    let Some(mut store) = ClusterStore::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 100000/min, burst: 10000, quota: 100/day }";
    let replicas = start(&upstream, &store.section(), plans);
    spend_half(&replicas);
    let at = node_of(&store, ":rate");
    // They have given back what they had, and owe nothing.
    wait_for("places", || (!store.nodes[at].keys().iter().any(|key| key.ends_with(":places"))).then_some(()));
    store.nodes[at].kill();
    for replica in &replicas {
        wait_for("a refusal", || (ask(replica, KEY).status == 503).then_some(()));
        replica.log_line(|line| line["message"].as_str().unwrap().starts_with("part of the store is lost"));
    }
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        assert_eq!(replicas.each_ref().map(|replica| ask(replica, KEY).status), [503; 2]);
    }
    store.nodes[at].launch();
    for replica in &replicas {
        wait_for("an answer", || (ask(replica, KEY).status == 200).then_some(()));
    }
}

#[test]
fn a_store_none_of_whose_nodes_answers_is_lost() {
    let Some(mut store) = ClusterStore::start() else { return };
    let upstream = Upstream::answering();
    let replicas = start(&upstream, &store.section(), "default: { requests: 1/hour, burst: 40, concurrent: 100 }");
    store.nodes.iter_mut().for_each(StoreServer::kill);
    wait_all(&replicas, LOST);
    store.nodes.iter_mut().for_each(StoreServer::launch);
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
}

#[test]
fn a_key_that_holds_something_else_is_named_once_and_its_caller_is_counted_apart() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    let plans = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";
    let replicas = start(&upstream, &section, plans);
    spend_half(&replicas);
    let rate = store.keys().into_iter().find(|key| key.ends_with(":rate")).expect("a bucket");
    assert_eq!(store.command(&format!("DEL {rate}")), ":1");
    assert_eq!(store.command(&format!("LPUSH {rate} x")), ":1");
    let part = answered(&replicas[0], KEY, 30);
    assert!((9..=11).contains(&part), "{part} of 10");
    replicas[0].log_line(|line| {
        line["level"] == "ERROR" && line["keys"].as_str().unwrap_or_default().contains(&format!("{rate} (list)"))
    });
    assert_eq!(answered(&replicas[0], KEY, 30), 0);
    // Others are none the worse, and nobody takes the store for lost.
    let asked = [0, 1, 0].map(|number| answered(&replicas[number], SECOND, 30));
    assert_eq!(asked.iter().sum::<usize>(), 40);
    assert!(ready(&replicas[0]).starts_with("ok\nstore: shared by 2"));
    assert_eq!(told(&replicas[0], "the store refuses a call"), 1);
    assert_eq!(store.command(&format!("DEL {rate}")), ":1");
    replicas[0].log_line(|line| line["message"] == "the store takes calls with this key again");
    wait_for("one that is told", || store.keys().contains(&rate).then_some(()));
}
