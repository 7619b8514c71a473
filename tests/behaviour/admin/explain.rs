//! What is explained is what happens: for a table of requests, the verdict is that of the very same request when it is sent.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{HERE, read};
use crate::harness::client::{self, send};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::issuer::{SigningKey, claims, key_set};
use crate::harness::model::{self, MODEL_KEY};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256};
use crate::telemetry::{PREDICT, QUESTION, talking};

const NARROW: &str = "narrow-key-0123456789abc";
const ENDED: &str = "ended-key-0123456789abcd";
const PAGE: &str = "page-key-0123456789abcde";
const LISTED: &str = "https://app.example.com";

fn start(upstream: &Upstream, signer: &SigningKey) -> Gateway {
    let id = |digit: char| format!("9d2b4ae3-1f5e-4c00-9000-00000000000{digit}");
    let more = format!(
        "  open: {{ upstream: flowise, id: {}, access: public, allowed_origins: ['{LISTED}'], max_question_chars: 20 }}\n  \
           raw: {{ upstream: flowise, id: {}, body: passthrough, isolate_sessions: false }}\n\
         plans: {{ default: {{ requests: 100000/min, burst: 1000, concurrent: 100 }}, anonymous: {{ requests: 100000/min, burst: 1000 }}, \
                  small: {{ requests: 1/day, burst: 1 }} }}\n",
        id('1'),
        id('2')
    );
    let server = ", max_body: 4KiB, trusted_proxies: [127.0.0.1]";
    let more = format!("{more}{}", identity());
    let keys = format!(
        "{}  - {{ id: narrow, sha256: {}, allowed_ips: [192.0.2.1], chatflows: [open], vars: {{ tier: gold }} }}\n  \
           - {{ id: ended, sha256: {}, expires_at: 2020-01-01T00:00:00Z }}\n  \
           - {{ id: page, sha256: {}, kind: publishable, chatflows: [support], allowed_origins: ['{LISTED}'] }}\n",
        keys(""),
        sha256(NARROW),
        sha256(ENDED),
        sha256(PAGE)
    );
    Gateway::start_with(&config(upstream.address, server, "", "", &more), &keys, |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[signer.jwk("one")])).unwrap();
    })
}

/// Providers whose people may call `support`, and of whose limits one is used up at once.
fn identity() -> String {
    let one = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, issuer: 'https://{name}.example.com', jwks_file: jwks.json, audience: [flowgate], {more} }}\n"
        )
    };
    let rules = "vars: { tier: tier }, require: { groups: [chat] }";
    format!(
        "identity:\n{}{}{}",
        one("staff", &format!("chatflows: [support, raw], {rules}")),
        one("guests", "chatflows: [support], plan: small"),
        one("claimed", "chatflows_claim: may, plan_claim: plan")
    )
}

fn explain(gateway: &Gateway, question: &Value) -> Value {
    let response = client::post(gateway.admin, "/api/explain", &[HERE], &question.to_string());
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

/// Method, path, headers, body.
type Sent<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, String);

