//! External authorisation: what a proxy is told that asks whether a request may pass.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, sha256, tokens, wait_for};

const PAGE: &str = "https://app.example.com";
const PAGE_KEY: &str = "page-key-0123456789abcdef";
const FORCED_KEY: &str = "test-key-with-vars-0123456789";
const NO_WHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The fields of every decision.
const FIELDS: [&str; 6] =
    ["x-flowgate-key", "x-flowgate-chatflow", "x-flowgate-subject", "x-flowgate-path", "authorization", "x-api-key"];

const EXT_AUTH: &str = ", ext_auth: { listen: '127.0.0.1:0', headers: { pass_upstream_key: true } }, \
                        trusted_proxies: [127.0.0.1]";

fn start_with(server: &str, chatflow: &str, more: &str) -> Gateway {
    let keys = keys("")
        + &format!(
            "  - {{ id: page, sha256: {}, kind: publishable, allowed_origins: ['{PAGE}'] }}\n",
            sha256(PAGE_KEY)
        )
        + &format!("  - {{ id: forced, sha256: {}, vars: {{ tier: gold }} }}\n", sha256(FORCED_KEY));
    Gateway::start_with(&config(NO_WHERE, server, "", chatflow, more), &keys, |_| {})
}

fn start() -> Gateway {
    start_with(EXT_AUTH, "", PLENTY)
}

