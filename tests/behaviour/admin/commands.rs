//! `flowgate explain` and `flowgate top`, run as they are.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::client;
use crate::harness::gateway::{BINARY, Gateway, simple};
use crate::harness::ports::nowhere;
use crate::harness::wait_for;
use crate::telemetry::{PREDICT, QUESTION, talking};

fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let admin = format!("http://{}", gateway.admin);
    let mut command = Command::new(BINARY);
    command.args(arguments).args(["--admin", &admin]).env_remove("FLOWGATE_CONFIG").stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_request_is_explained_as_a_table() {
    let gateway = Gateway::start(&simple(talking().address));
    let output = run(&gateway, &["explain", "support", "--key-id", "app"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    for wanted in [
        "route      passes",
        "caller     passes   the key app",
        "keys.app",
        "keys.yaml:2",
        "It passes, and goes to flowise.",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let output = run(&gateway, &["explain", PREDICT, "--body", r#"{"question":7}"#, "--key-id", "app"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("body       REFUSES") && said.contains("It is refused: 400 invalid_request: "), "{said}");
    let output = run(&gateway, &["explain", "support", "--key-id", "nobody", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), told["status"].as_u64()), (Some(1), Some(401)));
}

#[test]
fn a_request_that_was_refused_is_explained_by_its_id() {
    let gateway = Gateway::start(&simple(talking().address));
    client::post(gateway.http, PREDICT, &[("x-request-id", "refused-here")], QUESTION);
    let output = wait_for("its entry", || {
        let output = run(&gateway, &["explain", "--request", "refused-here"]);
        (output.status.code() == Some(1)).then_some(output)
    });
    let said = text(&output.stdout);
    for wanted in
        ["401 missing_api_key: An API key is required", "reason     missing", "chatflow   support", "What helps: "]
    {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let output = run(&gateway, &["explain", "--request", "never-was"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("never-was is not among the last 200"));
}

#[test]
fn a_gateway_that_is_not_there_is_told() {
    let nowhere = nowhere();
    for command in [&["explain", "support"][..], &["top", "--once"]] {
        let admin = format!("http://{nowhere}");
        let output = Command::new(BINARY).args(command).args(["--admin", &admin]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(&admin), "{}", text(&output.stderr));
    }
}

#[test]
fn the_configuration_says_where_it_is_and_with_which_token() {
    let token = "0123456789abcdef-admin";
    // The port must be known beforehand.
    let admin = nowhere();
    let config = simple(talking().address)
        .replace("admin: { listen: '127.0.0.1:0'", &format!("admin: {{ token_file: token, listen: '{admin}'"));
    let gateway = Gateway::start_with(&config, &crate::harness::gateway::keys(""), |folder| {
        std::fs::write(folder.join("token"), token).unwrap();
    });
    let run = |arguments: &[&str]| {
        Command::new(BINARY).args(arguments).env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml")).output().unwrap()
    };
    let output = run(&["top", "--once"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for wanted in ["All is well", "support", "flowise", "app", "CHATFLOW", "LAST USED"] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains(token));
    let output = Command::new(BINARY)
        .args(["top", "--once", "--admin", &format!("http://{admin}")])
        .env_remove("FLOWGATE_CONFIG")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--token-file"), "{}", text(&output.stderr));
}
