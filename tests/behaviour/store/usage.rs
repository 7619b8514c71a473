//! What keys use, of all replicas together.

use serde_json::{Value, json};

use super::tokens::engine;
use super::*;
use crate::harness::{KEY, model, sha256};
use crate::rate_limits::{SECOND, two_keys};

const PLAN: &str = "requests: 100000/min, burst: 1000, concurrent: 8";

fn replica(upstream: &Upstream, store: &StoreServer) -> Gateway {
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    Gateway::start_with(&stored(upstream, &section, &format!("default: {{ {PLAN} }}")), &two_keys(""), |_| {})
}

fn pair(upstream: &Upstream, store: &StoreServer) -> [Gateway; 2] {
    let replicas = [0, 1].map(|_| replica(upstream, store));
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

fn command(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
        .args(["keys", "usage"])
        .args(arguments)
        .output()
        .expect("flowgate runs")
}

fn usage(gateway: &Gateway, arguments: &[&str]) -> Value {
    let output = command(gateway, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Requests and refusals of each key, in all.
fn counted(gateway: &Gateway) -> Value {
    let all = usage(gateway, &[]);
    let keys = all["keys"].as_array().expect("a list").iter();
    keys.map(|key| (key["id"].as_str().unwrap().to_owned(), json!([key["requests"], key["refused"]])))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[track_caller]
pub(super) fn wait_counted(gateway: &Gateway, counts: &Value) {
    wait_for(&counts.to_string(), || {
        let now = counted(gateway);
        (now == *counts).then_some(()).ok_or_else(|| eprintln!("{now}")).ok()
    });
}

fn ask_times(gateway: &Gateway, key: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(ask(gateway, key).status, 200);
    }
}

#[test]
fn what_all_replicas_have_counted_is_shown_together() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let mut replicas = pair(&upstream, &store);
    ask_times(&replicas[0], KEY, 3);
    ask_times(&replicas[1], KEY, 2);
    ask_times(&replicas[1], SECOND, 1);
    let refused =
        client::post(replicas[1].http, crate::rate_limits::PREDICT, &[("x-api-key", KEY)], r#"{"question":7}"#);
    assert_eq!(refused.status, 400);
    let all = json!({ "app": [6, 1], "second": [1, 0] });
    wait_counted(&replicas[0], &all);
    let table = String::from_utf8(command(&replicas[1], &[]).stdout).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], &rows[1][..5], rows[2][0]), ("KEY", &["app", "6", "1", "0", "0"][..], "second"));
    let of_app = &usage(&replicas[0], &["app"])["keys"][0];
    assert_eq!((&of_app["chatflows"][0]["name"], &of_app["chatflows"][0]["requests"]), (&json!("support"), &json!(6)));
    assert_eq!((of_app["days"].as_array().map(Vec::len), &of_app["days"][0]["refused"]), (Some(1), &json!(1)));
    assert_eq!(usage(&replicas[0], &["--month", "2020-02"])["keys"], json!([]));
    // Names tell nothing of callers, and nothing is kept for ever.
    for key in store.keys() {
        assert!(!key.contains("app") && !key.contains("second"), "{key}");
        let seconds = store.number(&format!("TTL {key}")).unwrap();
        assert!(seconds != -1 && (!key.contains(":usage:") || seconds > 390 * 86_400), "{key}: {seconds}");
    }
    // One that ends tells what it has, and is counted once ever after, as is one that dies.
    ask_times(&replicas[0], KEY, 1);
    replicas[0].signal("TERM");
    assert_eq!(replicas[0].wait().code(), Some(0));
    assert_eq!(counted(&replicas[1]), json!({ "app": [7, 1], "second": [1, 0] }));
    replicas[1].signal("KILL");
    replicas[1].wait();
    let third = replica(&upstream, &store);
    ask_times(&third, SECOND, 2);
    wait_counted(&third, &json!({ "app": [7, 1], "second": [3, 0] }));
    assert_eq!(fields(&store), 2, "rows of who ended are those of all that are gone, for chatflow and day");
}

