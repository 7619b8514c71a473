//! How much a caller may ask in a day or month, and that it is remembered.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{BINARY, Gateway, config, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256, wait_for};
use crate::rate_limits::{QUESTION, SECOND, STREAMING, ask, hold, holding, two_keys};

/// A configuration that keeps its counts in that folder. A month is as good as a day here, and ends less often while a
/// test runs.
fn counting(upstream: SocketAddr, state: &Path, plans: &str) -> String {
    let more = format!("state_dir: {}\nplans: {{ {plans} }}", state.display());
    config(upstream, ", trusted_proxies: [127.0.0.1]", "", "", &more)
}

fn start(upstream: &Upstream, state: &Path, plans: &str) -> Gateway {
    Gateway::start_with(&counting(upstream.address, state, plans), &two_keys(""), |_| {})
}

/// The plan of keys with that quota and a rate that does not matter.
fn plan(quota: &str) -> String {
    format!("default: {{ requests: 100000/min, burst: 1000, concurrent: 4, quota: {quota} }}")
}

#[track_caller]
fn assert_used_up(response: &Response, most: u64) {
    response.assert_refused(429, "quota_exceeded");
    let wait: u64 = response.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!((1..=most).contains(&wait), "{wait}");
    let state = response.header("ratelimit").expect("a state");
    assert!(state.ends_with(&format!("-quota\";r=0;t={wait}")), "{state}");
}

const DAY: u64 = 86_400;
const MONTH: u64 = 31 * DAY;

/// Waits until the file of counts has a key's count.
fn wait_kept(state: &Path, key: &str, count: u64) {
    wait_for("the count on disk", || {
        let text = std::fs::read_to_string(state.join("quota.json")).ok()?;
        let counts: serde_json::Value = serde_json::from_str(&text).expect("whole JSON, always");
        (counts["keys"][key]["count"] == count).then_some(())
    });
}

fn check(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), config).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    Command::new(BINARY).args(["check", "--config"]).arg(folder.path().join("flowgate.yaml")).output().unwrap()
}

#[test]
fn a_quota_is_told_with_every_answer_and_refused_when_it_is_used_up() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    for (quota, policy, most) in [
        ("2/day", "\"default\";q=100000;w=60, \"default-quota\";q=2;w=86400", DAY),
        ("2/month", "\"default\";q=100000;w=60, \"default-quota\";q=2", MONTH),
    ] {
        let gateway = start(&upstream, state.path(), &plan(quota));
        let answers = [ask(&gateway, KEY), ask(&gateway, KEY), ask(&gateway, KEY), ask(&gateway, KEY)];
        for (answer, left) in answers.iter().zip(["r=1", "r=0", "r=0", "r=0"]) {
            assert_eq!(answer.header("ratelimit-policy"), Some(policy));
            let state = answer.header("ratelimit").expect("a state");
            let (rate, quota) = state.split_once(", ").expect("two items");
            assert!(rate.starts_with("\"default\";r=99"), "{state}");
            assert!(quota.starts_with(&format!("\"default-quota\";{left};t=")), "{state}");
        }
        let [first, second, third, fourth] = &answers;
        assert_eq!((first.status, second.status), (200, 200));
        assert_used_up(third, most);
        assert_used_up(fourth, most);
        assert_eq!(ask(&gateway, SECOND).status, 200, "another key has its own");
        gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"quota\"}", 2.0);
    }
    assert_eq!(upstream.seen().len(), 6);
}

