//! Callers' chats are kept apart: whatever a client calls a chat, Flowise hears of an id that is the caller's own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::{PLAN, PREDICT, with_chatflow};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, client, sha256};

const OTHER_KEY: &str = "test-key-fedcba9876543210";

fn isolated(upstream: &Upstream, chatflow: &str) -> Gateway {
    let chatflow = format!(", isolate_sessions: true, override_config: [sessionId]{chatflow}");
    let keys = format!(
        "keys:\n  - {{ id: app, sha256: {} }}\n  - {{ id: second, sha256: {} }}\n",
        sha256(KEY),
        sha256(OTHER_KEY)
    );
    Gateway::start_with(&config(upstream.address, "", "", &chatflow, PLAN), &keys, |_| {})
}

/// What the upstream saw of a body.
#[track_caller]
fn seen(gateway: &Gateway, upstream: &Upstream, key: &str, body: &Value) -> Value {
    let before = upstream.seen().len();
    let response = client::post(gateway.http, PREDICT, &[("x-api-key", key)], &body.to_string());
    assert_eq!(response.status, 200, "{body} {}", response.text());
    upstream.wait_seen(before + 1).remove(before).json()
}

fn is_uuid(id: &Value) -> bool {
    id.as_str().is_some_and(|id| id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
}

#[test]
fn no_id_of_a_client_reaches_flowise_and_no_two_callers_share_one() {
    let upstream = Upstream::answering();
    let gateway = isolated(&upstream, "");
    let body = json!({"question": "hi", "chatId": "chat-1", "overrideConfig": {"sessionId": "session-1"}});
    let ours = seen(&gateway, &upstream, KEY, &body);
    let (chat, session) = (&ours["chatId"], &ours["overrideConfig"]["sessionId"]);
    assert!(is_uuid(chat) && is_uuid(session), "{ours}");
    assert_ne!(chat, session);
    // The same caller finds its chat again, nobody else does, not even with Flowise's own id.
    assert_eq!(seen(&gateway, &upstream, KEY, &body), ours);
    let taken_over = json!({"question": "hi", "chatId": chat, "overrideConfig": {"sessionId": session}});
    let mut ids = BTreeSet::from([chat.to_string(), session.to_string()]);
    for (key, body) in [(OTHER_KEY, &body), (OTHER_KEY, &taken_over), (KEY, &taken_over)] {
        let theirs = seen(&gateway, &upstream, key, body);
        for id in [&theirs["chatId"], &theirs["overrideConfig"]["sessionId"]] {
            assert!(ids.insert(id.to_string()), "{key} {body}");
        }
    }
}

#[test]
fn flowises_order_of_chat_and_session_holds() {
    let upstream = Upstream::answering();
    let gateway = isolated(&upstream, "");
    let chat = seen(&gateway, &upstream, KEY, &json!({"question": "hi", "chatId": "same"}));
    assert_eq!(chat.get("overrideConfig"), None);
    // The memory that a chat has by itself is the one that its id names as a session.
    let session = seen(&gateway, &upstream, KEY, &json!({"question": "hi", "overrideConfig": {"sessionId": "same"}}));
    assert_eq!(session["chatId"], chat["chatId"]);
    assert_eq!(session["overrideConfig"]["sessionId"], chat["chatId"]);
    // Without any, each request is a chat of its own.
    let (one, two) = [(); 2].map(|()| seen(&gateway, &upstream, KEY, &json!({"question": "hi"}))).into();
    assert!(is_uuid(&one["chatId"]) && is_uuid(&two["chatId"]));
    assert_ne!(one["chatId"], two["chatId"]);
}

#[test]
fn a_session_that_the_operator_forces_is_kept_apart_as_well() {
    let upstream = Upstream::answering();
    let gateway = isolated(&upstream, ", force_override: { sessionId: shared }");
    let body = json!({"question": "hi", "chatId": "c", "overrideConfig": {"sessionId": "mine"}});
    let session = |key: &str, body: &Value| seen(&gateway, &upstream, key, body)["overrideConfig"]["sessionId"].clone();
    let ours = session(KEY, &body);
    assert!(is_uuid(&ours));
    assert_eq!(session(KEY, &json!({"question": "hi"})), ours);
    assert_ne!(session(OTHER_KEY, &body), ours);
}

#[test]
fn chats_outlive_a_restart() {
    let upstream = Upstream::answering();
    let body = json!({"question": "hi", "chatId": "c"});
    let first = seen(&isolated(&upstream, ""), &upstream, KEY, &body);
    let gateway = isolated(&upstream, "");
    assert_eq!(seen(&gateway, &upstream, KEY, &body), first);
}

#[test]
fn a_chatflow_that_does_not_isolate_passes_ids_on() {
    let upstream = Upstream::answering();
    let gateway = isolated(&upstream, "");
    let body = json!({"question": "hi", "chatId": "c"});
    assert_ne!(seen(&gateway, &upstream, KEY, &body)["chatId"], "c");
    let gateway = with_chatflow(upstream.address, "");
    assert_eq!(seen(&gateway, &upstream, KEY, &body)["chatId"], "c");
}

#[test]
fn a_client_that_leaves_has_its_own_chat_aborted() {
    let upstream = Upstream::start(|seen, reply| match seen.method.as_str() {
        "POST" => {
            reply.wait_for_close();
        }
        _ => reply.json("200 OK", "{}"),
    });
    let gateway = isolated(&upstream, "");
    let client = gateway.begin(r#"{"question":"hi","chatId":"mine"}"#);
    let chat = upstream.wait_seen(1).remove(0).json()["chatId"].clone();
    drop(client);
    let abort = upstream.wait_request("PUT", "/");
    assert_eq!(abort.path, format!("/api/v1/chatmessage/abort/{FLOW}/{}", chat.as_str().expect("an id")));
}
