//! Tokens that a plan allows, spent on several replicas.

use serde_json::Value;

use super::*;
use crate::harness::{KEY, model};
use crate::rate_limits::{SECOND, two_keys};

/// As many requests as anybody wants; each takes 7 tokens and gives 3.
const WIDE: &str = "requests: 100000/min, burst: 1000, concurrent: 8";

/// A replica whose engine runs a chain.
pub(crate) fn engine(model: &Upstream, store: &StoreServer, more: &str, plan: &str) -> Gateway {
    let section = format!("urls: ['{}'], timeout: 1s{more}", store.url());
    let more = format!("state: {{ valkey: {{ {section} }} }}\nplans: {{ default: {{ {plan} }} }}");
    Gateway::start_with(&model::config("", "", &more), &two_keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    })
}

fn pair(model: &Upstream, store: &StoreServer, more: &str, plan: &str) -> [Gateway; 2] {
    let replicas = [0, 1].map(|_| engine(model, store, more, plan));
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

/// What a key is told of its tokens.
fn tokens(gateway: &Gateway) -> Value {
    let response = client::get(gateway.http, "/api/v1/usage", &[("x-api-key", KEY)]);
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["tokens"].clone()
}

#[track_caller]
fn wait_left(gateway: &Gateway, left: u64) {
    wait_for(&format!("{left} tokens left"), || (tokens(gateway)["remaining"] == left).then_some(()));
}

/// What the store has counted of the one key that has used some.
fn spent(store: &StoreServer) -> Option<i64> {
    let keys = store.keys();
    let key = keys.iter().find(|key| key.contains("}:tokens:"))?;
    store.number(&format!("HGET {key} sum"))
}

#[test]
fn what_is_spent_on_one_replica_is_refused_on_the_others() {
    let Some(store) = StoreServer::start() else { return };
    let model = model::saying("Hello there");
    let [first, second] = pair(&model, &store, "", &format!("{WIDE}, tokens: 15/month"));
    for _ in 0..2 {
        assert_eq!(ask(&first, KEY).status, 200);
    }
    wait_for("all of it in the store", || (spent(&store) == Some(20)).then_some(()));
    // It has never heard of that caller.
    let refused = ask(&second, KEY);
    refused.assert_refused(429, "token_quota_exceeded");
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");
    let state = refused.header("ratelimit").expect("a state");
    assert!(state.ends_with(&format!("-tokens\";r=0;t={wait}")), "{state}");
    assert_eq!(ask(&second, SECOND).status, 200, "another key has its own");
    ask(&first, KEY).assert_refused(429, "token_quota_exceeded");
}

#[test]
fn what_is_left_is_told_for_all_replicas() {
    let Some(store) = StoreServer::start() else { return };
    let model = model::saying("Hello there");
    let [first, second] = pair(&model, &store, "", &format!("{WIDE}, tokens: 100/day, quota: 50/month"));
    wait_left(&second, 100);
    for _ in 0..3 {
        assert_eq!(ask(&first, KEY).status, 200);
    }
    // Whoever only looks asks the store.
    wait_left(&second, 70);
    assert_eq!(ask(&second, KEY).status, 200);
    wait_left(&first, 60);
    let told = client::get(first.http, "/api/v1/usage", &[("x-api-key", KEY)]).json();
    assert_eq!(told["quota"]["remaining"], 46, "{told}");
}

#[test]
fn no_token_is_spent_twice_when_the_store_or_a_replica_begins_anew() {
    let Some(mut store) = StoreServer::start() else { return };
    let model = model::saying("Hello there");
    let plan = format!("{WIDE}, tokens: 25/month");
    let mut replicas = pair(&model, &store, "", &plan);
    assert_eq!(ask(&replicas[0], KEY).status, 200);
    wait_left(&replicas[1], 15);
    assert_eq!(ask(&replicas[1], KEY).status, 200);
    wait_left(&replicas[0], 5);
    // As for any count: nobody guesses.
    store.kill();
    wait_all(&replicas, LOST);
    ask(&replicas[0], KEY).assert_refused(503, "state_unavailable");
    store.launch();
    wait_all(&replicas, UP);
    wait_left(&replicas[1], 5);
    wait_left(&replicas[0], 5);
    // One dies without a word.
    replicas[0].signal("KILL");
    replicas[0].wait();
    let third = engine(&model, &store, "", &plan);
    wait_left(&third, 5);
    assert_eq!(ask(&third, KEY).status, 200);
    wait_left(&replicas[1], 0);
    ask(&replicas[1], KEY).assert_refused(429, "token_quota_exceeded");
    // All is forgotten, but for what who is left knows.
    assert_eq!(store.command("FLUSHALL"), "+OK");
    wait_for("what it knows in the store", || {
        ask(&replicas[1], KEY).assert_refused(429, "token_quota_exceeded");
        spent(&store)
    });
    ask(&engine(&model, &store, "", &plan), KEY).assert_refused(429, "token_quota_exceeded");
}

#[test]
fn tokens_that_are_taken_while_the_store_is_lost_are_told_once() {
    let Some(mut store) = StoreServer::start() else { return };
    let model = model::saying("Hello there");
    let replicas = pair(&model, &store, ", on_loss: { quotas: allow }", &format!("{WIDE}, tokens: 1000/month"));
    assert_eq!(ask(&replicas[0], KEY).status, 200);
    wait_left(&replicas[1], 990);
    for round in 1..=2 {
        store.kill();
        wait_all(&replicas, LOST);
        for replica in &replicas {
            assert_eq!(ask(replica, KEY).status, 200);
        }
        store.launch();
        wait_all(&replicas, UP);
        wait_for("the whole count", || (spent(&store) == Some(20 * round + 10)).then_some(()));
        for replica in &replicas {
            wait_left(replica, 990 - 20 * u64::try_from(round).unwrap());
        }
    }
}