#[test]
fn a_request_that_must_wait_anyhow_is_not_counted() {
    let (upstream, go) = holding();
    let state = tempfile::tempdir().unwrap();
    let plans = "default: { requests: 3/day, burst: 3, concurrent: 1, wait: 0s, quota: 2/month }";
    let gateway = start(&upstream, state.path(), plans);
    let mut stream = hold(&gateway, KEY);
    let refused = ask(&gateway, KEY);
    refused.assert_refused(429, "too_many_concurrent");
    assert!(refused.header("ratelimit").is_some_and(|state| state.contains("\"default-quota\";r=1;")));
    go.send(()).unwrap();
    while stream.read_chunk().expect("a chunk").is_some() {}
    assert_eq!(ask(&gateway, KEY).status, 200);
    let refused = ask(&gateway, KEY);
    refused.assert_refused(429, "rate_limited");
    assert!(refused.header("ratelimit").is_some_and(|state| state.contains("\"default-quota\";r=0;")));
}

#[test]
fn an_address_has_a_quota_of_its_own() {
    let upstream = Upstream::start(|_, reply| reply.json("200 OK", r#"{"isStreaming":true}"#));
    let state = tempfile::tempdir().unwrap();
    let plans = "anonymous: { requests: 100000/min, burst: 1000, quota: 1/month }";
    let gateway = start(&upstream, state.path(), plans);
    let from = |address: &str| client::get(gateway.http, STREAMING, &[("x-forwarded-for", address)]);
    for (address, neighbour) in [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::2")] {
        assert_eq!(from(address).status, 200);
        assert_used_up(&from(neighbour), MONTH);
    }
    gateway.wait_metric("flowgate_limited_total{key=\"anonymous\",limit=\"quota\"}", 2.0);
    let kept = wait_for("both on disk", || {
        let text = std::fs::read_to_string(state.path().join("quota.json")).ok()?;
        let counts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let counts = counts["visitors"]["anonymous"].as_object()?.clone();
        (counts.len() == 2).then_some(counts)
    });
    assert!(kept.contains_key("192.0.2.7") && kept.contains_key("2001:db8::/64"), "{kept:?}");
    drop(gateway);
    let gateway = start(&upstream, state.path(), plans);
    for address in ["192.0.2.7", "2001:db8::3"] {
        assert_used_up(&client::get(gateway.http, STREAMING, &[("x-forwarded-for", address)]), MONTH);
    }
}

#[test]
fn a_clean_stop_loses_no_count() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let mut gateway = start(&upstream, state.path(), &plan("15/month"));
        for _ in 0..5 {
            assert_eq!(ask(&gateway, KEY).status, 200);
        }
        // At once, without waiting for anything to be written.
        gateway.signal("TERM");
        assert_eq!(gateway.wait().code(), Some(0));
        wait_kept(state.path(), "app", 5 * round);
    }
    assert_used_up(&ask(&start(&upstream, state.path(), &plan("15/month")), KEY), MONTH);
}

#[test]
fn a_clean_stop_loses_no_visitors_count() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let more = format!(
        "state_dir: {}\nplans: {{ anonymous: {{ requests: 100000/min, burst: 1000, quota: 4/month }} }}",
        state.path().display()
    );
    let public = ", access: public, allowed_origins: ['https://app.example.com']";
    let written = config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", public, &more);
    let start = || Gateway::start_with(&written, &keys(""), |_| {});
    let ask = |gateway: &Gateway, address: &str| {
        let headers = [("x-forwarded-for", address), ("origin", "https://app.example.com")];
        client::post(gateway.http, crate::rate_limits::PREDICT, &headers, QUESTION)
    };
    for _ in 0..2 {
        let mut gateway = start();
        for _ in 0..2 {
            assert_eq!(ask(&gateway, "192.0.2.7").status, 200);
        }
        gateway.signal("TERM");
        assert_eq!(gateway.wait().code(), Some(0));
    }
    let gateway = start();
    assert_used_up(&ask(&gateway, "192.0.2.7"), MONTH);
    assert_eq!(ask(&gateway, "192.0.2.8").status, 200, "another address has its own");
    assert_eq!(upstream.seen().len(), 5);
}

