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

#[derive(Debug, Default)]
pub(crate) struct PastMessage {
    pub(crate) by_user: bool,
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
        let mut overrides = map(fields.take("overrideConfig"));
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
        Self { by_user: text(message.take("role")) == "userMessage", text: text(message.take("content")) }
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

fn object(value: Option<Json<'_>>) -> Object<'_> {
    if let Some(Json::Object(object)) = value { object } else { Object::default() }
}

fn list(value: Option<Json<'_>>) -> impl Iterator<Item = Object<'_>> {
    let items = if let Some(Json::List(items)) = value { items } else { Vec::new() };
    items.into_iter().map(|item| object(Some(item)))
}
