use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::json;

use super::*;
use crate::predict::session::Pair;
use crate::predict::session::Scope;

/// A key's variables.
fn vars(object: &Value) -> Vec<(Box<str>, Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str().into(), value.clone())).collect()
}

pub(crate) fn chatflow(allowed: &[&str]) -> Chatflow {
    Chatflow {
        isolate_sessions: false,
        override_config: allowed.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect(),
        max_question_chars: 20,
        max_word_chars: 10,
        ..Chatflow::named("support")
    }
}

fn forwarded(body: &Value, chatflow: &Chatflow) -> Value {
    let prediction = check::<Bytes>(body.to_string().as_bytes(), chatflow, &Caller::default()).unwrap();
    serde_json::from_slice(&prediction.body).unwrap()
}

fn refused(body: &Value) -> String {
    let refusal =
        check::<Bytes>(body.to_string().as_bytes(), &chatflow(&["sessionId", "vars.userId"]), &Caller::default())
            .unwrap_err();
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
        (json!({"question": "hi", "overrideConfig": {"vars": {"userId": {}}}}), "vars.userId must be a single value"),
        (json!({"question": "hi", "overrideConfig": {"vars": {"userId": "{{$vars.x}}"}}}), "may not hold {{"),
        (json!({"question": "hi", "variables": {"plan": 2}}), "overrideConfig.vars.plan may not"),
        (json!({"question": "hi", "variables": []}), "variables must be an object"),
        (json!({"question": "hi", "stream": 1}), "stream must be true or false"),
        (json!({"question": "hi", "stream": true, "streaming": false}), "stream and streaming disagree"),
        (json!({"question": "hi", "evaluationRunId": "1"}), "evaluationRunId is not known"),
        (json!({"question": "hi", "sessionId": "1"}), "overrideConfig.sessionId?"),
        (json!({"question": "hi", "uploads": [{"type": "url", "data": "http://x"}]}), "by URL"),
        (json!({"question": "hi", "uploads": [{"type": "file", "name": "a", "data": "http://x"}]}), "by URL"),
        (json!({"question": "hi", "uploads": [{"type": "file", "path": "/x"}]}), "uploads.path is not known"),
        (json!({"question": "hi", "history": [{"role": "userMessage", "content": "x"}]}), "with a secret key only"),
        (json!({"question": "x ".repeat(11)}), "longer than 20 characters"),
        (json!({"question": "x".repeat(11)}), "a word of more than 10 letters (max_word_chars)"),
        (json!({"question": "=".repeat(11)}), "more than 10 signs in a row"),
        (json!({"question": "\n".repeat(11)}), "more than 10 spaces or line breaks in a row"),
        (json!({"form": {"a": ["x".repeat(11)]}}), "form.a holds a word of more than 10 letters"),
        (json!({"form": {"a": [{"b": "x ".repeat(11)}]}}), "form.a is longer than 20 characters"),
        (json!({"form": {"a": {"x".repeat(11): 1}}}), "form.a holds a word of more than 10 letters"),
        (json!({"form": ["a"]}), "form must be an object"),
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
    let prediction =
        check::<Bytes>(body.to_string().as_bytes(), &flow, &Caller { key_vars: &vars(&key_vars), ..Caller::default() })
            .unwrap();
    let sent: Value = serde_json::from_slice(&prediction.body).unwrap();
    let expected = json!({"temperature": 0, "vars": {"plan": "pro", "userId": "12345", "x": 1}});
    assert_eq!(sent["overrideConfig"], expected);
}

fn namespaced<'a>(key: &str, session: Option<&'a str>) -> Caller<'a> {
    let hash = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"secret"));
    Caller { namespace: Some(Namespace::new(hash, Scope::Key(key))), session, ..Caller::default() }
}

