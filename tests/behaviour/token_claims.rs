//! What a session token carries is forced into what goes upstream, whatever its page sends.

use serde_json::{Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::tokens::mint;
use crate::harness::upstream::{Upstream, record};
use crate::harness::{KEY, wait_for};

fn start(upstream: &Upstream, chatflow: &str, key: &str) -> Gateway {
    Gateway::start_with(&config(upstream.address, "", "", chatflow, PLENTY), &keys(key), |_| {})
}

/// Answers with the ids that it was asked with, as Flowise does.
fn echoing() -> Upstream {
    Upstream::start(|seen, reply| {
        let asked = seen.json();
        let ids = json!({"chatId": asked["chatId"], "sessionId": asked["overrideConfig"]["sessionId"]});
        if asked["streaming"] == true {
            reply.stream_head();
            reply.event("token", "hello");
            reply.chunk(format!("message:\ndata:{}\n\n", json!({"event": "metadata", "data": ids})));
            reply.event("end", "[DONE]");
            reply.finish();
        } else {
            reply.json("200 OK", &ids.to_string());
        }
    })
}

fn ask(gateway: &Gateway, token: &str, body: &Value) -> Response {
    let bearer = format!("Bearer {token}");
    client::post(gateway.http, PREDICT, &[("authorization", &bearer)], &body.to_string())
}

/// What the upstream saw of a body.
#[track_caller]
fn seen(gateway: &Gateway, upstream: &Upstream, token: &str, body: &Value) -> Value {
    let before = upstream.seen().len();
    let response = ask(gateway, token, body);
    assert_eq!(response.status, 200, "{body}: {}", response.text());
    upstream.wait_seen(before + 1).remove(before).json()
}

#[test]
fn the_session_of_a_token_is_the_only_chat_its_page_has() {
    let upstream = echoing();
    let gateway = start(&upstream, ", override_config: [sessionId]", "");
    let token = mint("app", KEY, &json!({"sessionId": "ann-1"}));
    for body in [
        json!({"question": "hi"}),
        json!({"question": "hi", "chatId": "of-bob"}),
        json!({"question": "hi", "overrideConfig": {"sessionId": "of-bob"}}),
        json!({"question": "hi", "chatId": "of-bob", "overrideConfig": {"sessionId": "of-bob"}}),
        json!({"question": "hi", "chatId": "ann-1", "streaming": true}),
    ] {
        let seen = seen(&gateway, &upstream, &token, &body);
        assert_eq!(
            (&seen["chatId"], &seen["overrideConfig"]["sessionId"]),
            (&json!("ann-1"), &json!("ann-1")),
            "{body}"
        );
    }
    // Without one, the page may choose.
    let free = mint("app", KEY, &json!({}));
    assert_eq!(seen(&gateway, &upstream, &free, &json!({"question": "hi", "chatId": "mine"}))["chatId"], "mine");
}

#[test]
fn a_tokens_session_is_set_where_no_client_may_set_one() {
    let upstream = echoing();
    let gateway = start(&upstream, ", override_config: []", "");
    let token = mint("app", KEY, &json!({"sessionId": "ann-1", "vars": {"user": "ann"}}));
    for overrides in [json!({"sessionId": "of-bob"}), json!({"vars": {"user": "bob"}}), json!({"vars": {"more": 1}})] {
        let refused = ask(&gateway, &token, &json!({"question": "hi", "overrideConfig": overrides}));
        refused.assert_refused(400, "invalid_request");
    }
    assert!(upstream.seen().is_empty());
    let seen = seen(&gateway, &upstream, &token, &json!({"question": "hi", "chatId": "of-bob"}));
    assert_eq!(seen["overrideConfig"], json!({"sessionId": "ann-1", "vars": {"user": "ann"}}));
    assert_eq!(seen["chatId"], "ann-1");
}

#[test]
fn variables_of_a_token_yield_to_the_chatflows_and_those_to_the_keys() {
    let upstream = echoing();
    let gateway = start(
        &upstream,
        ", override_config: [vars, temperature], vars: { plan: pro, who: flow }, force_override: { temperature: 0 }",
        ", vars: { who: key, tenant: acme }",
    );
    let theirs = json!({"user": "ann", "plan": "token", "who": "token", "tenant": "token"});
    let token = mint("app", KEY, &json!({"vars": theirs}));
    let forced = json!({"user": "ann", "plan": "pro", "who": "key", "tenant": "acme"});
    let seen_of = |overrides: Value| {
        seen(&gateway, &upstream, &token, &json!({"question": "hi", "overrideConfig": overrides}))["overrideConfig"]
            .clone()
    };
    assert_eq!(seen_of(json!({})), json!({"vars": forced, "temperature": 0}));
    let mut with_one_of_its_own = forced.clone();
    with_one_of_its_own["colour"] = "red".into();
    let claimed = json!({"user": "bob", "plan": "free", "who": "me", "tenant": "mine", "colour": "red"});
    let expected = json!({"vars": with_one_of_its_own, "temperature": 0});
    assert_eq!(seen_of(json!({"vars": claimed, "temperature": 2})), expected);
    // The same by the name that guides use.
    let body = json!({"question": "hi", "variables": claimed});
    assert_eq!(seen(&gateway, &upstream, &token, &body)["overrideConfig"], expected);
    // The key alone has no user.
    let response = client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], r#"{"question":"hi"}"#);
    assert_eq!(response.status, 200);
    let last = upstream.seen().pop().expect("a request").json();
    assert_eq!(last["overrideConfig"]["vars"], json!({"plan": "pro", "who": "key", "tenant": "acme"}));
}

