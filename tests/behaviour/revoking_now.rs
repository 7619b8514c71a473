//! `flowgate keys revoke --now` ends running streams, and every change by command is told with who made it.

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{BINARY, Gateway, config, keys, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, model, sha256, wait_for};

const OTHER: &str = "other-key-0123456789abcdef";
const PATH: &str = "/api/v1/prediction/support";
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";
const REVOKED: &str = "message:\ndata:{\"event\":\"error\",\"data\":\"The key was revoked.\"}\n\n";

fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let output = Command::new(BINARY)
        .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
        .env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
        .arg("keys")
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn two_keys() -> String {
    keys("") + &format!("  - {{ id: partner, sha256: {} }}\n", sha256(OTHER))
}

fn begin(gateway: &Gateway, key: &str, id: &str) -> Connection {
    let body = format!(r#"{{"question":"hi","streaming":true,"chatId":"{id}"}}"#);
    let mut stream = Connection::open(gateway.http);
    stream.write(request("POST", PATH, &[("x-api-key", key), ("x-request-id", id)], &body));
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().is_some());
    stream
}

#[test]
fn the_streams_of_a_key_end_with_it_if_that_is_asked_for_and_nobody_elses() {
    let (upstream, finish) = Upstream::holding_streams();
    let gateway = Gateway::start_with(&simple(upstream.address), &two_keys(), |_| {});
    let mut first = begin(&gateway, KEY, "first-stream");
    let mut others = begin(&gateway, OTHER, "others-stream");
    // By itself it only keeps new requests out.
    run(&gateway, &["revoke", "app"]);
    let refused = || client::post(gateway.http, PATH, &[("x-api-key", KEY)], "{}").status == 401;
    wait_for("the refusal", || refused().then_some(()));
    gateway.wait_metric("flowgate_streams_open", 2.0);

    let output = run(&gateway, &["revoke", "app", "--now"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("refuses it and ends its running streams within 2 seconds"), "{said}");
    assert_eq!(first.read_rest(), format!("{REVOKED}{END}"));
    let line = gateway.access_line("first-stream");
    assert_eq!((&line["end"], &line["error"]), (&"revoked".into(), &"The key was revoked.".into()));
    gateway.wait_metric("flowgate_streams_ended_total{reason=\"revoked\"}", 1.0);
    upstream.wait_request("PUT", &format!("/api/v1/chatmessage/abort/{FLOW}/first-stream"));

    finish.store(true, Ordering::SeqCst);
    assert_eq!(others.read_rest(), END);
    assert_eq!(gateway.access_line("others-stream")["end"], "done");
    // A key that is switched on again is as any other.
    let text = fs::read_to_string(gateway.file("keys.yaml")).unwrap();
    let text = text.replace("enabled: false", "enabled: true").replace("end_streams: true", "end_streams: false");
    gateway.write("keys.yaml", text);
    wait_for("the key", || (!refused()).then_some(()));
    assert_eq!(begin(&gateway, KEY, "last-stream").read_rest(), END);
}

#[test]
fn a_broken_entry_beside_it_keeps_no_stream_alive() {
    let (upstream, finish) = Upstream::holding_streams();
    let gateway = Gateway::start_with(&simple(upstream.address), &two_keys(), |_| {});
    let mut stream = begin(&gateway, KEY, "first-stream");
    let mut others = begin(&gateway, OTHER, "others-stream");
    let broken = two_keys() + "  - { id: new, sha256: 12 }\n";
    gateway.write("keys.yaml", broken);
    run(&gateway, &["revoke", "app", "--now"]);
    assert_eq!(stream.read_rest(), format!("{REVOKED}{END}"));
    finish.store(true, Ordering::SeqCst);
    assert_eq!(others.read_rest(), END);
}

#[test]
fn streams_of_the_engine_end_in_their_own_shape() {
    for (shape, last) in [("", format!("{REVOKED}{END}")), (", response: message", "The key was revoked.".to_owned())] {
        let finish = Arc::new(AtomicBool::new(false));
        let model = Upstream::start({
            let finish = Arc::clone(&finish);
            move |_, reply| {
                reply.stream_head();
                model::token(reply, "first");
                wait_for("the word", || finish.load(Ordering::SeqCst).then_some(()));
                model::end(reply, 7, 3);
            }
        });
        let plans = "plans: { default: { concurrent: 8 } }";
        let gateway = Gateway::start_with(&model::config("", shape, plans), &two_keys(), |dir| {
            model::write(dir, "support", &model::export("llm-chain", model.address));
        });
        let mut stream = begin(&gateway, KEY, "of-the-engine");
        run(&gateway, &["revoke", "app", "--now"]);
        let rest = stream.read_rest();
        assert!(rest.contains(&last), "{rest}");
        assert_eq!(gateway.access_line("of-the-engine")["end"], "revoked");
        finish.store(true, Ordering::SeqCst);
    }
}

#[test]
fn end_streams_is_for_keys_that_are_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("127.0.0.1:3000".parse().unwrap(), "", "", "", "");
    fs::write(folder.path().join("flowgate.yaml"), config).unwrap();
    fs::write(folder.path().join("keys.yaml"), keys(", end_streams: true")).unwrap();
    let check =
        Command::new(BINARY).args(["check", "--config"]).arg(folder.path().join("flowgate.yaml")).output().unwrap();
    let said = String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(said.contains("keys.yaml:2:") && said.contains("keys[0].end_streams"), "{said}");
}

#[test]
fn who_changed_which_key_is_in_a_file_and_in_the_log() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start_with(&simple(upstream.address), &two_keys(), |_| {});
    let secret = String::from_utf8(run(&gateway, &["create", "--id", "new"]).stdout).unwrap();
    let changed =
        |field: &str, id: &str| gateway.log_line(|line| line["message"] == "keys changed" && line[field] == id);
    let by = changed("added", "new")["by"].as_str().expect("somebody").to_owned();
    assert!(by.ends_with(" from 192.0.2.7"), "{by}");
    run(&gateway, &["rotate", "new", "--grace", "1h"]);
    assert_eq!(changed("changed", "new")["by"], by);
    run(&gateway, &["revoke", "new", "--now"]);
    assert_eq!(changed("revoked", "new")["by"], by);
    // By hand: nobody knows who.
    gateway.write("keys.yaml", keys(""));
    assert_eq!(changed("revoked", "partner, new").get("by"), None);

    let text = fs::read_to_string(gateway.file("keys.audit.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["command"].as_str().unwrap(), line["change"].as_str().unwrap())).collect();
    assert_eq!((told[0], told[2]), (("create", "secret key"), ("revoke", "disabled; running streams end")));
    assert!(told[1].0 == "rotate" && told[1].1.starts_with("new secret; the old one counts until 20"), "{told:?}");
    for line in &lines {
        assert_eq!((&line["key"], &line["from"]), (&"new".into(), &"192.0.2.7".into()));
        assert!(line["time"].is_string() && line["by"].is_string() && line["host"].is_string() && line["uid"].is_u64());
    }
    assert!(!text.contains(secret.trim()) && !text.contains(&sha256(secret.trim())));
    // A command that changes nothing tells nothing.
    let failed = Command::new(BINARY)
        .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
        .args(["keys", "revoke", "nobody"])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(fs::read_to_string(gateway.file("keys.audit.jsonl")).unwrap(), text);
}