/// Rows of replicas that are gone, in the record that has most.
fn fields(store: &StoreServer) -> usize {
    let records = store.keys().into_iter().filter(|key| key.contains("}:usage:"));
    let rows =
        records.map(|key| store.list(&format!("HKEYS {key}")).iter().filter(|row| row.starts_with("-:")).count());
    rows.max().unwrap_or(0)
}

#[test]
fn nothing_is_lost_or_counted_twice_when_the_store_begins_anew() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let replicas = pair(&upstream, &store);
    ask_times(&replicas[0], KEY, 3);
    ask_times(&replicas[1], KEY, 4);
    wait_counted(&replicas[0], &json!({ "app": [7, 0] }));
    for round in 1..=2_u32 {
        store.kill();
        wait_all(&replicas, LOST);
        // Counted while there is none, and told then.
        ask_times(&replicas[0], KEY, 2);
        store.launch();
        wait_all(&replicas, UP);
        wait_counted(&replicas[1], &json!({ "app": [7 + 2 * round, 0] }));
    }
    // Whatever it forgets without a sign is told with the next that is counted.
    assert_eq!(store.command("FLUSHALL"), "+OK");
    ask_times(&replicas[0], KEY, 1);
    ask_times(&replicas[1], KEY, 1);
    wait_counted(&replicas[0], &json!({ "app": [13, 0] }));
}

#[test]
fn callers_are_told_what_they_have_used_of_all_replicas() {
    let Some(store) = StoreServer::start() else { return };
    let model = model::saying("Hello there");
    let replicas = [0, 1].map(|_| engine(&model, &store, "", PLAN));
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    let told = |gateway: &Gateway| {
        let response = client::get(gateway.http, "/api/v1/usage", &[("x-api-key", KEY)]);
        let tokens = response.json()["tokens"].clone();
        (tokens["in"].as_u64().unwrap(), tokens["out"].as_u64().unwrap())
    };
    ask_times(&replicas[0], KEY, 2);
    ask_times(&replicas[1], KEY, 1);
    for replica in &replicas {
        wait_for("tokens of both", || (told(replica) == (21, 9)).then_some(()));
    }
    let all = usage(&replicas[1], &["app"]);
    let of_support = &all["keys"][0]["chatflows"][0];
    assert_eq!((&of_support["tokens_in"], &of_support["tokens_out"]), (&json!(21), &json!(9)), "{all}");
}

#[test]
fn who_asks_a_replica_that_does_not_know_it_is_told_what_is_left_for_all() {
    let Some(store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let names: Vec<String> = (0..24).map(|n| format!("key-number-{n:02}-0123456789")).collect();
    let listed: Vec<String> =
        names.iter().map(|name| format!("  - {{ id: {}, sha256: {} }}\n", &name[..13], sha256(name))).collect();
    let section = format!("urls: ['{}'], timeout: 1s", store.url());
    let text = stored(&upstream, &section, "default: { requests: 60000/min, burst: 1000, quota: 9/month }");
    let replicas = [0, 1].map(|_| Gateway::start_with(&text, &(keys("") + &listed.concat()), |_| {}));
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    for name in &names {
        ask_times(&replicas[0], name, 2);
        let told = client::get(replicas[1].http, "/api/v1/usage", &[("x-api-key", name)]);
        assert_eq!(told.json()["quota"]["remaining"], json!(7), "{name}");
    }
}

#[test]
fn a_store_that_cannot_be_reached_is_said_to_be() {
    let Some(mut store) = StoreServer::start() else { return };
    let upstream = Upstream::answering();
    let gateway = replica(&upstream, &store);
    store.kill();
    let output = command(&gateway, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let socket = store.socket().display().to_string();
    assert!(said.starts_with("what keys use cannot be read from the store (state.valkey): "), "{said}");
    assert!(said.contains(&socket), "{said}");
}
