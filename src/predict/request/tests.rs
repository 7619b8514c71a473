use serde_json::json;

use super::*;
use crate::config::{Access, BodyMode, Events, Origins, ResponseShape};

fn chatflow(allowed: &[&str]) -> Chatflow {
    Chatflow {
        name: "support".into(),
        upstream: 0,
        id: None,
        api_key: None,
        access: Access::Key,
        allowed_origins: Origins::default(),
        body: BodyMode::Checked,
        response: ResponseShape::Flowise,
        events: Events::All,
        isolate_sessions: false,
        plan: 1,
        override_config: allowed.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect(),
        max_question_chars: 20,
        max_word_chars: 10,
        vars: Fields::new(),
        force_override: Fields::new(),
    }
}

fn forwarded(body: &Value, chatflow: &Chatflow) -> Value {
    let prediction = check(body.to_string().as_bytes(), chatflow, None).unwrap();
    serde_json::from_slice(&prediction.body).unwrap()
}

fn refused(body: &Value) -> String {
    let refusal = check(body.to_string().as_bytes(), &chatflow(&["sessionId", "vars.userId"]), None).unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(..)), "{refusal:?}");
    refusal.message().to_owned()
}

#[test]
fn guides_words_become_flowises() {
    let body = json!({"question": "hi", "stream": true, "variables": {"userId": "7"}, "chatId": "c"});
    let expected = json!({
        "question": "hi", "streaming": true, "chatId": "c", "overrideConfig": {"vars": {"userId": "7"}}
    });
    assert_eq!(forwarded(&body, &chatflow(&["vars.userId"])), expected);
}

#[test]
fn what_the_python_client_sends_passes() {
    let body = json!({
        "chatflowId": "x", "question": "hi", "overrideConfig": null, "chatId": "c", "history": [], "uploads": []
    });
    let expected = json!({"question": "hi", "chatId": "c", "history": [], "uploads": []});
    assert_eq!(forwarded(&body, &chatflow(&[])), expected);
}

#[test]
fn a_chat_without_an_id_gets_the_sessions_or_a_new_one() {
    let with_session = json!({"question": "hi", "overrideConfig": {"sessionId": "s"}});
    assert_eq!(forwarded(&with_session, &chatflow(&["sessionId"]))["chatId"], "s");
    let without = forwarded(&json!({"question": "hi"}), &chatflow(&[]));
    assert_eq!(without["chatId"].as_str().unwrap().len(), 36);
}

#[test]
fn every_refusal_names_its_field() {
    for (body, part) in [
        (json!({}), "question"),
        (json!({"question": 1}), "question must be a string"),
        (json!({"question": "hi", "chatId": {"$ne": 1}}), "chatId must be a string"),
        (json!({"question": "hi", "chatId": ""}), "chatId must be a string"),
        (json!({"question": "hi", "overrideConfig": {"sessionId": {}}}), "overrideConfig.sessionId must be"),
        (json!({"question": "hi", "overrideConfig": {"temperature": 2}}), "overrideConfig.temperature may not"),
        (json!({"question": "hi", "overrideConfig": {"vars": {"plan": 2}}}), "overrideConfig.vars.plan may not"),
        (json!({"question": "hi", "overrideConfig": {"vars": 2}}), "overrideConfig.vars may not"),
        (json!({"question": "hi", "variables": {"plan": 2}}), "overrideConfig.vars.plan may not"),
        (json!({"question": "hi", "variables": []}), "variables must be an object"),
        (json!({"question": "hi", "stream": 1}), "stream must be true or false"),
        (json!({"question": "hi", "stream": true, "streaming": false}), "stream and streaming disagree"),
        (json!({"question": "hi", "evaluationRunId": "1"}), "evaluationRunId is not known"),
        (json!({"question": "hi", "sessionId": "1"}), "overrideConfig.sessionId?"),
        (json!({"question": "hi", "uploads": [{"type": "url", "data": "http://x"}]}), "by URL"),
        (json!({"question": "hi", "uploads": [{"type": "file", "data": "http://x"}]}), "by URL"),
        (json!({"question": "hi", "uploads": [{"type": "file", "path": "/x"}]}), "uploads.path is not known"),
        (json!({"question": "hi", "history": [{"role": "system", "content": "x"}]}), "history must be"),
        (json!({"question": "x ".repeat(11)}), "longer than 20 characters"),
        (json!({"question": "x".repeat(11)}), "more than 10 letters"),
        (json!({"form": {"a": {}}}), "form.a must be"),
    ] {
        let message = refused(&body);
        assert!(message.contains(part), "{body}: {message}");
    }
}

#[test]
fn characters_are_counted_not_bytes() {
    let question = "äöü ".repeat(5);
    assert_eq!(forwarded(&json!({"question": question}), &chatflow(&[]))["question"], question);
}

#[test]
fn forced_values_win() {
    let mut flow = chatflow(&["vars", "temperature"]);
    flow.vars.insert("plan".into(), json!("pro"));
    flow.force_override.insert("temperature".into(), json!(0));
    let key_vars = json!({"userId": "12345"});
    let body = json!({
        "question": "hi", "overrideConfig": {"temperature": 2, "vars": {"plan": "free", "userId": "1", "x": 1}}
    });
    let prediction = check(body.to_string().as_bytes(), &flow, key_vars.as_object()).unwrap();
    let sent: Value = serde_json::from_slice(&prediction.body).unwrap();
    let expected = json!({"temperature": 0, "vars": {"plan": "pro", "userId": "12345", "x": 1}});
    assert_eq!(sent["overrideConfig"], expected);
}
