//! What keys have used: counted, kept, shown by a command and told to callers.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::cors::{assert_readable, assert_unreadable};
use crate::harness::client::{self, Response};
use crate::harness::gateway::{BINARY, Gateway, config, keys};
use crate::harness::upstream::{ANSWER, Upstream};
use crate::harness::{FLOW, KEY, model, sha256, tokens, wait_for};
use crate::rate_limits::{PREDICT, QUESTION, SECOND, ask, two_keys};

const USAGE: &str = "/api/v1/usage";
const PAGE: &str = "https://app.example.com";
const WIDE: &str = "requests: 100000/min, burst: 1000, concurrent: 8";

/// A second chatflow, and a folder for what is kept.
fn more(state: &Path, plans: &str) -> String {
    let id = FLOW.replace("9d2b", "9d2c");
    format!(
        "  sales: {{ upstream: flowise, id: {id}, isolate_sessions: false }}\nstate_dir: {}\nplans: {{ {plans} }}",
        state.display()
    )
}

fn start(upstream: &Upstream, state: &Path, chatflow: &str) -> Gateway {
    let plans = format!("default: {{ {WIDE} }}, anonymous: {{ {WIDE} }}");
    Gateway::start_with(&config(upstream.address, "", "", chatflow, &more(state, &plans)), &two_keys(""), |_| {})
}

/// An engine whose models take 7 tokens and give 3.
fn engine(model: &Upstream, state: &Path, plans: &str) -> Gateway {
    let more = format!("state_dir: {}\nplans: {{ {plans} }}", state.display());
    Gateway::start_with(&model::config("", "", &more), &two_keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    })
}

