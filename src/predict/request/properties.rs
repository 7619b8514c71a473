//! Whatever a client sends: nothing panics, and what goes on is known, allowed and its caller's own.

use std::sync::Arc;

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::chatflow;
use super::*;
use crate::config::override_rules;
use crate::predict::session::Scope;

const KNOWN: [&str; 10] = [
    "question",
    "form",
    "overrideConfig",
    "history",
    "uploads",
    "humanInput",
    "action",
    "leadEmail",
    "streaming",
    "chatId",
];

/// Names that mean something somewhere, and some that do not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "question", "form", "overrideConfig", "history", "uploads", "humanInput", "action", "leadEmail",
            "streaming", "stream", "chatId", "sessionId", "variables", "chatflowId", "vars", "promptValues",
            "temperature", "chatOpenAI_0", "basepath", "openAIApiKey", "mcpServerConfig", "analytics", "chatHistory",
            "type", "name", "data", "mime", "role", "content", "__proto__", "evaluation", "id", "mapping",
        ]).prop_map(str::to_owned),
        1 => "[a-z]{0,3}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z {$]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["FILE-STORAGE::a", "userMessage", "proceed", "file", "http://x", "true", "a.txt"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Bodies that have a chance: a question, some fields that are nearly right, and some that are anything.
fn body() -> impl Strategy<Value = Value> {
    let overrides = prop::collection::vec((name(), value()), 0..3)
        .prop_map(|fields| json!({ "overrideConfig": Value::Object(fields.into_iter().collect()) }));
    // Right but for what stands at one place.
    let single = || {
        prop_oneof![3 => "[a-z]{0,4}".prop_map(Value::from), 1 => any::<f64>().prop_map(Value::from),
                                1 => value()]
    };
    let nearly = (single(), single(), single(), single()).prop_map(|(a, b, c, d)| {
        json!({ "overrideConfig": {
            "vars": { "a": a }, "promptValues": { "a": b, "n_0": { "b": c } }, "temperature": { "chatOpenAI_0": d },
        }})
    });
    let turns = (single(), single(), single()).prop_map(|(a, b, c)| {
        json!({
            "history": [{ "role": "userMessage", "content": a }, { "type": "apiMessage" }, {}],
            "humanInput": { "type": "proceed", "feedback": b },
            "uploads": [{ "type": "file:full", "name": "a.txt", "data": c }],
        })
    });
    let parts = prop_oneof![
        2 => overrides,
        2 => nearly,
        1 => turns,
        1 => value().prop_map(|vars| json!({ "variables": { "a": vars } })),
        1 => "[a-z]{1,8}".prop_map(|session| json!({ "overrideConfig": { "sessionId": session } })),
        1 => "[a-z]{1,8}".prop_map(|chat| json!({ "chatId": chat })),
        1 => value().prop_map(|form| json!({ "form": { "a": form } })),
        1 => (name(), value()).prop_map(|(name, value)| json!({ name: value })),
    ];
    prop::collection::vec(parts, 0..4).prop_map(|parts| {
        let mut body = Map::new();
        body.insert("question".to_owned(), "hi".into());
        parts.into_iter().filter_map(|part| part.as_object().cloned()).for_each(|part| body.extend(part));
        Value::Object(body)
    })
}

fn caller(is_isolated: bool, is_backend: bool) -> Caller<'static> {
    let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"secret"));
    let namespace = is_isolated.then(|| Namespace::new(key, Scope::Key("a")));
    Caller { namespace, is_backend, ..Caller::default() }
}

