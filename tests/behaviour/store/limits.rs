//! What replicas share of their callers' limits.

use super::*;
use crate::harness::client::{Connection, request};
use crate::harness::{KEY, sha256};
use crate::rate_limits::{PREDICT, QUESTION, SECOND, hold, holding, two_keys};

const WIDE: &str = "requests: 100000/min, burst: 10000";

/// Two replicas that know of each other. A second is long enough for any machine to answer in.
fn fleet(upstream: &Upstream, store: &StoreServer, more: &str, plans: &str) -> [Gateway; 2] {
    let section = format!("urls: ['{}'], timeout: 1s{more}", store.url());
    let start = || Gateway::start_with(&stored(upstream, &section, plans), &two_keys(""), |_| {});
    let replicas = [start(), start()];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

/// Asks all of them in turn until all refuse at once; how many requests were answered.
pub(super) fn exhaust(replicas: &[Gateway], code: &str) -> usize {
    let mut answered = 0;
    loop {
        let answers: Vec<_> = replicas.iter().map(|replica| ask(replica, KEY)).collect();
        answered += answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status != 200);
        let refused = refused.inspect(|answer| assert!(answer.text().contains(code), "{}", answer.text())).count();
        if refused == replicas.len() {
            return answered;
        }
    }
}

fn retry_after(response: &client::Response) -> u64 {
    response.header("retry-after").expect("a wait").parse().expect("whole seconds")
}

#[test]
fn a_rate_is_the_same_however_many_replicas_there_are() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let replicas = fleet(&upstream, &store, "", "default: { requests: 60/hour, burst: 200, concurrent: 100 }");
    let answered = exhaust(&replicas, "rate_limited");
    assert!((196..=204).contains(&answered), "{answered}");
    let refused = ask(&replicas[0], KEY);
    refused.assert_refused(429, "rate_limited");
    assert!((1..=60).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    // Another key has its own.
    let other = ask(&replicas[1], SECOND);
    assert_eq!(other.status, 200);
    for replica in &replicas {
        assert!(replica.metric("flowgate_lease_cells_total{result=\"local\"}") < 0.5);
    }
}

#[test]
fn the_header_says_what_is_left_for_all_of_them() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    // So small a burst is not leased ahead: each answer says what the store says.
    let replicas = fleet(&upstream, &store, "", "default: { requests: 6/hour, burst: 6, quota: 100/month }");
    for (number, left) in [5, 4, 3, 2, 1, 0].into_iter().enumerate() {
        let answer = ask(&replicas[number % 2], KEY);
        let state = answer.header("ratelimit").expect("a state").to_owned();
        assert!(state.starts_with(&format!("\"default\";r={left};t=")), "{state}");
        assert!(state.contains(&format!("\"default-quota\";r={};t=", 94 + left)), "{state}");
        assert_eq!(answer.header("ratelimit-policy").unwrap(), "\"default\";q=6;w=3600, \"default-quota\";q=100");
    }
    let refused = ask(&replicas[0], KEY);
    let wait = retry_after(&refused);
    assert!(refused.header("ratelimit").unwrap().starts_with(&format!("\"default\";r=0;t={wait}, ")));
}

#[test]
fn visitors_are_shared_too() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    let more = format!(
        "state: {{ valkey: {{ {section} }} }}\nplans: {{ anonymous: {{ requests: 4/hour, burst: 4, quota: 100/day }} }}"
    );
    let public = ", access: public, allowed_origins: ['https://app.example.com']";
    let text = config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", public, &more);
    let replicas = [Gateway::start(&text), Gateway::start(&text)];
    let ask = |number: usize, address: &str| {
        let headers = [("x-forwarded-for", address), ("origin", "https://app.example.com")];
        client::post(replicas[number % 2].http, PREDICT, &headers, QUESTION).status
    };
    let answers: Vec<_> = (0..6).map(|number| ask(number, "192.0.2.7")).collect();
    assert_eq!(answers, [200, 200, 200, 200, 429, 429]);
    assert_eq!(ask(0, "192.0.2.8"), 200);
    assert!(store.keys().iter().all(|key| !key.contains("192.0.2")), "{:?}", store.keys());
}

