//! The last requests that got a no.

use serde_json::Value;

use super::{get, read};
use crate::harness::client;
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::issuer::{SigningKey, claims, key_set};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256, wait_for};
use crate::telemetry::{PREDICT, QUESTION, talking};

const OTHER: &str = "other-key-0123456789abcd";

/// The entry of that request.
#[track_caller]
fn entry(gateway: &Gateway, id: &str) -> Value {
    wait_for("its entry", || {
        let mut list = read(gateway, &format!("/api/refusals?id={id}"));
        let entries = list["refusals"].as_array_mut().expect("a list");
        assert!(entries.len() < 2, "one of that id");
        entries.pop()
    })
}

#[test]
fn each_has_the_line_that_decided_and_what_helps() {
    let upstream = talking();
    let more = "plans:\n  default: { requests: 100/min, burst: 50 }\n  tight:\n    requests: 1/hour\n    burst: 1\n";
    let chatflow = ", max_question_chars: 10";
    let keys = format!(
        "{}  - id: tight\n    sha256: {}\n    plan: tight\n  - {{ id: narrow, sha256: {}, allowed_ips: [192.0.2.1] }}\n",
        keys(""),
        sha256(OTHER),
        sha256("narrow-key-0123456789abc")
    );
    let gateway = Gateway::start_with(&config(upstream.address, "", "", chatflow, more), &keys, |_| {});
    let (file, keys_file) = (gateway.file("flowgate.yaml"), gateway.file("keys.yaml"));
    let lines = std::fs::read_to_string(&file).unwrap();
    let line_of = |text: &str| lines.lines().position(|line| line.contains(text)).unwrap() + 1;
    client::post(gateway.http, PREDICT, &[("x-api-key", OTHER)], QUESTION);
    for (id, key, body, setting, place) in [
        ("place-limit", OTHER, QUESTION, "plans.tight.requests", format!("{}:{}", file.display(), line_of("1/hour"))),
        (
            "place-question",
            KEY,
            r#"{"question":"longer than ten"}"#,
            "chatflows.support.max_question_chars",
            format!("{}:{}", file.display(), line_of("max_question_chars")),
        ),
        ("place-address", "narrow-key-0123456789abc", QUESTION, "keys.narrow", format!("{}:6", keys_file.display())),
    ] {
        let answered = client::post(gateway.http, PREDICT, &[("x-api-key", key), ("x-request-id", id)], body);
        let entry = entry(&gateway, id);
        assert_eq!(entry["status"], answered.status, "{entry}");
        assert_eq!(entry["code"], answered.json()["code"]);
        assert_eq!(entry["message"], answered.json()["message"]);
        assert_eq!((entry["setting"].as_str(), entry["place"].as_str()), (Some(setting), Some(&*place)), "{entry}");
        assert!(entry["helps"].as_str().is_some_and(|helps| helps.len() > 20), "{entry}");
        assert_eq!((entry["chatflow"].as_str(), entry["address"].as_str()), (Some("support"), Some("127.0.0.1")));
        assert_eq!((entry["method"].as_str(), entry["path"].as_str()), (Some("POST"), Some(PREDICT)));
    }
    let limited = &read(&gateway, "/api/chatflows")["chatflows"][0]["limited_callers"];
    assert_eq!(*limited, serde_json::json!([{ "caller": "tight", "times": 1 }]));
}