/// Every path to a value in an object, and the value.
fn paths(object: &Map<String, Value>, at: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    for (name, value) in object {
        let path = [at, std::slice::from_ref(name)].concat();
        match value {
            Value::Object(inner) => paths(inner, &path, found),
            _ => found.push((path, value.clone())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_on_is_known_allowed_and_the_callers_own(body in body(), is_isolated: bool, is_backend: bool) {
        let allowed = ["sessionId", "vars", "promptValues", "temperature.chatOpenAI_0", "form"];
        let flow = chatflow(&allowed);
        let caller = caller(is_isolated, is_backend);
        let Ok(prediction) = check::<Bytes>(body.to_string().as_bytes(), &flow, &caller) else { return Ok(()) };
        let sent: Value = serde_json::from_slice(&prediction.body).unwrap();
        let fields = sent.as_object().unwrap();
        prop_assert!(fields.keys().all(|name| KNOWN.contains(&name.as_str())), "{sent}");

        let overrides = sent.get("overrideConfig").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut found = Vec::new();
        paths(&overrides, &[], &mut found);
        for (path, value) in found {
            prop_assert!(override_rules::protected(&path).is_none(), "{sent}");
            prop_assert!(allowed.iter().any(|allowed| path.join(".").starts_with(allowed)), "{sent}");
            prop_assert!(!value.is_array() && !value.is_object(), "{sent}");
        }
        prop_assert!(!sent.to_string().contains("FILE-STORAGE::"));
        prop_assert!(is_backend || sent.get("history").and_then(Value::as_array).is_none_or(Vec::is_empty));

        // The ids are those that the answer is mapped back from, and none is the client's.
        prop_assert_eq!(&sent["chatId"], &prediction.ids.chat.upstream);
        let session = overrides.get("sessionId").and_then(Value::as_str);
        prop_assert_eq!(session, prediction.ids.session.as_ref().map(|pair| pair.upstream.as_str()));
        for pair in [Some(&prediction.ids.chat), prediction.ids.session.as_ref()].into_iter().flatten() {
            let mapped = caller.namespace.as_ref().map(|namespace| namespace.upstream_id(&pair.client));
            prop_assert_eq!(&pair.upstream, mapped.as_ref().unwrap_or(&pair.client));
        }
    }

    #[test]
    fn what_was_checked_passes_again_unchanged(body in body()) {
        let flow = chatflow(&["sessionId", "vars", "promptValues", "temperature"]);
        let caller = caller(false, true);
        let Ok(once) = check::<Bytes>(body.to_string().as_bytes(), &flow, &caller) else { return Ok(()) };
        let twice = check::<Bytes>(&once.body, &flow, &caller).unwrap();
        prop_assert_eq!(once.body, twice.body);
        prop_assert_eq!((once.ids.chat, once.ids.session), (twice.ids.chat, twice.ids.session));
        // It has an id by now.
        prop_assert!(!twice.ids.is_new);
        prop_assert_eq!(once.streaming, twice.streaming);
    }

    /// Whoever takes it as values is given what goes on as a body.
    #[test]
    fn values_are_those_of_the_body(body in body()) {
        let flow = chatflow(&["sessionId", "vars", "promptValues", "temperature", "startState"]);
        let caller = caller(false, true);
        let Ok(passed) = check::<Bytes>(body.to_string().as_bytes(), &flow, &caller) else { return Ok(()) };
        let asked = check::<Question>(&passed.body, &flow, &caller).unwrap().body;
        let sent: Value = serde_json::from_slice(&passed.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        prop_assert_eq!(asked.text.map(Value::from), sent.get("question").cloned());
        prop_assert_eq!(asked.form.map(Value::from), sent.get("form").cloned());
        prop_assert_eq!(asked.human_input, sent.get("humanInput").cloned());
        prop_assert_eq!(asked.action.map(Value::from), sent.get("action").and_then(|action| action.get("id")).cloned());
        let mut overrides = sent.get("overrideConfig").cloned().unwrap_or_else(|| json!({}));
        let overrides = overrides.as_object_mut().unwrap();
        let session = overrides.remove("sessionId").unwrap_or_else(|| sent["chatId"].clone());
        prop_assert_eq!((Value::from(asked.chat_id), Value::from(asked.session_id)), (sent["chatId"].clone(), session));
        prop_assert_eq!(Value::from(asked.vars), overrides.remove("vars").unwrap_or_else(|| json!({})));
        // Flowise passes these over.
        let nothing = [json!(null), json!(false), json!(""), json!(0), json!(0.0), json!(-0.0)];
        overrides.retain(|_, value| !nothing.contains(value));
        prop_assert_eq!(&asked.overrides, &*overrides);
        let list = |name: &str| sent.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let history: Vec<_> = asked.history.into_iter().map(|past| (past.by_user, past.text)).collect();
        let speaker = |past: &Value, name| match past[name].as_str() {
            Some("userMessage") => Some(true),
            Some("apiMessage") => Some(false),
            _ => None,
        };
        let past = |past: &Value| (speaker(past, "role").or_else(|| speaker(past, "type")), text(&past["content"]));
        prop_assert_eq!(history, list("history").iter().map(past).collect::<Vec<_>>());
        let uploads: Vec<_> = asked.uploads.into_iter().map(|it| [it.kind, it.name, it.mime, it.data]).collect();
        let upload = |it: &Value| ["type", "name", "mime", "data"].map(|name| text(&it[name]));
        prop_assert_eq!(uploads, list("uploads").iter().map(upload).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check::<Bytes>(&bytes, &chatflow(&["vars"]), &caller(true, true));
    }

    #[test]
    fn no_damage_to_a_body_makes_it_panic(
        at in 0..500_usize,
        byte: u8,
        body in body(),
    ) {
        let mut bytes = body.to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = check::<Bytes>(&bytes, &chatflow(&["vars", "promptValues"]), &caller(true, false));
        let _ = check::<Bytes>(&bytes[..at], &chatflow(&["vars", "promptValues"]), &caller(true, false));
    }
}