#[test]
fn what_ends_while_draining_is_counted_too() {
    let (upstream, go) = holding();
    let state = tempfile::tempdir().unwrap();
    let mut gateway = start(&upstream, state.path(), &plan("3/month"));
    let mut kept_alive = client::Connection::open(gateway.http);
    kept_alive.write(client::request("POST", crate::rate_limits::PREDICT, &[("x-api-key", SECOND)], QUESTION));
    assert_eq!(kept_alive.read_response().unwrap().status, 200);
    let mut stream = hold(&gateway, KEY);
    gateway.signal("TERM");
    wait_for("readyz 503", || (client::get(gateway.admin, "/readyz", &[]).status == 503).then_some(()));
    go.send(()).unwrap();
    while stream.read_chunk().expect("a chunk").is_some() {}
    assert_eq!(gateway.wait().code(), Some(0));
    wait_kept(state.path(), "app", 1);
    wait_kept(state.path(), "second", 1);
}

#[test]
fn a_killed_gateway_has_lost_no_more_than_what_was_not_yet_written() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let mut gateway = start(&upstream, state.path(), &plan("4/month"));
    for _ in 0..3 {
        assert_eq!(ask(&gateway, KEY).status, 200);
    }
    wait_kept(state.path(), "app", 3);
    gateway.signal("KILL");
    gateway.wait();
    let gateway = start(&upstream, state.path(), &plan("4/month"));
    assert_eq!(ask(&gateway, KEY).status, 200);
    assert_used_up(&ask(&gateway, KEY), MONTH);
}

#[test]
fn the_file_is_its_owners_alone_and_never_seen_half_written() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("made/state");
    let gateway = start(&upstream, &state, &plan("1000000/month"));
    for count in 1..=3 {
        assert_eq!(ask(&gateway, KEY).status, 200);
        // Every look on the way finds whole JSON.
        wait_kept(&state, "app", count);
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("quota.json"))), (0o700, 0o600));
}

#[test]
fn without_quotas_there_is_no_state() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let mut gateway = start(&upstream, &state, "default: { requests: 100000/min, burst: 1000 }");
    assert_eq!(ask(&gateway, KEY).status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!state.exists());
}

#[test]
fn a_damaged_file_is_said_kept_aside_and_started_anew() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("quota.json");
    for damaged in ["{\"keys\":{\"app\":{\"per", "", "nonsense"] {
        std::fs::write(&file, damaged).unwrap();
        let gateway = start(&upstream, state.path(), &plan("1/month"));
        let line = gateway.log_line(|line| line["level"] == "ERROR");
        assert_eq!(line["file"], *file.to_str().unwrap(), "{line}");
        let aside = state.path().join("quota.json.bad");
        assert_eq!(line["kept_as"], *aside.to_str().unwrap(), "{line}");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), damaged);
        assert_eq!(ask(&gateway, KEY).status, 200);
        wait_kept(state.path(), "app", 1);
    }
}

#[test]
fn a_state_dir_that_cannot_be_is_named_before_anything_is_served() {
    let upstream = Upstream::answering();
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("occupied");
    std::fs::write(&occupied, "").unwrap();
    let wrong = counting(upstream.address, &occupied.join("state"), &plan("1/month"));
    let output = check(&wrong);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("plans.default.quota: "), "{said}");
    assert!(said.contains(occupied.join("state").to_str().unwrap()) && said.contains("state_dir"), "{said}");

    let written = folder.path().join("flowgate.yaml");
    std::fs::write(&written, wrong).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let serve = Command::new(BINARY).args(["serve", "--config"]).arg(written).output().unwrap();
    assert_eq!(serve.status.code(), Some(2));
    assert!(String::from_utf8(serve.stderr).unwrap().contains("plans.default.quota: "));

    let right = counting(upstream.address, &folder.path().join("state"), &plan("1/month"));
    let output = check(&right);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!folder.path().join("state").exists(), "whoever checks may not be who serves");
    // Nobody needs it.
    let unused = counting(upstream.address, &occupied, "default: { requests: 60/min }");
    assert_eq!(check(&unused).status.code(), Some(0));
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let upstream = Upstream::answering();
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut first = start(&upstream, state.path(), &plan("3/month"));
    assert_eq!(ask(&first, KEY).status, 200);
    let text = counting(upstream.address, state.path(), &plan("3/month"));
    std::fs::write(folder.path().join("flowgate.yaml"), &text).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let file = folder.path().join("flowgate.yaml");
    let second = Command::new(BINARY).args(["serve", "--config"]).arg(file).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("plans.default.quota: "), "{said}");
    assert!(
        said.contains(state.path().to_str().unwrap()) && said.contains("another process keeps its counts"),
        "{said}"
    );
    assert_eq!(check(&text).status.code(), Some(0), "whoever checks takes nothing");
    assert_eq!(ask(&first, KEY).status, 200);
    first.signal("TERM");
    first.wait();
    let third = start(&upstream, state.path(), &plan("3/month"));
    assert_eq!(ask(&third, KEY).status, 200);
    assert_used_up(&ask(&third, KEY), MONTH);
}