/// Asks as nginx does.
fn ask(gateway: &Gateway, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response {
    let original = [("X-Original-Method", method), ("X-Original-URI", uri)];
    client::get(gateway.ext_auth.unwrap(), "/authorize", &[&original[..], headers].concat())
}

fn fields(response: &Response) -> Vec<&str> {
    FIELDS.iter().map(|name| response.header(name).unwrap_or("(none)")).collect()
}

#[test]
fn each_kind_of_proxy_is_told_who_calls_what_and_with_which_key() {
    let gateway = start();
    let (ext_auth, key) = (gateway.ext_auth.unwrap(), ("x-api-key", KEY));
    let forwarded =
        [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", PREDICT), ("X-Forwarded-Host", "chat.example.com"), key];
    let mut connection = Connection::open(ext_auth);
    // As Envoy does: the request's own method and path, and no body.
    connection.write(request("POST", &format!("/authorize{PREDICT}"), &[key, ("content-length", "0")], ""));
    let url =
        [("X-Original-Method", "POST"), ("X-Original-URL", "https://chat.example.com/api/v1/prediction/support"), key];
    for decision in [
        ask(&gateway, "POST", PREDICT, &[key]),
        ask(&gateway, "POST", PREDICT, &[("authorization", &format!("Bearer {KEY}"))]),
        ask(&gateway, "POST", "/api/v1/prediction/support?streaming=1", &[key]),
        client::get(ext_auth, "/authorize", &forwarded),
        client::get(ext_auth, "/authorize", &url),
        connection.read_response().unwrap(),
    ] {
        assert_eq!((decision.status, decision.text().as_str()), (200, ""));
        let path = format!("/api/v1/prediction/{FLOW}");
        assert_eq!(fields(&decision), ["app", "support", "", &path, "Bearer upstream-key", "upstream-key"]);
        assert!(decision.header("ratelimit").unwrap().starts_with("\"default\";r="));
        assert_eq!(decision.header("cache-control"), Some("no-store"));
        assert_eq!(decision.header("x-flowgate-refusal"), None);
    }
    let other = ask(&gateway, "POST", "/api/v1/vector/upsert/support", &[key]);
    other.assert_refused(403, "chatflow_not_allowed");
    let streaming = ask(&gateway, "GET", "/api/v1/chatflows-streaming/support", &[]);
    let path = format!("/api/v1/chatflows-streaming/{FLOW}");
    assert_eq!(fields(&streaming), ["", "support", "", &path, "Bearer upstream-key", "upstream-key"]);
}

#[test]
fn without_the_setting_no_decision_holds_the_upstreams_key() {
    let gateway = start_with(", ext_auth: { listen: '127.0.0.1:0' }", "", PLENTY);
    let decision = ask(&gateway, "POST", PREDICT, &[("x-api-key", KEY)]);
    assert_eq!(decision.status, 200);
    assert_eq!(fields(&decision)[4..], ["", ""], "the client's own are overwritten by nothing");
    assert!(!format!("{decision:?}").contains("upstream-key") && !gateway.log().concat().contains("upstream-key"));
}

#[test]
fn a_refusal_is_that_of_the_gateway_whole() {
    let upstream = Upstream::answering();
    let plan = "plans: { default: { requests: 1/hour, burst: 1 }, anonymous: { requests: 1000/s } }";
    let gateway = Gateway::start(&config(upstream.address, EXT_AUTH, "", "", plan));
    let good = [("x-api-key", KEY), ("x-request-id", "request-0")];
    assert_eq!(ask(&gateway, "POST", PREDICT, &good).status, 200);
    for (method, path, key, status) in [
        ("POST", PREDICT, Some(KEY), 429),
        ("POST", PREDICT, Some("wrong-key-0123456789"), 401),
        ("POST", PREDICT, None, 401),
        ("POST", "/api/v1/prediction/none", None, 404),
        ("GET", "/api/v1/chatflows", None, 404),
        ("POST", "/api/v1//prediction/support", None, 404),
        ("GET", PREDICT, None, 405),
        ("POST", "/api/v1/prediction/sup%70ort", Some(KEY), 404),
    ] {
        let mut headers = vec![("x-request-id", "request-1"), ("origin", PAGE)];
        headers.extend(key.map(|key| ("x-api-key", key)));
        let there = client::post(gateway.http, path, &headers, "");
        let there = if method == "POST" { there } else { client::get(gateway.http, path, &headers) };
        let here = ask(&gateway, method, path, &headers);
        assert_eq!((here.status, here.status), (status, there.status), "{path}");
        assert_eq!(here.text(), there.text());
        let told = |response: &Response| {
            let unlike = ["date", "x-flowgate-refusal", "ratelimit", "retry-after", "connection"];
            let mut headers = response.headers.clone();
            headers.retain(|(name, _)| !unlike.contains(&&*name.to_lowercase()));
            headers.sort();
            headers
        };
        assert_eq!(told(&here), told(&there));
        for name in ["ratelimit", "retry-after"] {
            assert_eq!(here.header(name).is_some(), there.header(name).is_some(), "{name} of {path}");
        }
        assert!(FIELDS.iter().all(|name| here.header(name).is_none()), "{:?}", here.headers);
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn nginx_can_show_a_refusal_by_asking_for_it() {
    let gateway = start();
    let refused = ask(&gateway, "POST", PREDICT, &[("x-api-key", "wrong-key-0123456789"), ("origin", PAGE)]);
    let told = refused.header("x-flowgate-refusal").expect("the whole refusal").to_owned();
    let ext_auth = gateway.ext_auth.unwrap();
    let shown = client::get(ext_auth, "/refused", &[("X-Flowgate-Refusal", &told)]);
    shown.assert_refused(401, "invalid_api_key");
    assert_eq!(shown.text(), refused.text());
    for name in ["www-authenticate", "cache-control", "vary", "x-request-id"] {
        assert!(shown.header(name).is_some(), "{name}");
        assert_eq!(shown.header(name), refused.header(name));
    }
    for other in ["", "e30", &told[..told.len() / 2]] {
        client::get(ext_auth, "/refused", &[("X-Flowgate-Refusal", other)]).assert_refused(404, "not_found");
    }
    client::get(gateway.http, "/refused", &[("X-Flowgate-Refusal", &told)]).assert_refused(404, "not_found");
    // Told again, not decided again.
    let line = gateway.access_line(shown.header("x-request-id").unwrap());
    assert_eq!((&line["route"], &line["status"]), (&json!("ext-auth"), &json!(401)));
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"unknown\"}", 1.0);
}

#[test]
fn a_client_cannot_choose_which_request_is_decided_about() {
    let gateway = start();
    let ext_auth = gateway.ext_auth.unwrap();
    let (key, other) = (("x-api-key", KEY), "/api/v1/prediction/other");
    let traefik = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", other), key];
    let envoy = format!("/authorize{other}");
    for refused in [
        client::get(ext_auth, "/authorize", &[&traefik[..], &[("X-Original-URI", PREDICT)]].concat()),
        client::get(ext_auth, "/authorize", &[&traefik[..], &[("X-Original-Method", "POST")]].concat()),
        ask(&gateway, "POST", other, &[key, ("X-Forwarded-Uri", PREDICT)]),
        ask(&gateway, "POST", other, &[key, ("X-Original-URI", PREDICT)]),
        client::post(ext_auth, &envoy, &[key, ("X-Original-URI", PREDICT)], ""),
        client::post(ext_auth, &envoy, &[key, ("X-Forwarded-Uri", PREDICT)], ""),
        client::get(ext_auth, "/authorize", &[key]),
        client::get(ext_auth, "/authorize", &[key, ("X-Original-URI", PREDICT)]),
    ] {
        refused.assert_refused(400, "invalid_request");
        let line = gateway.access_line(refused.header("x-request-id").unwrap());
        assert_eq!(line["rule"], "ext_auth_request");
    }
    client::get(ext_auth, PREDICT, &[key]).assert_refused(404, "not_found");
}

#[test]
fn tokens_pages_and_addresses_count_as_in_the_proxy() {
    let chatflow = format!(", allowed_origins: ['{PAGE}']");
    let gateway = start_with(EXT_AUTH, &chatflow, PLENTY);
    let token = tokens::mint("app", KEY, &json!({ "sub": "Ann Müller" }));
    let decision = ask(&gateway, "POST", PREDICT, &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(fields(&decision)[..3], ["app", "support", "Ann%20M%C3%BCller"]);
    let page = [("x-api-key", PAGE_KEY), ("origin", PAGE), ("x-forwarded-for", "203.0.113.7")];
    let decision = ask(&gateway, "POST", PREDICT, &page);
    assert_eq!(fields(&decision)[0], "page");
    assert_eq!(decision.header("access-control-allow-origin"), Some(PAGE));
    let line = gateway.access_line(decision.header("x-request-id").unwrap());
    assert_eq!(
        (&line["client"], &line["key"], &line["path"]),
        (&json!("203.0.113.7"), &json!("page"), &json!(PREDICT))
    );
    let elsewhere = [("x-api-key", PAGE_KEY), ("origin", "https://evil.example")];
    ask(&gateway, "POST", PREDICT, &elsewhere).assert_refused(403, "origin_not_allowed");
    let series = "flowgate_requests_total{chatflow=\"support\",code=\"200\",key=\"page\",route=\"ext-auth\"}";
    gateway.wait_metric(series, 1.0);
}

#[test]
fn a_preflight_is_answered_without_a_key_and_holds_none() {
    let gateway = start_with(EXT_AUTH, &format!(", allowed_origins: ['{PAGE}']"), PLENTY);
    let asked = [("origin", PAGE), ("access-control-request-method", "POST")];
    let preflight = ask(&gateway, "OPTIONS", PREDICT, &asked);
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    assert_eq!(fields(&preflight), [""; 6]);
    let other = ask(&gateway, "OPTIONS", PREDICT, &[("origin", "https://evil.example"), asked[1]]);
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[test]
fn what_would_silently_not_hold_is_refused() {
    let paths = [
        ("GET", "/api/v1/health", 404),
        ("GET", "/api/v1/ping", 404),
        ("GET", "/api/v1/usage", 404),
        ("POST", "/api/v1/tokens", 404),
        ("GET", "/api/v1/public-chatbotConfig/support", 404),
        ("POST", "/api/v1/attachments/support/chat-1", 404),
        ("POST", "/api/v1/leads", 404),
        ("GET", "/api/v1/get-upload-file?chatflowId=support&chatId=a&fileName=b", 404),
    ];
    let gateway = start();
    for (method, path, status) in paths {
        let refused = ask(&gateway, method, path, &[("x-api-key", KEY)]);
        refused.assert_refused(status, "not_found");
        let line = gateway.access_line(refused.header("x-request-id").unwrap());
        assert_eq!(line["rule"], "ext_auth_route", "{path}");
    }
    let forced = ask(&gateway, "POST", PREDICT, &[("x-api-key", FORCED_KEY)]);
    forced.assert_refused(400, "invalid_request");
    for claim in [json!({ "vars": { "a": "b" } }), json!({ "sessionId": "s-1" })] {
        let token = tokens::mint("app", KEY, &claim);
        ask(&gateway, "POST", PREDICT, &[("x-api-key", &token)]).assert_refused(400, "invalid_request");
    }
    for (chatflow, named) in [
        (", vars: { tier: free }", "vars"),
        (", force_override: { temperature: 0 }", "force_override"),
        (", response: message", "response"),
        (", events: widget", "events"),
        (", access: public, allowed_origins: ['https://app.example.com']", "events"),
    ] {
        let gateway = start_with(EXT_AUTH, chatflow, PLENTY);
        let refused = ask(&gateway, "POST", PREDICT, &[("x-api-key", KEY)]);
        refused.assert_refused(403, "chatflow_not_allowed");
        let line = gateway.access_line(refused.header("x-request-id").unwrap());
        assert_eq!(line["rule"], "ext_auth_chatflow");
        assert!(line["error"].as_str().unwrap().contains(named), "{line}");
        // Whoever looks at the console is led to the setting.
        let path = format!("/api/refusals?id={}", line["request_id"].as_str().unwrap());
        let entry = wait_for("its entry", || {
            client::get(gateway.admin, &path, &[("host", "localhost")]).json()["refusals"].get(0).cloned()
        });
        assert_eq!(entry["setting"], "server.ext_auth", "{entry}");
        assert!(entry["helps"].as_str().unwrap().contains("gateway"), "{entry}");
    }
}

#[test]
fn nobody_without_a_key_passes_and_no_refusal_looks_like_a_yes() {
    let chatflow = format!(", access: public, events: all, allowed_origins: ['{PAGE}']");
    let gateway = start_with(EXT_AUTH, &chatflow, PLENTY);
    // In the proxy, a widget that accepts nothing but events is told errors as a stream, which is a 200.
    let widget = [("origin", PAGE), ("accept", "text/event-stream")];
    assert_eq!(ask(&gateway, "POST", PREDICT, &widget).status, 403);
    assert_eq!(ask(&gateway, "PUT", PREDICT, &widget).status, 405);
    assert_eq!(ask(&gateway, "POST", PREDICT, &[&widget[..], &[("x-api-key", KEY)]].concat()).status, 200);
    let two = [widget[0], widget[1], ("origin", "https://evil.example")];
    assert_eq!(ask(&gateway, "POST", PREDICT, &two).status, 400);
}

#[test]
fn a_chatflow_of_the_engine_goes_to_the_gateway() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/flows/assistant.json");
    let text = format!(
        "server: {{ listen: '127.0.0.1:0', workers: 1{EXT_AUTH} }}\nadmin: {{ listen: '127.0.0.1:0' }}\n\
         upstreams: {{ local: {{ engine: {{ credentials: {{ openAIApi: {{ openAIApiKey: sk-x }} }} }} }} }}\n\
         chatflows: {{ support: {{ upstream: local }} }}\n"
    );
    let gateway = Gateway::start_with(&text, &keys(""), |dir| {
        std::fs::create_dir(dir.join("flows")).unwrap();
        std::fs::copy(folder, dir.join("flows/support.json")).unwrap();
    });
    let refused = ask(&gateway, "POST", PREDICT, &[("x-api-key", KEY)]);
    refused.assert_refused(403, "chatflow_not_allowed");
    let line = gateway.access_line(refused.header("x-request-id").unwrap());
    assert_eq!((&line["rule"], &line["key"]), (&json!("ext_auth_chatflow"), &json!("app")));
}

#[test]
fn decisions_use_up_what_the_proxy_would() {
    let plan = "plans: { default: { requests: 1000/s, quota: 3/day } }";
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, EXT_AUTH, "", "", plan));
    let key = [("x-api-key", KEY)];
    assert_eq!(ask(&gateway, "POST", PREDICT, &key).status, 200);
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).status, 200);
    assert_eq!(ask(&gateway, "POST", PREDICT, &key).status, 200);
    gateway.predict(r#"{"question":"hi"}"#).assert_refused(429, "quota_exceeded");
    let refused = ask(&gateway, "POST", PREDICT, &key);
    refused.assert_refused(429, "quota_exceeded");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() >= 1));
    let usage: Value = client::get(gateway.http, "/api/v1/usage", &key).json();
    assert_eq!(usage["quota"]["remaining"], 0, "{usage}");
}