#[test]
fn a_session_that_the_chatflow_forces_is_above_a_tokens() {
    let upstream = echoing();
    let gateway = start(&upstream, ", force_override: { sessionId: shared }", "");
    let token = mint("app", KEY, &json!({"sessionId": "ann-1"}));
    let seen = seen(&gateway, &upstream, &token, &json!({"question": "hi", "chatId": "of-bob"}));
    assert_eq!(seen["overrideConfig"]["sessionId"], "shared");
    assert_eq!(seen["chatId"], "ann-1", "the chat is still the token's");
}

#[test]
fn users_of_one_key_have_chats_of_their_own() {
    let upstream = echoing();
    let gateway = start(&upstream, ", isolate_sessions: true", "");
    let body = json!({"question": "hi", "chatId": "of-bob"});
    let of = |claims: Value| seen(&gateway, &upstream, &mint("app", KEY, &claims), &body)["chatId"].clone();
    let ann = of(json!({"sub": "ann", "sessionId": "s"}));
    assert_eq!(ann.as_str().map(str::len), Some(36), "{ann}");
    assert_eq!(of(json!({"sub": "ann", "sessionId": "s", "jti": "1"})), ann, "another token of the same user");
    let key = client::post(
        gateway.http,
        PREDICT,
        &[("x-api-key", KEY)],
        &json!({"question": "hi", "chatId": "s"}).to_string(),
    );
    assert_eq!(key.status, 200);
    let keys = upstream.seen().pop().expect("a request").json()["chatId"].clone();
    let others = [
        of(json!({"sub": "bob", "sessionId": "s"})),
        of(json!({"sessionId": "s"})),
        of(json!({"sub": "ann", "sessionId": "t"})),
        of(json!({"sub": "ann"})),
        keys,
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(*other, ann, "{index}");
        assert!(!others[..index].contains(other), "{index}");
    }
}

#[test]
fn a_page_hears_of_its_tokens_session_and_never_of_flowises() {
    let upstream = echoing();
    let gateway = start(&upstream, ", isolate_sessions: true", "");
    let token = mint("app", KEY, &json!({"sub": "ann", "sessionId": "ann \"1\""}));
    let theirs = seen(&gateway, &upstream, &token, &json!({"question": "hi"}))["chatId"].as_str().unwrap().to_owned();
    let whole = ask(&gateway, &token, &json!({"question": "hi", "chatId": "of-bob"}));
    assert_eq!(whole.json(), json!({"chatId": "ann \"1\"", "sessionId": "ann \"1\""}));
    let stream = ask(&gateway, &token, &json!({"question": "hi", "streaming": true})).text();
    assert!(stream.starts_with(&record("token", "hello")), "{stream}");
    assert!(stream.contains(r#""chatId":"ann \"1\"""#) && !stream.contains(&theirs), "{stream}");
}

#[test]
fn a_page_that_leaves_has_its_tokens_chat_aborted() {
    let upstream = Upstream::start(|seen, reply| match seen.method.as_str() {
        "POST" => {
            reply.stream_head();
            reply.event("token", "a");
            reply.wait_for_close();
        }
        _ => reply.json("200 OK", "{}"),
    });
    let gateway = start(&upstream, "", "");
    let token = format!("Bearer {}", mint("app", KEY, &json!({"sessionId": "ann-1"})));
    let mut connection = client::Connection::open(gateway.http);
    let body = r#"{"question":"hi","chatId":"of-bob","streaming":true}"#;
    connection.write(client::request("POST", PREDICT, &[("authorization", &token)], body));
    assert_eq!(connection.read_head().expect("a head").status, 200);
    assert!(connection.read_chunk().expect("an event").is_some());
    drop(connection);
    let abort = wait_for("an abort", || upstream.seen().into_iter().find(|seen| seen.method == "PUT"));
    assert!(abort.path.ends_with("/ann-1"), "{}", abort.path);
}

#[test]
fn a_token_is_refused_where_the_body_is_not_read() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, ", body: passthrough", "");
    let token = mint("app", KEY, &json!({}));
    let refused = ask(&gateway, &token, &json!({"question": "hi"}));
    refused.assert_refused(400, "invalid_request");
    assert!(refused.text().contains("the body is forwarded unread"), "{}", refused.text());
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_rejected_total{rule=\"forced_vars\"}", 1.0);
}