fn command(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .env("FLOWGATE_CONFIG", gateway.file("flowgate.yaml"))
        .args(["keys", "usage"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("flowgate runs")
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What `keys usage --json` says of a key: requests and refusals in all, and by chatflow.
fn counted(gateway: &Gateway, key: &str) -> Option<Value> {
    let output = command(gateway, &["--json"]);
    let all: Value = serde_json::from_slice(&output.stdout).ok()?;
    let key = all["keys"].as_array()?.iter().find(|entry| entry["id"] == key)?.clone();
    let of = |entry: &Value| json!([entry["requests"], entry["refused"]]);
    let named =
        key["chatflows"].as_array()?.iter().map(|entry| (entry["name"].as_str().unwrap().to_owned(), of(entry)));
    let mut counts: serde_json::Map<String, Value> = named.collect();
    counts.insert("all".to_owned(), of(&key));
    Some(counts.into())
}

#[track_caller]
fn wait_counted(gateway: &Gateway, key: &str, counts: &Value) {
    wait_for(&format!("{key}: {counts}"), || (counted(gateway, key).as_ref() == Some(counts)).then_some(()));
}

fn look(gateway: &Gateway, headers: &[(&str, &str)]) -> Response {
    client::get(gateway.http, USAGE, headers)
}

fn used(gateway: &Gateway) -> Value {
    let response = look(gateway, &[("x-api-key", KEY)]);
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[test]
fn requests_and_refusals_are_counted_by_key_and_chatflow_over_restarts() {
    let upstream = Upstream::start(|seen, reply| {
        if String::from_utf8_lossy(&seen.body).contains("fail") {
            reply.json("500 Internal Server Error", r#"{"message":"no"}"#);
        } else {
            reply.json("200 OK", ANSWER);
        }
    });
    let state = tempfile::tempdir().unwrap();
    let post = |gateway: &Gateway, path: &str, key: &str, body: &str| {
        client::post(gateway.http, path, &[("x-api-key", key)], body).status
    };
    let mut gateway = start(&upstream, state.path(), "");
    let sales = "/api/v1/prediction/sales";
    let asked = [
        post(&gateway, PREDICT, KEY, QUESTION),
        post(&gateway, PREDICT, KEY, r#"{"question":"fail"}"#),
        post(&gateway, PREDICT, KEY, r#"{"question":7}"#),
        post(&gateway, sales, KEY, QUESTION),
        post(&gateway, PREDICT, SECOND, QUESTION),
        // Nobody's.
        post(&gateway, PREDICT, "no-key-0123456789abcdef", QUESTION),
        post(&gateway, "/api/v1/nothing", KEY, QUESTION),
        client::get(gateway.http, "/api/v1/ping", &[("x-api-key", KEY)]).status,
    ];
    assert_eq!(asked, [200, 500, 400, 200, 200, 401, 404, 200]);
    // At once, without waiting for anything to be written.
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    let of_app = json!({ "all": [4, 1], "support": [3, 1], "sales": [1, 0] });
    assert_eq!(counted(&gateway, "app"), Some(of_app));
    assert_eq!(counted(&gateway, "second"), Some(json!({ "all": [1, 0], "support": [1, 0] })));
    assert_eq!(counted(&gateway, "anonymous"), None);

    let gateway = start(&upstream, state.path(), "");
    assert_eq!(post(&gateway, PREDICT, KEY, QUESTION), 200);
    wait_counted(&gateway, "app", &json!({ "all": [5, 1], "support": [4, 1], "sales": [1, 0] }));
    let table = out(&command(&gateway, &[]));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["KEY", "REQUESTS", "REFUSED", "TOKENS", "IN", "TOKENS", "OUT"]);
    assert_eq!(rows[1][..5], ["app", "5", "1", "0", "0"]);
    assert_eq!((rows[2][0], rows[2][1]), ("second", "1"));
    assert!(rows[1][5].chars().count() > rows[2][5].chars().count(), "{table}");
    let of_key = out(&command(&gateway, &["app"]));
    assert!(of_key.starts_with("CHATFLOW ") && of_key.contains("\nDAY ") && !of_key.contains("second"), "{of_key}");
    assert_eq!(out(&command(&gateway, &["--month", "2020-02"])), "nothing was counted in 2020-02\n");
    assert_eq!(command(&gateway, &["--month", "february"]).status.code(), Some(2));
    let unused = out(&command(&gateway, &["second", "--month", "2020-02"]));
    assert_eq!(unused, "nothing was counted of second in 2020-02\n");
    assert_eq!(out(&command(&gateway, &["anonymous"])).lines().count(), 1);
    for more in [&[][..], &["--json"]] {
        let nobody = command(&gateway, &[&["nosuch"], more].concat());
        let said = String::from_utf8(nobody.stderr).unwrap();
        assert_eq!((nobody.status.code(), &*nobody.stdout), (Some(2), &b""[..]), "{said}");
        assert!(said.starts_with("there is no key `nosuch` in ") && said.contains("keys.yaml"), "{said}");
    }
}

#[test]
fn visitors_of_a_public_chatflow_are_counted_together() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&upstream, state.path(), &format!(", access: public, allowed_origins: ['{PAGE}']"));
    for origin in [PAGE, "https://evil.example.com", PAGE] {
        client::post(gateway.http, PREDICT, &[("origin", origin)], QUESTION);
    }
    wait_counted(&gateway, "anonymous", &json!({ "all": [3, 1], "support": [3, 1] }));
}

#[test]
fn without_a_folder_nothing_is_kept_and_the_command_says_so() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let gateway = start(&upstream, &state, "");
    assert_eq!(ask(&gateway, KEY).status, 200);
    let output = command(&gateway, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(state.to_str().unwrap()) && said.contains("kept once there is that folder"), "{said}");
    // As soon as somebody makes it.
    std::fs::create_dir(&state).unwrap();
    assert_eq!(ask(&gateway, KEY).status, 200);
    wait_for("a file", || state.join("usage.json").exists().then_some(()));
    assert!(counted(&gateway, "app").is_some());
}

#[test]
fn a_disk_that_fails_stops_nobody_and_loses_nothing() {
    let upstream = Upstream::answering();
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let gateway = start(&upstream, &state, "");
    // Nobody can write where a file stands.
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    assert_eq!(ask(&gateway, KEY).status, 200);
    let failures = "flowgate_usage_write_failures_total";
    wait_for("two attempts", || (gateway.metric(failures) >= 2.0).then_some(()));
    let told = gateway.log().iter().filter(|line| line.contains("what keys use cannot be kept")).count();
    assert_eq!(told, 1, "{:?}", gateway.log());
    assert_eq!(ask(&gateway, KEY).status, 200);
    std::fs::remove_file(&state).unwrap();
    wait_counted(&gateway, "app", &json!({ "all": [2, 0], "support": [2, 0] }));
}

#[test]
fn tokens_are_counted_limited_and_told() {
    let model = model::saying("Hello there");
    let state = tempfile::tempdir().unwrap();
    let plans = format!("default: {{ {WIDE}, tokens: 15/month }}");
    let gateway = engine(&model, state.path(), &plans);
    let first = ask(&gateway, KEY);
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(first.header("ratelimit-policy").is_some_and(|policy| policy.ends_with(", \"default-tokens\";q=15")));
    assert!(first.header("ratelimit").is_some_and(|state| state.contains(", \"default-tokens\";r=15;t=")));
    wait_for("tokens of an answer", || (used(&gateway)["tokens"]["in"] == 7).then_some(()));
    let streamed = client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], r#"{"question":"hi","streaming":true}"#);
    assert_eq!(streamed.status, 200);
    assert!(streamed.header("ratelimit").is_some_and(|state| state.contains(", \"default-tokens\";r=5;t=")));
    wait_for("tokens of a stream", || (used(&gateway)["tokens"]["in"] == 14).then_some(()));

    let refused = ask(&gateway, KEY);
    refused.assert_refused(429, "token_quota_exceeded");
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").is_some_and(|state| state.ends_with(&format!("-tokens\";r=0;t={wait}"))));
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"tokens\"}", 1.0);
    assert_eq!(ask(&gateway, SECOND).status, 200, "another key has its own");
    let told = used(&gateway);
    let tokens = &told["tokens"];
    assert_eq!((&told["key"], &told["plan"]), (&json!("app"), &json!("default")));
    assert_eq!((&tokens["in"], &tokens["out"], &tokens["per"]), (&json!(14), &json!(6), &json!("month")));
    assert_eq!((&tokens["limit"], &tokens["remaining"]), (&json!(15), &json!(0)));
    assert!(tokens["reset"].as_u64().is_some_and(|reset| reset <= wait), "{told}");

    // All of it is known after a restart.
    let mut gateway = gateway;
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    let gateway = engine(&model, state.path(), &plans);
    ask(&gateway, KEY).assert_refused(429, "token_quota_exceeded");
    assert_eq!(used(&gateway)["tokens"]["in"], 14);
    assert_eq!(ask(&gateway, SECOND).status, 200);
    let json: Value = serde_json::from_str(&out(&command(&gateway, &["app", "--json"]))).unwrap();
    let of_support = &json["keys"][0]["chatflows"][0];
    assert_eq!(
        (&of_support["name"], &of_support["tokens_in"], &of_support["tokens_out"]),
        (&json!("support"), &json!(14), &json!(6))
    );
}