#[test]
fn what_the_key_refuses_is_not_taken_from_the_visitor_either() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let page = "https://app.example.com";
    let plans = "default: { requests: 1/hour, burst: 1 }, anonymous: { requests: 3/hour, burst: 3, quota: 3/day }, \
                 wide: { requests: 9/hour, burst: 9 }";
    let text = stored(&upstream, &format!("urls: ['{}'], timeout: 1s", store.url()), plans);
    let pages = format!(", kind: publishable, allowed_origins: ['{page}']");
    let second = format!("  - {{ id: second, sha256: {}{pages}, plan: wide }}\n", sha256(SECOND));
    let start = || Gateway::start_with(&text, &format!("{}{second}", keys(&pages)), |_| {});
    let replicas = [start(), start()];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    let ask = |number: usize, key: &str| {
        let headers = [("origin", page), ("x-api-key", key)];
        client::post(replicas[number % 2].http, PREDICT, &headers, QUESTION)
    };
    assert_eq!(ask(0, KEY).status, 200);
    for number in 0..6 {
        ask(number, KEY).assert_refused(429, "rate_limited");
    }
    // Two of three are left, wherever.
    assert_eq!([0, 1, 0, 1].map(|number| ask(number, SECOND).status), [200, 200, 429, 429]);
}

#[test]
fn places_in_flight_are_shared_and_free_for_all_at_once() {
    let Some(store) = StoreServer::start() else { return };
    let (upstream, go) = holding();
    let replicas = fleet(&upstream, &store, "", &format!("default: {{ {WIDE}, concurrent: 2, wait: null }}"));
    let mut first = hold(&replicas[0], KEY);
    let mut second = hold(&replicas[1], KEY);
    for replica in &replicas {
        ask(replica, KEY).assert_refused(429, "too_many_concurrent");
    }
    go.send(()).unwrap();
    go.send(()).unwrap();
    while first.read_chunk().expect("a chunk").is_some() {}
    // Its place goes to whichever replica wants it.
    wait_for("a place", || (ask(&replicas[1], KEY).status == 200).then_some(()));
    while second.read_chunk().expect("a chunk").is_some() {}
    wait_for("no places in the store", || (!store.keys().iter().any(|key| key.ends_with(":places"))).then_some(()));
}

#[test]
fn who_waits_for_a_place_gets_one_that_another_replica_frees() {
    let Some(store) = StoreServer::start() else { return };
    let (upstream, go) = holding();
    let plans = format!("default: {{ {WIDE}, concurrent: 1, wait: 60s, queue: 2 }}");
    let replicas = fleet(&upstream, &store, "", &plans);
    let mut held = hold(&replicas[0], KEY);
    let begin = |replica: &Gateway| {
        let mut connection = Connection::open(replica.http);
        connection.write(request("POST", PREDICT, &[("x-api-key", KEY)], QUESTION));
        connection
    };
    let mut waiting = begin(&replicas[1]);
    replicas[1].wait_metric("flowgate_limit_waiting", 1.0);
    let mut beside = begin(&replicas[0]);
    replicas[0].wait_metric("flowgate_limit_waiting", 1.0);
    go.send(()).unwrap();
    while held.read_chunk().expect("a chunk").is_some() {}
    for connection in [&mut waiting, &mut beside] {
        assert_eq!(connection.read_response().expect("an answer").status, 200);
    }
    replicas[1].wait_metric("flowgate_limit_wait_seconds_count{result=\"admitted\"}", 1.0);
}

#[test]
fn the_places_of_a_replica_that_died_become_free() {
    let Some(store) = StoreServer::start() else { return };
    let (upstream, _go) = holding();
    let plans = format!("default: {{ {WIDE}, concurrent: 1, wait: null }}");
    let [first, second] = fleet(&upstream, &store, "", &plans);
    let _held = hold(&first, KEY);
    ask(&second, KEY).assert_refused(429, "too_many_concurrent");
    first.signal("KILL");
    wait_for("its place", || (ask(&second, KEY).status == 200).then_some(()));
    wait_shared_by(&[&second], 1);
}

