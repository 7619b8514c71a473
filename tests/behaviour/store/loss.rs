//! What limits do while the store is lost, and when it is back.

use super::*;
use crate::harness::KEY;
use crate::harness::store_relay::{RelayMode, StoreRelay};
use crate::rate_limits::{hold, holding, two_keys};

fn start(upstream: &Upstream, store: &StoreServer, more: &str, plans: &str) -> Gateway {
    let section = format!("urls: ['{}'], timeout: 1s{more}", store.url());
    Gateway::start_with(&stored(upstream, &section, plans), &two_keys(""), |_| {})
}

fn pair(upstream: &Upstream, store: &StoreServer, more: &str, plans: &str) -> [Gateway; 2] {
    let replicas = [0, 1].map(|_| start(upstream, store, more, plans));
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

fn answered(gateway: &Gateway, times: usize) -> usize {
    (0..times).filter(|_| ask(gateway, KEY).status == 200).count()
}

fn lose(store: &mut StoreServer, replicas: &[Gateway]) {
    store.kill();
    wait_all(replicas, LOST);
}

fn find(store: &mut StoreServer, replicas: &[Gateway]) {
    store.launch();
    wait_all(replicas, UP);
}

#[test]
fn each_replica_has_its_part_and_tells_what_it_gave_when_the_store_is_back() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let replicas = pair(&upstream, &store, "", "default: { requests: 1/hour, burst: 40, concurrent: 100 }");
    lose(&mut store, &replicas);
    assert_eq!(answered(&replicas[0], 30), 20);
    assert_eq!(answered(&replicas[1], 12), 12);
    let refused = ask(&replicas[0], KEY);
    refused.assert_refused(429, "rate_limited");
    // It begins anew, and is told: of 40 there are 8 left.
    find(&mut store, &replicas);
    let left = answered(&replicas[0], 20) + answered(&replicas[1], 20);
    assert_eq!(left, 8);
    for (replica, local) in replicas.iter().zip([20.0, 12.0]) {
        replica.wait_metric("flowgate_lease_cells_total{result=\"local\"}", local);
    }
}

#[test]
fn what_was_used_before_counts_on_while_it_is_lost() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let replicas = pair(&upstream, &store, "", "default: { requests: 1/hour, burst: 8, concurrent: 100 }");
    // In turn, so that both know of it.
    assert_eq!((0..4).map(|number| answered(&replicas[number % 2], 1)).sum::<usize>(), 4);
    lose(&mut store, &replicas);
    assert_eq!((answered(&replicas[0], 9), answered(&replicas[1], 9)), (2, 2), "half of what was left each");
    find(&mut store, &replicas);
    // The first did not know of the last request that the second had made.
    assert!(answered(&replicas[0], 9) + answered(&replicas[1], 9) <= 1);
}

#[test]
fn rates_may_be_allowed_whole_or_refused() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 1/hour, burst: 8, concurrent: 100 }";
    let all = pair(&upstream, &store, ", on_loss: { rates: allow }, prefix: 'a:'", plans);
    let none = start(&upstream, &store, ", on_loss: { rates: refuse }, prefix: 'b:'", plans);
    store.kill();
    wait_all(all.iter().chain([&none]), LOST);
    assert_eq!(all.each_ref().map(|replica| answered(replica, 12)), [8, 8]);
    let refused = ask(&none, KEY);
    refused.assert_refused(503, "state_unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    none.wait_metric("flowgate_rejected_total{rule=\"state_unavailable\"}", 1.0);
}