#[test]
fn a_failure_has_its_upstream() {
    let upstream = Upstream::start(|_, reply| {
        reply.json("500 Internal Server Error", r#"{"statusCode":500,"success":false,"message":"The model is gone."}"#);
    });
    let gateway = Gateway::start(&config(upstream.address, "", "", "", ""));
    client::post(gateway.http, PREDICT, &[("x-api-key", KEY), ("x-request-id", "failed-here")], QUESTION);
    let entry = entry(&gateway, "failed-here");
    assert_eq!((entry["upstream"].as_str(), entry["message"].as_str()), (Some("flowise"), Some("The model is gone.")));
    assert_eq!(entry["setting"], "upstreams.flowise");
    assert!(entry["place"].as_str().is_some_and(|place| place.ends_with("flowgate.yaml:4")), "{entry}");
}

#[test]
fn the_last_are_kept_and_every_text_is_short() {
    let gateway = Gateway::start(&config(talking().address, "", "", "", ""));
    let long = format!("/api/v1/{}", "x".repeat(5000));
    for number in 0..230 {
        client::get(gateway.http, &long, &[("x-request-id", &format!("number-{number}"))]);
    }
    let ids = wait_for("all of them", || {
        let list = read(&gateway, "/api/refusals");
        let ids: Vec<_> = list["refusals"].as_array()?.iter().map(|entry| entry["request_id"].clone()).collect();
        (ids.first()? == "number-229").then_some(ids)
    });
    assert_eq!((ids.len(), ids.last().unwrap().as_str()), (200, Some("number-30")));
    assert!(get(gateway.admin, "/api/refusals", &[]).body.len() < 200 * 1500);
}

#[test]
fn what_a_client_sends_is_in_no_entry() {
    let gateway = Gateway::start(&config(talking().address, "", "", "", ""));
    let body = r#"{"question":"my secret words","colour":"more secret words"}"#;
    let headers = [("x-api-key", KEY), ("x-request-id", "secret-words"), ("cookie", "secret=words")];
    client::post(gateway.http, &format!("{PREDICT}?secret=words"), &headers, body);
    let wrong = [("x-api-key", "wrong-secret-words-0123456789"), ("x-request-id", "secret-key")];
    client::post(gateway.http, PREDICT, &wrong, body);
    let entries = [entry(&gateway, "secret-words"), entry(&gateway, "secret-key")];
    for entry in entries {
        assert!(!entry.to_string().contains("secret words") && !entry.to_string().contains("secret=words"), "{entry}");
        assert!(!entry.to_string().contains("wrong-secret") && !entry.to_string().contains(KEY), "{entry}");
    }
}

#[test]
fn who_guesses_tokens_is_told_of_the_same_limit_as_who_guesses_keys() {
    let upstream = talking();
    let more = "auth_failures: { free: 1, then: 1/day, delay: null }\nidentity:\n  - { name: staff, \
                issuer: 'https://login.example.com', jwks_file: jwks.json, audience: [flowgate], chatflows: [support] }";
    let (known, other) = (SigningKey::p256(), SigningKey::p256());
    let gateway = Gateway::start_with(&config(upstream.address, "", "", "", more), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[known.jwk("one")])).unwrap();
    });
    for (number, expected) in [(1, "identity[0].issuer"), (2, "identity[0].issuer"), (3, "auth_failures")] {
        let forged = other.token("one", &claims("https://login.example.com", &serde_json::json!({ "n": number })));
        let id = format!("guessed-{number}");
        let headers = [("authorization", &*format!("Bearer {forged}")), ("x-request-id", &*id)];
        client::post(gateway.http, PREDICT, &headers, QUESTION);
        let entry = entry(&gateway, &id);
        assert_eq!((&entry["setting"], &entry["reason"]), (&expected.into(), &"signature".into()), "{entry}");
    }
}

#[test]
fn what_a_client_sends_cannot_move_a_terminals_cursor() {
    let gateway = Gateway::start(&simple(talking().address));
    let path = "/\u{9b}2J\u{202e}x";
    client::get(gateway.http, path, &[("x-request-id", "odd-path")]);
    let told = wait_for("its entry", || {
        let answer = get(gateway.admin, "/api/refusals?id=odd-path", &[]);
        (!answer.json()["refusals"][0].is_null()).then_some(answer)
    });
    assert_eq!(told.json()["refusals"][0]["path"], path);
    let line = wait_for("its line", || gateway.log().into_iter().find(|line| line.contains(r#""message":"request""#)));
    for text in [told.text(), line] {
        assert!(text.contains("\\u009b2J\\u202ex"), "{text}");
    }
}