#[test]
fn a_quota_is_spent_once_by_all_and_never_again_when_the_store_is_empty() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = format!("default: {{ {WIDE}, concurrent: 100, quota: 30/month }}");
    let mut replicas = fleet(&upstream, &store, "", &plans);
    for _ in 0..10 {
        assert_eq!(ask(&replicas[0], KEY).status, 200);
        assert_eq!(ask(&replicas[1], KEY).status, 200);
    }
    // All that it knew is gone; each replica knows it still.
    store.kill();
    wait_all(&replicas, LOST);
    store.launch();
    wait_all(&replicas, UP);
    assert_eq!(exhaust(&replicas, "quota_exceeded"), 10);
    store.command("FLUSHALL");
    assert_eq!(exhaust(&replicas, "quota_exceeded"), 0);
    // One that is started again asks the store.
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    replicas[0].signal("TERM");
    assert_eq!(replicas[0].wait().code(), Some(0));
    let third = Gateway::start(&stored(&upstream, &section, &plans));
    ask(&third, KEY).assert_refused(429, "quota_exceeded");
    // No folder was needed for all that.
    assert!(!third.file("state").exists());
}

#[test]
fn a_store_that_begins_anew_is_told_of_callers_who_are_not_there() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = format!("default: {{ {WIDE}, concurrent: 100, quota: 9/month }}");
    let replicas = fleet(&upstream, &store, "", &plans);
    assert_eq!(exhaust(&replicas, "quota_exceeded"), 9);
    wait_for("no leases", || store.keys().iter().all(|key| !key.ends_with(":places")).then_some(()));
    store.kill();
    wait_all(&replicas, LOST);
    store.launch();
    wait_all(&replicas, UP);
    // Who asks there has not been anywhere else since.
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    let third = Gateway::start(&stored(&upstream, &section, &plans));
    ask(&third, KEY).assert_refused(429, "quota_exceeded");
}

#[test]
fn a_clean_stop_gives_back_what_was_not_used() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 1000000/min, burst: 100000, concurrent: 10000, quota: 1000000/month }";
    let [mut first, second] = fleet(&upstream, &store, "", plans);
    let mut asked = 0_u64;
    // Until it has some to spare.
    while first.metric("flowgate_lease_cells_total{result=\"granted\"}") < 30.0 {
        assert_eq!(ask(&first, KEY).status, 200);
        asked += 1;
    }
    first.signal("TERM");
    assert_eq!(first.wait().code(), Some(0));
    let state = ask(&second, KEY).header("ratelimit").unwrap().to_owned();
    assert!(state.contains(&format!("\"default-quota\";r={};", 1_000_000 - asked - 1)), "{asked}: {state}");
    // An idle replica as well: nothing but the count is left.
    wait_for("an idle store", || {
        let keys = store.keys();
        (keys.iter().filter(|key| key.contains('{')).all(|key| key.contains(":quota:") || key.contains(":usage:")))
            .then_some(())
    });
    assert!(first.log().iter().all(|line| !line.contains("ERROR")));
}

#[test]
fn busy_keys_ask_the_store_seldom() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let plans = "default: { requests: 10000000/min, burst: 1000000, concurrent: 100000 }";
    let [replica, _] = fleet(&upstream, &store, "", plans);
    let mut connection = Connection::open(replica.http);
    for _ in 0..600 {
        connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("connection", "keep-alive")], QUESTION));
        assert_eq!(connection.read_response().expect("an answer").status, 200);
    }
    let asked = replica.metric("flowgate_state_seconds_count{call=\"acquire\"}");
    assert!(asked < 150.0, "{asked} round trips for 600 requests");
    let cells = |result: &str| replica.metric(&format!("flowgate_lease_cells_total{{result=\"{result}\"}}"));
    // A store that was late, on a busy machine, was not waited for.
    wait_for("a cell for each request", || (cells("used") + cells("local") > 599.5).then_some(()));
    wait_for("an idle lease", || (cells("granted") - cells("used") - cells("returned") < 0.5).then_some(()));
}