#[test]
fn places_are_shared_out_too() {
    let Some(mut store) = StoreServer::start() else { return };
    let (upstream, go) = holding();
    let plans = "default: { requests: 100000/min, burst: 10000, concurrent: 4, wait: null }";
    let replicas = pair(&upstream, &store, "", plans);
    let before = hold(&replicas[0], KEY);
    lose(&mut store, &replicas);
    let meanwhile = hold(&replicas[0], KEY);
    ask(&replicas[0], KEY).assert_refused(429, "too_many_concurrent");
    // The store is told who is in flight before others can take their places.
    find(&mut store, &replicas);
    let held = [hold(&replicas[0], KEY), hold(&replicas[0], KEY)];
    ask(&replicas[1], KEY).assert_refused(429, "too_many_concurrent");
    (0..4).for_each(|_| go.send(()).unwrap());
    for mut stream in [before, meanwhile].into_iter().chain(held) {
        while stream.read_chunk().expect("a chunk").is_some() {}
    }
    wait_for("a place", || (ask(&replicas[1], KEY).status == 200).then_some(()));
}

#[test]
fn quotas_are_refused_with_a_reason() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 100000/min, burst: 10000, concurrent: 100, quota: 50/month }";
    let replicas = pair(&upstream, &store, "", plans);
    assert_eq!(ask(&replicas[0], KEY).status, 200);
    lose(&mut store, &replicas);
    let refused = ask(&replicas[0], KEY);
    refused.assert_refused(503, "state_unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    find(&mut store, &replicas);
    let state = ask(&replicas[0], KEY).header("ratelimit").unwrap().to_owned();
    assert!(state.contains("\"default-quota\";r=48;"), "{state}");
}

#[test]
fn quotas_that_are_allowed_are_counted_and_told_once() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 100000/min, burst: 10000, concurrent: 100, quota: 50/month }";
    let replicas = pair(&upstream, &store, ", on_loss: { quotas: allow }", plans);
    assert_eq!(answered(&replicas[0], 5) + answered(&replicas[1], 5), 10);
    for round in 1..=2 {
        lose(&mut store, &replicas);
        assert_eq!(answered(&replicas[0], 4) + answered(&replicas[1], 3), 7);
        find(&mut store, &replicas);
        // Each tells what it gave.
        wait_for("the whole count", || {
            let keys = store.keys();
            let key = keys.iter().find(|key| key.contains(":quota:"))?;
            (store.number(&format!("HGET {key} sum"))? == 10 + 7 * round).then_some(())
        });
    }
    let left = 50 - 10 - 14;
    let state = ask(&replicas[1], KEY).header("ratelimit").unwrap().to_owned();
    assert!(state.contains(&format!("\"default-quota\";r={};", left - 1)), "{state}");
}

#[test]
fn a_silent_store_holds_up_no_request() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let section = format!("urls: ['{}'], timeout: 50ms", store.url());
    let plans = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";
    let gateway = Gateway::start(&stored(&upstream, &section, plans));
    gateway.wait_metric(UP, 1.0);
    store.signal("STOP");
    // Nobody needs the store to answer: the first request that it keeps waiting is decided here.
    assert_eq!(ask(&gateway, KEY).status, 200);
    gateway.wait_metric(LOST, 1.0);
    let meanwhile = answered(&gateway, 50);
    store.signal("CONT");
    gateway.wait_metric(UP, 1.0);
    // What it granted late is not lost, and nothing is there twice.
    let answered = 1 + meanwhile + answered(&gateway, 50);
    assert!((39..=40).contains(&answered), "{answered}");
    let lost = gateway.log().iter().filter(|line| line.contains("the store is lost")).count();
    assert!(lost >= 1, "{:?}", gateway.log());
}

#[test]
fn a_store_that_is_full_or_read_only_is_lost() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let gateway = start(&upstream, &store, "", "default: { requests: 1/hour, burst: 8, concurrent: 100 }");
    for (break_it, mend_it, code) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
    ] {
        gateway.wait_metric(UP, 1.0);
        assert_eq!(store.command(break_it), "+OK");
        gateway.wait_metric(LOST, 1.0);
        gateway.log_line(|line| line["reason"] == format!("it answers with {code}"));
        assert_eq!(ask(&gateway, KEY).status, 200);
        assert_eq!(store.command(mend_it), "+OK");
        gateway.wait_metric(UP, 1.0);
    }
    assert_eq!(answered(&gateway, 9), 6);
}

