//! A checked request as values, for who answers it in this process.

use serde_json::{Map, Value};

use super::CheckedRequest;
use crate::predict::json::{Json, Object};
use crate::wire::refusal::Refusal;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// `None`: it was not sent.
    pub(crate) text: Option<String>,
    pub(crate) form: Option<Map<String, Value>>,
    pub(crate) chat_id: String,
    pub(crate) session_id: String,
    /// `overrideConfig.vars`: the gateway's, the key's, the token's and, where policy lets them, the client's.
    pub(crate) vars: Map<String, Value>,
    /// `overrideConfig` without `vars` and `sessionId`.
    pub(crate) overrides: Map<String, Value>,
    pub(crate) history: Vec<PastMessage>,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) human_input: Option<Value>,
    /// The id of the question that it answers, if the client says it.
    pub(crate) action: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PastMessage {
    /// `None`: neither the user nor the assistant, as far as Flowise's chains know.
    pub(crate) by_user: Option<bool>,
    /// The same where the chat is shown as a text, which knows a model's names of the two as well.
    pub(crate) shown_by_user: Option<bool>,
    /// Whether it says whose it is by `role`, and has a text: agentflows take no others.
    pub(crate) is_whole: bool,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    /// `file`, `file:full`, `audio`, ...
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) mime: String,
    /// A data URI.
    pub(crate) data: String,
}

impl CheckedRequest for Question {
    fn of(mut fields: Object<'_>, _length: usize) -> Result<Self, Refusal> {
        let mut overrides = overrides(fields.take("overrideConfig"));
        let vars = if let Some(Value::Object(vars)) = overrides.remove("vars") { vars } else { Map::new() };
        let chat_id = text(fields.take("chatId"));
        let session_id = match overrides.remove("sessionId") {
            Some(Value::String(session)) => session,
            _ => chat_id.clone(),
        };
        Ok(Self {
            text: fields.take("question").map(|question| text(Some(question))),
            form: fields.take("form").map(|form| map(Some(form))),
            chat_id,
            session_id,
            vars,
            overrides,
            history: list(fields.take("history")).map(PastMessage::of).collect(),
            uploads: list(fields.take("uploads")).map(Upload::of).collect(),
            human_input: fields.take("humanInput").map(Json::into_value),
            action: object(fields.take("action")).take("id").map(|id| text(Some(id))),
        })
    }
}

impl PastMessage {
    fn of(mut message: Object<'_>) -> Self {
        let speaker = |name: &str| match name {
            "userMessage" => Some(true),
            "apiMessage" => Some(false),
            _ => None,
        };
        let role = text(message.take("role"));
        let by_role = speaker(&role);
        let shown_by_user = by_role.or(match &*role {
            "user" => Some(true),
            "assistant" => Some(false),
            _ => None,
        });
        let by_user = by_role.or_else(|| speaker(&text(message.take("type"))));
        let content = message.take("content");
        let is_whole = by_role.is_some() && matches!(content, Some(Json::Text(_)));
        Self { by_user, shown_by_user, is_whole, text: text(content) }
    }
}

impl Upload {
    fn of(mut upload: Object<'_>) -> Self {
        let mut take = |name| text(upload.take(name));
        Self { kind: take("type"), name: take("name"), mime: take("mime"), data: take("data") }
    }
}

// What stands where was checked: anything else is nothing.

fn text(value: Option<Json<'_>>) -> String {
    if let Some(Json::Text(text)) = value { text.into_owned() } else { String::new() }
}

fn map(value: Option<Json<'_>>) -> Map<String, Value> {
    if let Some(Value::Object(map)) = value.map(Json::into_value) { map } else { Map::new() }
}

/// What a client sets for all nodes counts as Flowise counts it: `false`, `0`, nothing and null leave an input as it is.
/// What the operator sets counts whatever it is.
fn overrides(value: Option<Json<'_>>) -> Map<String, Value> {
    let Some(Json::Object(fields)) = value else { return map(value) };
    let is_falsy = |value: &Json<'_>| match value {
        Json::Null | Json::Bool(false) => true,
        Json::Text(text) => text.is_empty(),
        Json::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    };
    let set = fields.into_fields().into_iter().filter(|(_, value)| !is_falsy(value));
    set.map(|(name, value)| (name.into_owned(), value.into_value())).collect()
}

fn object(value: Option<Json<'_>>) -> Object<'_> {
    if let Some(Json::Object(object)) = value { object } else { Object::default() }
}

fn list(value: Option<Json<'_>>) -> impl Iterator<Item = Object<'_>> {
    let items = if let Some(Json::List(items)) = value { items } else { Vec::new() };
    items.into_iter().map(|item| object(Some(item)))
}
