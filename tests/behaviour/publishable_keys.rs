//! `flowgate keys create --publishable`: from the command to a page that uses the key.

use std::process::{Command, Output, Stdio};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{BINARY, Gateway, config};
use crate::harness::predictions::{PLENTY, PREDICT, QUESTION};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, wait_for};

const PAGE: &str = "https://app.example.com";
const APP: &str = "capacitor://localhost";

/// `flowgate keys` beside a running gateway.
fn keys(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
        .arg("keys")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("flowgate runs")
}

/// The key that a command prints, alone on stdout.
#[track_caller]
fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let key = text.strip_suffix('\n').expect("one line");
    assert!(key.starts_with("fg_pk_") && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(key));
    key.to_owned()
}

fn start(upstream: &Upstream) -> Gateway {
    let sales = format!("  sales: {{ upstream: flowise, id: {} }}\n{PLENTY}", FLOW.replace("9d2b", "9d2c"));
    Gateway::start(&config(upstream.address, "", "", "", &sales))
}

fn ask(gateway: &Gateway, key: &str, path: &str, origin: Option<&str>) -> Response {
    let mut headers = vec![("x-api-key", key)];
    headers.extend(origin.map(|origin| ("origin", origin)));
    client::post(gateway.http, path, &headers, QUESTION)
}

#[track_caller]
fn wait_status(gateway: &Gateway, key: &str, origin: &str, status: u16) {
    wait_for(&format!("status {status}"), || (ask(gateway, key, PREDICT, Some(origin)).status == status).then_some(()));
}

#[test]
fn a_created_key_works_in_its_pages_and_for_nothing_but_predictions() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    let create = ["create", "--id", "page", "--publishable", "--chatflow", "support", "--origin", PAGE];
    let key =
        printed(&keys(&gateway, &[&create[..], &["--origin", "https://*.example.org", "--origin", APP]].concat()));
    wait_status(&gateway, &key, PAGE, 200);
    assert_eq!(ask(&gateway, &key, PREDICT, Some(APP)).status, 200);
    assert_eq!(ask(&gateway, &key, PREDICT, Some("https://shop.example.org")).status, 200);
    let count = upstream.seen().len();
    for elsewhere in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("http://app.example.com"),
        Some("https://app.example.com:8443"),
        Some("https://app.example.com.evil.example"),
        Some("https://example.org"),
    ] {
        ask(&gateway, &key, PREDICT, elsewhere).assert_refused(403, "origin_not_allowed");
    }
    ask(&gateway, &key, "/api/v1/prediction/sales", Some(PAGE)).assert_refused(403, "chatflow_not_allowed");
    ask(&gateway, &key, "/api/v1/vector/upsert/support", Some(PAGE)).assert_refused(403, "chatflow_not_allowed");
    let headers = [("x-api-key", &*key), ("origin", PAGE)];
    let token = client::post(gateway.http, "/api/v1/tokens", &headers, r#"{"chatflow":"support"}"#);
    token.assert_refused(403, "chatflow_not_allowed");
    assert!(!token.text().contains("eyJ"));
    assert_eq!(upstream.seen().len(), count, "nothing refused is forwarded");
    gateway.wait_metric("flowgate_rejected_total{rule=\"origin\"}", 7.0);
    let log = gateway.log().join("\n");
    assert!(!log.contains(&key) && !std::fs::read_to_string(gateway.file("keys.yaml")).unwrap().contains(&key));
}

#[test]
fn its_kind_is_listed_and_kept_over_a_rotation() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    let first = printed(&keys(&gateway, &["create", "--id", "page", "--publishable", "--origin", PAGE]));
    let listed = |arguments: &[&str]| String::from_utf8(keys(&gateway, arguments).stdout).expect("text");
    let rows: serde_json::Value = serde_json::from_str(&listed(&["list", "--json"])).expect("JSON");
    let kinds: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["id"], &row["kind"])).collect();
    assert_eq!(kinds, [(&"app".into(), &"secret".into()), (&"page".into(), &"publishable".into())]);
    let table = listed(&["list"]);
    let line = table.lines().find(|line| line.starts_with("page ")).expect("its line");
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[..5], ["page", "active", "publishable", "default", "all"], "{table}");
    assert!(!table.contains(&first) && !rows.to_string().contains(&first));

    wait_status(&gateway, &first, PAGE, 200);
    let second = printed(&keys(&gateway, &["rotate", "page", "--grace", "0"]));
    wait_status(&gateway, &second, PAGE, 200);
    ask(&gateway, &first, PREDICT, Some(PAGE)).assert_refused(401, "invalid_api_key");
    ask(&gateway, &second, PREDICT, None).assert_refused(403, "origin_not_allowed");
    assert_eq!(keys(&gateway, &["revoke", "page"]).status.code(), Some(0));
    wait_status(&gateway, &second, PAGE, 401);
}

#[test]
fn a_key_for_pages_needs_pages_and_may_not_write() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    let before = std::fs::read_to_string(gateway.file("keys.yaml")).unwrap();
    for (arguments, said) in [
        (&["--publishable"][..], "--origin"),
        (&["--origin", PAGE], "--publishable"),
        (&["--publishable", "--origin", PAGE, "--upsert"], "--upsert"),
        (&["--publishable", "--origin", "app.example.com"], "app.example.com"),
        (&["--publishable", "--origin", "https://app.example.com/chat"], "https://app.example.com/chat"),
        (&["--publishable", "--origin", "null"], "null"),
        (&["--publishable", "--origin", "https://*"], "https://*"),
    ] {
        let output = keys(&gateway, &[&["create", "--id", "page"], arguments].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert_eq!(std::fs::read_to_string(gateway.file("keys.yaml")).unwrap(), before, "{arguments:?}");
    }
}