#[test]
fn evicted_keys_are_known_by_the_replicas() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 1/hour, burst: 8, concurrent: 100 }";
    let gateway = start(&upstream, &store, "", plans);
    assert_eq!(answered(&gateway, 5), 5);
    assert_eq!(store.command("FLUSHALL"), "+OK");
    assert_eq!(answered(&gateway, 9), 3);
}

#[test]
fn what_a_replica_gives_that_alone_has_lost_it_is_charged_when_it_is_back() {
    let Some(store) = StoreServer::start() else { return };
    let relay = StoreRelay::start(&store);
    let upstream = Upstream::answering();
    let plans = "default: { requests: 1/hour, burst: 40, concurrent: 100 }";
    let replicas = [store.url(), relay.url()].map(|url| {
        let section = format!("urls: ['{url}'], timeout: 1s");
        Gateway::start_with(&stored(&upstream, &section, plans), &two_keys(""), |_| {})
    });
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    // It knows the bucket, and has nothing left of it.
    assert_eq!(answered(&replicas[1], 1), 1);
    let cells = |result| replicas[1].metric(&format!("flowgate_lease_cells_total{{result=\"{result}\"}}"));
    wait_for("what was not used", || (cells("used") + cells("returned") > cells("granted") - 0.5).then_some(()));
    relay.set(RelayMode::Closed);
    replicas[1].wait_metric(LOST, 1.0);
    assert_eq!(answered(&replicas[0], 50), 39);
    assert_eq!(answered(&replicas[1], 50), 19);
    relay.set(RelayMode::Open);
    replicas[1].wait_metric(UP, 1.0);
    // Nothing is left, and what was too much is waited for: 19 hours, and one for the next request.
    let waits = || ask(&replicas[0], KEY).header("retry-after").unwrap().parse::<u64>().unwrap();
    wait_for("the whole wait", || (waits() > 19 * 3600 && waits() <= 20 * 3600).then_some(()));
}

#[test]
fn a_replica_that_is_cut_off_keeps_its_part_and_one_that_died_does_not() {
    let Some(store) = StoreServer::start() else { return };
    let relay = StoreRelay::start(&store);
    let (upstream, go) = holding();
    let plans = "default: { requests: 100000/min, burst: 10000, concurrent: 4, wait: null }";
    let [first, second, third] = [store.url(), relay.url(), store.url()].map(|url| {
        let section = format!("urls: ['{url}'], timeout: 1s");
        Gateway::start_with(&stored(&upstream, &section, plans), &two_keys(""), |_| {})
    });
    wait_shared_by(&[&first, &second, &third], 3);
    third.signal("KILL");
    wait_shared_by(&[&first, &second], 2);
    relay.set(RelayMode::Silent);
    let expected = "ok\nstore: shared by 2 replicas, 1 of them cut off\n";
    wait_for(expected, || (ready(&first) == expected).then_some(()));
    let mut held = vec![hold(&first, KEY), hold(&first, KEY)];
    ask(&first, KEY).assert_refused(429, "too_many_concurrent");
    held.extend([hold(&second, KEY), hold(&second, KEY)]);
    ask(&second, KEY).assert_refused(429, "too_many_concurrent");
    (0..2).for_each(|_| go.send(()).unwrap());
    (0..2).for_each(|_| go.send(()).unwrap());
    for stream in &mut held {
        while stream.read_chunk().expect("a chunk").is_some() {}
    }
    // It is back, and others have the rest again.
    relay.set(RelayMode::Open);
    wait_shared_by(&[&first, &second], 2);
    let held: Vec<_> = (0..4).map(|_| hold(&first, KEY)).collect();
    ask(&second, KEY).assert_refused(429, "too_many_concurrent");
    (0..4).for_each(|_| go.send(()).unwrap());
    for mut stream in held {
        while stream.read_chunk().expect("a chunk").is_some() {}
    }
}