#[test]
fn every_id_that_goes_on_is_the_callers_own() {
    let flow = chatflow(&["sessionId"]);
    let check = |body: Value, caller: &Caller<'_>| {
        let prediction = check::<Bytes>(body.to_string().as_bytes(), &flow, caller).unwrap();
        (serde_json::from_slice::<Value>(&prediction.body).unwrap(), prediction.ids)
    };
    let ours = namespaced("a", None);
    let upstream = |id: &str| ours.namespace.as_ref().unwrap().upstream_id(id);

    let (sent, ids) = check(json!({"question": "hi", "chatId": "c"}), &ours);
    assert_eq!(sent, json!({"question": "hi", "chatId": upstream("c")}));
    assert_eq!(ids.chat, Pair { client: "c".into(), upstream: upstream("c") });
    assert_eq!(ids.session, None);

    let body = json!({"question": "hi", "chatId": "c", "overrideConfig": {"sessionId": "s"}});
    let (sent, ids) = check(body.clone(), &ours);
    let expected = json!({"question": "hi", "chatId": upstream("c"), "overrideConfig": {"sessionId": upstream("s")}});
    assert_eq!(sent, expected);
    assert_eq!(ids.session, Some(Pair { client: "s".into(), upstream: upstream("s") }));
    // The same from somebody else is another chat with another memory.
    let (others, _) = check(body, &namespaced("b", None));
    assert_ne!(others["chatId"], sent["chatId"]);
    assert_ne!(others["overrideConfig"], sent["overrideConfig"]);

    // A session alone names the chat as well, as it does in Flowise.
    let (sent, ids) = check(json!({"question": "hi", "overrideConfig": {"sessionId": "s"}}), &ours);
    assert_eq!(sent["chatId"], upstream("s"));
    assert_eq!(ids.chat, ids.session.unwrap());

    let (sent, ids) = check(json!({"question": "hi"}), &ours);
    assert_eq!(ids.chat.client.len(), 36);
    assert_eq!(sent["chatId"], upstream(&ids.chat.client));
}

#[test]
fn a_tokens_session_is_the_only_chat_there_is() {
    for (flow, session) in [(chatflow(&["sessionId"]), "token"), (chatflow(&[]), "token"), {
        let mut flow = chatflow(&[]);
        flow.force_override.insert("sessionId".into(), json!("operator"));
        (flow, "operator")
    }] {
        let caller = namespaced("a", Some("token"));
        let upstream = |id: &str| caller.namespace.as_ref().unwrap().upstream_id(id);
        let prediction = check::<Bytes>(br#"{"question":"hi","chatId":"c"}"#, &flow, &caller).unwrap();
        let sent: Value = serde_json::from_slice(&prediction.body).unwrap();
        assert_eq!(sent["chatId"], upstream("token"));
        assert_eq!(sent["overrideConfig"]["sessionId"], upstream(session));
    }
}

#[test]
fn a_token_changes_nothing_that_the_operator_set() {
    let mut flow = chatflow(&["vars"]);
    flow.vars.insert("plan".into(), json!("pro"));
    let (key, token) = (json!({"tenant": "acme"}), json!({"tenant": "x", "plan": "x", "user": "ann"}));
    let key = vars(&key);
    let caller = Caller { key_vars: &key, token_vars: token.as_object(), ..Caller::default() };
    let body = br#"{"question":"hi","variables":{"user":"bob","mine":1}}"#;
    let sent: Value = serde_json::from_slice(&check::<Bytes>(body, &flow, &caller).unwrap().body).unwrap();
    let expected = json!({"tenant": "acme", "plan": "pro", "user": "ann", "mine": 1});
    assert_eq!(sent["overrideConfig"]["vars"], expected);
}

#[test]
fn a_routes_shape_comes_before_its_chatflows() {
    let flow = Chatflow { response: ResponseShape::Message, ..chatflow(&[]) };
    for (shape, expected) in [(None, ResponseShape::Message), (Some(ResponseShape::Flowise), ResponseShape::Flowise)] {
        let caller = Caller { shape, ..Caller::default() };
        assert_eq!(check::<Bytes>(br#"{"question":"hi"}"#, &flow, &caller).unwrap().shape, expected);
    }
}