#[test]
fn a_user_of_a_token_has_tokens_of_its_own() {
    let model = model::saying("Hello there");
    let state = tempfile::tempdir().unwrap();
    let plans = format!("default: {{ {WIDE} }}, anonymous: {{ {WIDE}, tokens: 10/month }}");
    let gateway = engine(&model, state.path(), &plans);
    let user = |name: &str| format!("Bearer {}", tokens::mint("app", KEY, &json!({ "sub": name })));
    let (ann, bob) = (user("ann"), user("bob"));
    let ask = |user: &str| client::post(gateway.http, PREDICT, &[("authorization", user)], QUESTION);
    assert_eq!(ask(&ann).status, 200);
    let left = |user: &str| look(&gateway, &[("authorization", user)]).json()["user"]["tokens"].clone();
    wait_for("tokens", || (left(&ann)["remaining"] == 0).then_some(()));
    ask(&ann).assert_refused(429, "token_quota_exceeded");
    assert_eq!(left(&bob), json!({ "per": "month", "limit": 10, "remaining": 10, "reset": left(&bob)["reset"] }));
    assert_eq!(ask(&bob).status, 200);
}

#[test]
fn who_looks_at_what_is_left_uses_nothing() {
    let upstream = Upstream::answering();
    let state = tempfile::tempdir().unwrap();
    let plans = "default: { requests: 3/day, burst: 2, quota: 9/month }";
    let keys = two_keys(", chatflows: [sales], plan: default");
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", &more(state.path(), plans)), &keys, |_| {});
    assert_eq!(ask(&gateway, KEY).status, 200);
    for _ in 0..5 {
        let response = look(&gateway, &[("x-api-key", KEY)]);
        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")));
        assert_eq!(response.header("ratelimit"), None);
        let told = response.json();
        assert_eq!(told["requests"]["remaining"], 1, "{told}");
        assert_eq!((&told["requests"]["limit"], &told["requests"]["window"]), (&json!(3), &json!(86_400)));
        assert_eq!((&told["quota"]["limit"], &told["quota"]["remaining"]), (&json!(9), &json!(8)));
        assert!(told["tokens"]["limit"].is_null() && told["tokens"]["in"] == 0 && told["user"].is_null(), "{told}");
    }
    assert_eq!(ask(&gateway, KEY).status, 200);
    ask(&gateway, KEY).assert_refused(429, "rate_limited");
    assert_eq!(used(&gateway)["requests"]["remaining"], 0, "also of who has nothing left");
    // Whatever the key may call.
    assert_eq!(look(&gateway, &[("x-api-key", "partner-key-0123456789")]).json()["key"], "partner");
    look(&gateway, &[]).assert_refused(401, "missing_api_key");
    look(&gateway, &[("x-api-key", "no-key-0123456789abcdef")]).assert_refused(401, "invalid_api_key");
    client::post(gateway.http, USAGE, &[("x-api-key", KEY)], "{}").assert_refused(405, "method_not_allowed");
}