fn table() -> Vec<Sent<'static>> {
    let key = ("x-api-key", KEY);
    let origin = ("origin", LISTED);
    let other = ("origin", "https://other.example.com");
    let narrow = vec![("x-api-key", NARROW), ("x-forwarded-for", "192.0.2.1")];
    let open = "/api/v1/prediction/open";
    let mut table = Vec::new();
    let mut add = |method, path, headers: &[(&'static str, &'static str)], body: &str| {
        table.push((method, path, headers.to_vec(), body.to_owned()));
    };
    for body in [
        QUESTION,
        r#"{"question":"hi","streaming":true,"chatId":"a-chat"}"#,
        r#"{"question":"hi","stream":true,"streaming":false}"#,
        r#"{"question":"hi","colour":1}"#,
        r#"{"question":7}"#,
        r#"{"question":"hi","question":"ho"}"#,
        r#"{"question":"hi","overrideConfig":{"sessionId":"s"}}"#,
        r#"{"question":"hi","overrideConfig":{"model":"x"}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":{"a":1}}}"#,
        r#"{"question":"hi","__proto__":{}}"#,
        r#"{"question":"hi","history":[{"role":"userMessage","content":"a"}]}"#,
        r#"{"question":"hi","uploads":[{"type":"url","name":"a.png","mime":"image/png","data":"https://x"}]}"#,
        "{}",
        "[]",
        "{",
        "",
    ] {
        add("POST", PREDICT, &[key], body);
        add("POST", "/api/v1/prediction/raw", &[key], body);
    }
    let long = format!(r#"{{"question":"{}"}}"#, "long ".repeat(2000));
    add("POST", PREDICT, &[key], &long);
    add("POST", "/api/v1/prediction/raw", &[key], &long);
    add("POST", open, &[origin], r#"{"question":"longer than twenty letters"}"#);
    for headers in [
        &[][..],
        &[("x-api-key", "wrong-key-0123456789abc")],
        &[("x-api-key", "short")],
        &[("authorization", KEY)],
        &[("authorization", "Basic abc")],
        &[("x-api-key", ENDED)],
        &[key, ("authorization", "Bearer another-key-0123456789a")],
        &[("x-api-key", PAGE)],
        &[("x-api-key", PAGE), origin],
        &[("x-api-key", PAGE), other],
        &[key, other],
        &[key, origin, ("origin", "https://second.example.com")],
        &[key, ("content-type", "text/plain")],
        &[key, ("content-encoding", "gzip")],
        &[key, ("host", "a b")],
        &[origin],
        &[other],
    ] {
        for path in [PREDICT, open, "/api/v1/prediction/nothing", "/api/v1/vector/upsert/support"] {
            add("POST", path, headers, QUESTION);
        }
    }
    for path in [open, PREDICT] {
        add("POST", path, &narrow, QUESTION);
        add("POST", path, &narrow[..1], QUESTION);
    }
    for path in [
        "/",
        "/api/v1/ping",
        "/api/v1/health/",
        "//api/v1/prediction/support",
        "/api/v1/prediction/support/",
        "/api/v1/chatflows",
        "/api/v1/usage",
        "/api/v1/chatflows-streaming/nothing",
        PREDICT,
    ] {
        for method in ["GET", "PUT", "OPTIONS"] {
            add(method, path, &[key], "");
        }
    }
    add("OPTIONS", PREDICT, &[other], "");
    add("POST", "/api/v1/leads", &[origin], r#"{"chatflowid":"nothing"}"#);
    add("POST", "/api/v1/leads", &[origin], "{}");
    add("POST", "/api/v1/leads", &[], r#"{"chatflowid":"support"}"#);
    add("GET", "/api/v1/get-upload-file?chatflowId=nothing&chatId=a&fileName=b", &[key], "");
    add("GET", "/api/v1/get-upload-file", &[key], "");
    table
}

/// What is told of a request and what becomes of it, as far as they differ; and whether it passes.
fn compared(gateway: &Gateway, (method, path, headers, body): &Sent<'_>) -> (Value, Option<String>) {
    let mut fields = serde_json::Map::new();
    for (name, value) in headers {
        let values = fields.entry(*name).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(json!(value));
    }
    let mut question = json!({ "method": method, "path": path, "headers": fields });
    if !body.is_empty() {
        question["body"] = json!(body);
    }
    let told = explain(gateway, &question);
    let told_again = explain(gateway, &question);
    assert_eq!(told, told_again, "nothing is counted: {question}");
    let answered = send(gateway.http, method, path, headers, body);
    let code = if answered.status >= 400 { answered.json()["code"].clone() } else { Value::Null };
    let status = told["status"].as_u64().unwrap();
    // What passes is for the upstream to answer.
    let is_same = if told["passes"] == true { answered.status < 400 } else { status == u64::from(answered.status) };
    let refusing: Vec<_> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["result"] == "refuses" && step["step"] != "cors")
        .collect();
    assert_eq!(refusing.len(), usize::from(told["passes"] == false), "{told}");
    let secrets = [KEY, NARROW, ENDED, PAGE, &sha256(KEY), "upstream-key", "gold", MODEL_KEY, "eyJ"];
    assert!(!secrets.iter().any(|secret| told.to_string().contains(secret)), "{told}");
    let differs = !is_same || told["code"] != code;
    let differs =
        differs.then(|| format!("{method} {path} {headers:?} {body:.60}\n  {} {code}\n  {told}", answered.status));
    (told, differs)
}

#[test]
fn the_verdict_is_that_of_the_request_itself() {
    let upstream = talking();
    let gateway = start(&upstream, &SigningKey::p256());
    let mut wrong = Vec::new();
    let (mut passed, mut refused) = (0, 0);
    for sent in table() {
        let (told, differs) = compared(&gateway, &sent);
        wrong.extend(differs);
        if told["passes"] == true {
            passed += 1;
        } else {
            refused += 1;
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 10 && refused > 60, "{passed} passed, {refused} refused");
}

#[test]
fn a_persons_token_is_explained_with_its_reason() {
    let (upstream, signer) = (talking(), SigningKey::p256());
    let gateway = start(&upstream, &signer);
    let says = |name: &str, more: Value| {
        let issuer = format!("https://{name}.example.com");
        format!("Bearer {}", signer.token("one", &claims(&issuer, &more)))
    };
    let staff = |more: Value| {
        let mut all = json!({ "tier": "gold", "groups": ["chat"] });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        says("staff", all)
    };
    let unsigned = staff(json!({})) + "x";
    let none = Value::Null;
    let cases = [
        (PREDICT, staff(json!({})), QUESTION, none.clone(), none.clone()),
        (PREDICT, staff(json!({ "exp": 1 })), QUESTION, json!("expired"), none.clone()),
        (PREDICT, staff(json!({ "aud": "other" })), QUESTION, json!("audience"), none.clone()),
        (PREDICT, staff(json!({ "groups": "sales" })), QUESTION, json!("require"), json!("groups")),
        (PREDICT, staff(json!({ "tier": ["gold"] })), QUESTION, json!("vars"), json!("tier")),
        (PREDICT, unsigned, QUESTION, json!("signature"), none.clone()),
        (PREDICT, says("others", json!({})), QUESTION, json!("issuer"), none.clone()),
        (PREDICT, "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(), QUESTION, json!("issuer"), none.clone()),
        (PREDICT, staff(json!({})), r#"{"question":"hi","colour":1}"#, none.clone(), none.clone()),
        ("/api/v1/prediction/raw", staff(json!({})), QUESTION, none.clone(), none.clone()),
        ("/api/v1/prediction/open", staff(json!({})), QUESTION, none.clone(), none.clone()),
        ("/api/v1/vector/upsert/support", staff(json!({})), "{}", none.clone(), none.clone()),
        ("/api/v1/tokens", staff(json!({})), r#"{"chatflow":"support"}"#, none.clone(), none.clone()),
        (PREDICT, says("guests", json!({})), QUESTION, none.clone(), none.clone()),
        (PREDICT, says("guests", json!({})), QUESTION, none.clone(), none.clone()),
        (
            PREDICT,
            says("claimed", json!({ "may": "support", "plan": "nobody's" })),
            QUESTION,
            json!("plan"),
            json!("plan"),
        ),
        (
            PREDICT,
            says("claimed", json!({ "may": [1], "plan": "default" })),
            QUESTION,
            json!("chatflows"),
            json!("may"),
        ),
        (PREDICT, says("claimed", json!({ "may": "open", "plan": "default" })), QUESTION, none.clone(), none),
    ];
    let mut wrong = Vec::new();
    let mut verdicts = Vec::new();
    for (path, bearer, body, reason, claim) in &cases {
        let sent = ("POST", *path, vec![("authorization", &**bearer)], (*body).to_owned());
        let (told, differs) = compared(&gateway, &sent);
        wrong.extend(differs);
        assert_eq!((&told["reason"], &told["claim"]), (reason, claim), "{told}");
        verdicts.push(told);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let passing = verdicts.iter().filter(|told| told["passes"] == true).count();
    assert_eq!(passing, 2, "one of staff, and the first of the guests");
    assert_eq!(verdicts[14]["code"], "rate_limited");
    let last = verdicts[17]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["setting"], "identity[2].chatflows_claim", "{last}");
}

#[test]
fn what_the_engine_answers_is_explained_as_well() {
    let model = model::saying("fine");
    let more = "plans: { default: { requests: 100000/min, burst: 1000 } }";
    let chatflow = ", override_config: [temperature], max_question_chars: 20";
    let gateway = Gateway::start_with(&model::config("", chatflow, more), &keys(""), |folder| {
        model::write(folder, "support", &model::export("llm-chain", model.address));
    });
    let mut wrong = Vec::new();
    let key = vec![("x-api-key", KEY)];
    for (body, passes) in [
        (QUESTION, true),
        (r#"{"question":"hi","streaming":true}"#, true),
        (r#"{"question":"hi","overrideConfig":{"temperature":0.5}}"#, true),
        (r#"{"question":"hi","overrideConfig":{"model":"x"}}"#, false),
        (r#"{"question":"longer than twenty letters"}"#, false),
        (r#"{"question":"hi","colour":1}"#, false),
        ("{}", false),
        ("", false),
    ] {
        let (told, differs) = compared(&gateway, &("POST", PREDICT, key.clone(), body.to_owned()));
        wrong.extend(differs);
        assert_eq!(told["passes"], passes, "{body}: {told}");
    }
    let (told, differs) = compared(&gateway, &("POST", "/api/v1/vector/upsert/support", key, "{}".to_owned()));
    assert_eq!((&told["passes"], differs), (&json!(false), None), "{told}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn nothing_is_sent_and_nothing_is_counted() {
    let upstream = talking();
    let plans = "plans: { default: { requests: 2/hour, burst: 2 } }";
    let gateway = Gateway::start(&config(upstream.address, "", "", "", plans));
    let question = json!({ "method": "POST", "path": PREDICT, "key_id": "app", "body": { "question": "hi" } });
    let wrong = json!({ "method": "POST", "path": PREDICT, "key": "wrong-key-0123456789abc", "body": "{}" });
    for _ in 0..50 {
        assert_eq!(explain(&gateway, &question)["passes"], true);
        assert_eq!(explain(&gateway, &wrong)["status"], 401, "guesses are not counted either");
    }
    assert_eq!(read(&gateway, "/api/keys")["keys"][0]["requests"]["remaining"], 2);
    assert_eq!(read(&gateway, "/api/refusals")["refusals"], json!([]));
    assert!(!gateway.metrics().contains("flowgate_requests_total{"));
    assert_eq!(gateway.predict(QUESTION).status, 200);
    assert_eq!(gateway.predict(QUESTION).status, 200);
    let told = explain(&gateway, &question);
    assert_eq!(
        (&told["status"], &told["code"], gateway.predict(QUESTION).status),
        (&json!(429), &json!("rate_limited"), 429)
    );
}

#[test]
fn each_step_says_by_which_line() {
    let upstream = talking();
    let gateway = start(&upstream, &SigningKey::p256());
    let told = explain(
        &gateway,
        &json!({ "method": "POST", "path": PREDICT, "key_id": "app", "origin": LISTED, "address": "198.51.100.7", "body": { "question": "hi" } }),
    );
    let steps: Vec<&str> =
        told["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["route", "caller", "authorize", "limits", "guard", "body", "upstream", "cors"], "{told}");
    let step =
        |name: &str| told["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).cloned().unwrap();
    assert!(step("caller")["says"].as_str().unwrap().contains("the key app, from 198.51.100.7"));
    let keys_file = gateway.file("keys.yaml");
    assert_eq!(step("caller")["place"], format!("{}:2", keys_file.display()));
    assert_eq!(
        (&step("limits")["setting"], &step("upstream")["setting"]),
        (&json!("plans.default"), &json!("upstreams.flowise"))
    );
    assert!(step("upstream")["place"].as_str().unwrap().ends_with("flowgate.yaml:4"), "{told}");
    assert_eq!(step("cors")["result"], "passes", "a publishable key lets its pages read");
    assert_eq!(step("cors")["setting"], "keys.page");
    let settings = ["chatflows.support", "chatflows.support.access", "server.max_body", "chatflows.support.body"];
    for (name, setting) in ["route", "authorize", "guard", "body"].into_iter().zip(settings) {
        assert_eq!(step(name)["setting"], setting, "{told}");
        assert!(step(name)["place"].as_str().unwrap().contains("flowgate.yaml:"), "{name}: {told}");
    }
    let told = explain(
        &gateway,
        &json!({ "path": PREDICT, "method": "POST", "key_id": "app", "origin": "https://b.example", "body": QUESTION }),
    );
    let cors = told["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&cors["result"], &cors["setting"]), (&json!("refuses"), &json!("chatflows.support.allowed_origins")));
    let told = explain(&gateway, &json!({ "path": PREDICT, "method": "POST", "key_id": "ended", "body": "{}" }));
    assert_eq!((&told["reason"], &told["status"]), (&json!("expired"), &json!(401)));
    let last = told["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["setting"], &last["place"]),
        (&json!("keys.ended"), &json!(format!("{}:4", keys_file.display())))
    );
}

#[test]
fn what_is_no_question_is_refused() {
    let gateway = Gateway::start(&config(talking().address, "", "", "", ""));
    let ask = |headers: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = headers.iter().copied().chain([HERE]).collect();
        client::post(gateway.admin, "/api/explain", &headers, body).status
    };
    assert_eq!(ask(&[], r#"{"path":"/"}"#), 200);
    for body in [
        "",
        "{",
        "[]",
        r#"{"path":"x"}"#,
        r#"{"path":"/","colour":1}"#,
        r#"{"path":"/","method":"A B"}"#,
        r#"{"path":"/","key":"a","key_id":"b"}"#,
        r#"{"path":"/","headers":{"a b":"c"}}"#,
    ] {
        assert_eq!(ask(&[("content-type", "application/json")], body), 400, "{body}");
    }
    assert_eq!(ask(&[("content-type", "text/plain")], "{}"), 415);
    assert_eq!(ask(&[("sec-fetch-site", "cross-site")], "{}"), 403);
    assert_eq!(ask(&[("origin", "http://evil.example")], "{}"), 403);
    let large = format!(r#"{{"path":"/","body":"{}"}}"#, "x".repeat(3 << 20));
    let mut connection = client::Connection::open(gateway.admin);
    // It is refused before all of it has come.
    let _ = connection.reader.get_mut().write_all(&client::request("POST", "/api/explain", &[HERE], &large));
    assert_eq!(connection.read_response().map_or(413, |response| response.status), 413);
    assert_eq!(client::get(gateway.admin, "/api/explain", &[HERE]).status, 405);
}