#[test]
fn a_disk_that_fails_is_said_once_counted_and_got_over() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let gateway = start(&upstream, &state, &plan("5/month"));
    // Nobody can write where a file stands.
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    assert_eq!(ask(&gateway, KEY).status, 200);
    let failures = "flowgate_quota_write_failures_total";
    wait_for("two attempts", || (gateway.metric(failures) >= 2.0).then_some(()));
    let errors = gateway.log().iter().filter(|line| line.contains("\"ERROR\"")).count();
    assert_eq!(errors, 1, "{:?}", gateway.log());
    // It goes on counting, and revokes keys.
    assert_eq!(ask(&gateway, KEY).status, 200);
    let only = format!("keys:\n  - {{ id: second, sha256: {} }}\n", sha256(SECOND));
    gateway.write("keys.yaml", only);
    wait_for("the revocation", || (ask(&gateway, KEY).status == 401).then_some(()));
    std::fs::remove_file(&state).unwrap();
    assert_eq!(ask(&gateway, SECOND).status, 200);
    wait_kept(&state, "second", 1);
    gateway.log_line(|line| line["message"] == "the counts of quotas are kept again");
}

#[test]
fn a_reload_keeps_the_count_whatever_the_quota_is_now() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path(), &plan("1/month"));
    assert_eq!(ask(&gateway, KEY).status, 200);
    assert_used_up(&ask(&gateway, KEY), MONTH);
    let file = gateway.file("flowgate.yaml");
    let change = |from: &str, to: &str, count: f64| {
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.contains(from));
        std::fs::write(&file, written.replace(from, to)).unwrap();
        gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", count);
    };
    change("quota: 1/month", "quota: 3/month", 1.0);
    let answer = ask(&gateway, KEY);
    assert_eq!(answer.status, 200);
    assert!(answer.header("ratelimit").is_some_and(|state| state.contains("\"default-quota\";r=1;")));
    // A day is no month.
    change("quota: 3/month", "quota: 2/day", 2.0);
    let answer = ask(&gateway, KEY);
    assert_eq!(answer.status, 200);
    assert!(answer.header("ratelimit").is_some_and(|state| state.contains("\"default-quota\";r=1;")));
    change(", quota: 2/day", "", 3.0);
    assert_eq!(ask(&gateway, KEY).header("ratelimit-policy"), Some("\"default\";q=100000;w=60"));
}

#[test]
fn a_reload_may_bring_the_first_quota() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let gateway = start(&upstream, &state, "default: { requests: 100000/min, burst: 1000 }");
    let file = gateway.file("flowgate.yaml");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, written.replace("burst: 1000", "burst: 1000, quota: 2/month")).unwrap();
    wait_for("the quota", || {
        ask(&gateway, KEY).header("ratelimit-policy").is_some_and(|policy| policy.contains("-quota")).then_some(())
    });
    wait_kept(&state, "app", 1);
}