#[test]
fn a_page_may_look_where_it_may_ask() {
    let upstream = Upstream::answering();
    let listed = format!(", allowed_origins: ['{PAGE}']");
    let publishable = "page-key-0123456789abcdef";
    let keys = format!(
        "{}  - {{ id: page, sha256: {}, kind: publishable, allowed_origins: ['{PAGE}'] }}\n",
        keys(""),
        sha256(publishable)
    );
    let gateway = Gateway::start_with(&config(upstream.address, "", "", &listed, ""), &keys, |_| {});
    let preflight = [("origin", PAGE), ("access-control-request-method", "GET")];
    let preflight = client::send(gateway.http, "OPTIONS", USAGE, &preflight, "");
    assert_eq!(preflight.status, 204);
    assert_readable(&preflight, PAGE);
    let bearer = format!("Bearer {}", tokens::mint("app", KEY, &json!({ "sub": "ann" })));
    let told = look(&gateway, &[("origin", PAGE), ("authorization", &bearer)]);
    assert_readable(&told, PAGE);
    let told = told.json();
    assert_eq!((&told["key"], &told["user"]["plan"]), (&json!("app"), &json!("anonymous")));
    assert_eq!((&told["tokens"]["in"], &told["user"]["requests"]["limit"]), (&json!(0), &json!(10)));
    assert_unreadable(&look(&gateway, &[("origin", "https://evil.example.com"), ("authorization", &bearer)]));
    // Everybody can read a key in a page: how much the site is used is not told by it.
    let told = look(&gateway, &[("origin", PAGE), ("x-api-key", publishable)]).json();
    assert_eq!((&told["key"], &told["tokens"]), (&json!("page"), &Value::Null));
    look(&gateway, &[("x-api-key", publishable)]).assert_refused(403, "origin_not_allowed");
}
