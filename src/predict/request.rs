//! The body of `POST /api/v1/prediction/{chatflow}`: what a client may send, checked field by field.
//!
//! What is forwarded is what was checked, serialised anew. `stream` means Flowise's `streaming`, and `variables`
//! means `overrideConfig.vars`: guides say the one, Flowise reads only the other.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::json::{parse_object, shown};
use super::session::{ChatIds, LONGEST_ID, Namespace, Pair};
use crate::config::Chatflow;
use crate::wire::refusal::Refusal;

/// Messages in `history`, files in `uploads`.
const MOST_ITEMS: usize = 100;

type Fields = Map<String, Value>;

/// A checked request.
#[derive(Debug)]
pub(crate) struct Prediction {
    /// For the upstream.
    pub(crate) body: Bytes,
    pub(crate) streaming: bool,
    pub(crate) ids: ChatIds,
}

/// What is forced into a request on its caller's account, over whatever the client sent.
#[derive(Default)]
pub(crate) struct Caller<'a> {
    /// Keeps its chats apart from those of others.
    pub(crate) namespace: Option<Namespace>,
    /// The variables of its key.
    pub(crate) key_vars: Option<&'a Fields>,
    /// The variables of its token, which can do no more than the key that it descends from.
    pub(crate) token_vars: Option<&'a Fields>,
    /// The only chat and session that its token gives it.
    pub(crate) session: Option<&'a str>,
}

/// Checks a body against the chatflow's policy and applies what the gateway forces.
pub(crate) fn check(body: &[u8], chatflow: &Chatflow, caller: &Caller<'_>) -> Result<Prediction, Refusal> {
    let mut fields = parse_object(body).map_err(|message| Refusal::Invalid("body_json", message.into()))?;
    let mut checked = Fields::new();

    let streaming = streaming(&mut fields)?;
    let question = question(&mut fields, chatflow)?;
    let form = form(&mut fields, chatflow)?;
    if question.is_none() && form.is_none() {
        return Err(invalid("question_required", "The field question (a string) or form (an object) is required."));
    }
    checked.extend(question.map(|question| ("question".to_owned(), question)));
    checked.extend(form.map(|form| ("form".to_owned(), form)));

    let mut overrides = overrides(&mut fields, chatflow)?;
    let ids = ids(&mut fields, &mut overrides, chatflow, caller)?;
    force(&mut overrides, chatflow, caller);
    if let Some(session) = &ids.session {
        overrides.insert("sessionId".to_owned(), Value::String(session.upstream.clone()));
    }
    if !overrides.is_empty() {
        checked.insert("overrideConfig".to_owned(), Value::Object(overrides));
    }
    further(&mut fields, &mut checked)?;
    if let Some(name) = fields.keys().next() {
        return Err(unknown(name));
    }
    if streaming {
        checked.insert("streaming".to_owned(), Value::Bool(true));
    }
    checked.insert("chatId".to_owned(), Value::String(ids.chat.upstream.clone()));
    let body =
        serde_json::to_vec(&checked).map_err(|_| invalid("body_json", "The request body cannot be forwarded."))?;
    Ok(Prediction { body: Bytes::from(body), streaming, ids })
}

/// The chat and its session: what the operator or a token forces, else what the client asks for. Flowise's own order
/// (chatId, then sessionId, then a new one) is kept, so that the chat is known here as well: without it, it could not
/// be aborted.
fn ids(
    fields: &mut Fields,
    overrides: &mut Fields,
    chatflow: &Chatflow,
    caller: &Caller<'_>,
) -> Result<ChatIds, Refusal> {
    let taken = |name: &str, value: Option<Value>| match value.filter(|value| !value.is_null()) {
        Some(value) => id(name, value).map(Some),
        None => Ok(None),
    };
    let chat = taken("chatId", fields.remove("chatId"))?;
    let session = taken("overrideConfig.sessionId", overrides.remove("sessionId"))?;
    let forced = chatflow.force_override.get("sessionId").and_then(Value::as_str).or(caller.session);
    let session = forced.map(str::to_owned).or(session);
    let chat = caller.session.map(str::to_owned).or(chat);
    let namespace = caller.namespace.as_ref();
    let session = session.map(|session| Pair::new(session, namespace));
    let chat = match (chat, &session) {
        (Some(chat), _) => Pair::new(chat, namespace),
        (None, Some(session)) => session.clone(),
        (None, None) => Pair::new(super::chat_id::random().ok_or(Refusal::UpstreamUnavailable)?, namespace),
    };
    Ok(ChatIds { chat, session })
}

fn streaming(fields: &mut Fields) -> Result<bool, Refusal> {
    let mut read = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(ill_typed(name, "true or false")),
    };
    match (read("streaming")?, read("stream")?) {
        (Some(a), Some(b)) if a != b => Err(invalid("ambiguous_field", "The fields stream and streaming disagree.")),
        (a, b) => Ok(a.or(b).unwrap_or(false)),
    }
}

fn question(fields: &mut Fields, chatflow: &Chatflow) -> Result<Option<Value>, Refusal> {
    match fields.remove("question") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            check_text("question", &text, chatflow)?;
            Ok(Some(Value::String(text)))
        }
        Some(_) => Err(ill_typed("question", "a string")),
    }
}

fn form(fields: &mut Fields, chatflow: &Chatflow) -> Result<Option<Value>, Refusal> {
    match fields.remove("form") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(form)) => {
            for (name, value) in &form {
                match value {
                    Value::String(text) => check_text(&format!("form.{}", shown(name)), text, chatflow)?,
                    Value::Array(_) | Value::Object(_) => {
                        return Err(ill_typed(&format!("form.{}", shown(name)), "a string, a number or a boolean"));
                    }
                    _ => {}
                }
            }
            Ok(Some(Value::Object(form)))
        }
        Some(_) => Err(ill_typed("form", "an object")),
    }
}

/// Bounds what Flowise will count tokens of: 8,000 letters in one word freeze it for six seconds.
fn check_text(name: &str, text: &str, chatflow: &Chatflow) -> Result<(), Refusal> {
    // A character is at least one byte, so most texts need no count.
    if text.len() > chatflow.max_question_chars && text.chars().count() > chatflow.max_question_chars {
        let most = chatflow.max_question_chars;
        return Err(Refusal::Invalid(
            "question_length",
            format!("The field {name} is longer than {most} characters.").into(),
        ));
    }
    if text.len() > chatflow.max_word_chars && longest_word(text) > chatflow.max_word_chars {
        let most = chatflow.max_word_chars;
        let message = format!("The field {name} holds a word of more than {most} letters.");
        return Err(Refusal::Invalid("word_length", message.into()));
    }
    Ok(())
}

fn longest_word(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c.is_alphanumeric() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// `overrideConfig` with `variables` in it, every path allowed by the chatflow.
fn overrides(fields: &mut Fields, chatflow: &Chatflow) -> Result<Fields, Refusal> {
    let object = |name: &str, value: Option<Value>| match value {
        None | Some(Value::Null) => Ok(Fields::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(ill_typed(name, "an object")),
    };
    let mut overrides = object("overrideConfig", fields.remove("overrideConfig"))?;
    let variables = object("variables", fields.remove("variables"))?;
    if !variables.is_empty() {
        let mut vars = object("overrideConfig.vars", overrides.remove("vars"))?;
        for (name, value) in variables {
            if vars.get(&name).is_some_and(|other| *other != value) {
                let message = format!("The fields variables.{0} and overrideConfig.vars.{0} disagree.", shown(&name));
                return Err(Refusal::Invalid("ambiguous_field", message.into()));
            }
            vars.insert(name, value);
        }
        overrides.insert("vars".to_owned(), Value::Object(vars));
    }
    let allowed: Vec<&[String]> = chatflow.override_config.iter().map(Vec::as_slice).collect();
    check_paths(&overrides, &allowed, "overrideConfig")?;
    Ok(overrides)
}

/// `allowed`: what is left of the allowed paths at this level. An allowed path covers all below it.
fn check_paths(fields: &Fields, allowed: &[&[String]], at: &str) -> Result<(), Refusal> {
    for (name, value) in fields {
        let below: Vec<&[String]> = allowed
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| *first == name)
            .map(|(_, rest)| rest)
            .collect();
        if below.iter().any(|rest| rest.is_empty()) {
            continue;
        }
        match value {
            Value::Object(inner) if !below.is_empty() => check_paths(inner, &below, &format!("{at}.{}", shown(name)))?,
            _ => {
                let message = format!("The field {at}.{} may not be set for this chatflow.", shown(name));
                return Err(Refusal::Invalid("override_config", message.into()));
            }
        }
    }
    Ok(())
}

/// What the gateway sets, over anything a client sent: the token's variables, over them the chatflow's overrides and
/// variables, and over all the key's. The operator wrote the last three, so a token cannot change them.
fn force(overrides: &mut Fields, chatflow: &Chatflow, caller: &Caller<'_>) {
    set_vars(overrides, caller.token_vars);
    for (name, value) in &chatflow.force_override {
        overrides.insert(name.clone(), value.clone());
    }
    set_vars(overrides, Some(&chatflow.vars));
    set_vars(overrides, caller.key_vars);
}

fn set_vars(overrides: &mut Fields, forced: Option<&Fields>) {
    let Some(forced) = forced.filter(|forced| !forced.is_empty()) else { return };
    let vars = overrides.entry("vars").or_insert_with(|| Value::Object(Fields::new()));
    if !vars.is_object() {
        *vars = Value::Object(Fields::new());
    }
    if let Value::Object(vars) = vars {
        vars.extend(forced.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// The other fields that Flowise reads.
fn further(fields: &mut Fields, checked: &mut Fields) -> Result<(), Refusal> {
    // Both official SDKs repeat the path's id here; Flowise ignores it.
    if let Some(value) = fields.remove("chatflowId").filter(|value| !value.is_null() && !value.is_string()) {
        return Err(ill_typed("chatflowId", if value.is_array() { "a string, not a list" } else { "a string" }));
    }
    for (name, check) in [
        ("history", check_history as fn(&Value) -> Result<(), Refusal>),
        ("uploads", check_uploads),
        ("humanInput", check_human_input),
        ("action", check_action),
        ("leadEmail", check_lead_email),
    ] {
        if let Some(value) = fields.remove(name).filter(|value| !value.is_null()) {
            check(&value)?;
            checked.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

fn check_history(value: &Value) -> Result<(), Refusal> {
    for message in items("history", value)? {
        let role = message.get("role").and_then(Value::as_str);
        let is_message = matches!(role, Some("userMessage" | "apiMessage"))
            && message.get("content").is_some_and(Value::is_string)
            && message.as_object().is_some_and(|fields| fields.len() == 2);
        if !is_message {
            return Err(ill_typed("history", "a list of {role: userMessage or apiMessage, content: string}"));
        }
    }
    Ok(())
}

fn check_uploads(value: &Value) -> Result<(), Refusal> {
    for upload in items("uploads", value)? {
        let Some(fields) = upload.as_object() else { return Err(ill_typed("uploads", "a list of objects")) };
        for (name, value) in fields {
            if !matches!(name.as_str(), "type" | "name" | "data" | "mime") {
                return Err(unknown(&format!("uploads.{name}")));
            }
            if !value.is_string() {
                return Err(ill_typed(&format!("uploads.{name}"), "a string"));
            }
        }
        match fields.get("type").and_then(Value::as_str) {
            Some("file" | "file:full" | "file:rag" | "audio") => {}
            // Flowise would fetch the address itself, from inside the network.
            Some("url") => return Err(invalid("upload_by_url", "Uploads by URL are not allowed.")),
            _ => return Err(ill_typed("uploads.type", "file, file:full, file:rag or audio")),
        }
        let data = fields.get("data").and_then(Value::as_str).unwrap_or_default();
        let is_address =
            data.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(|c: char| !c.is_ascii_alphanumeric()));
        if fields.get("type").and_then(Value::as_str) != Some("file:full") && is_address {
            return Err(invalid("upload_by_url", "Uploads by URL are not allowed."));
        }
    }
    Ok(())
}

fn check_human_input(value: &Value) -> Result<(), Refusal> {
    let fields = value.as_object().ok_or_else(|| ill_typed("humanInput", "an object"))?;
    match fields.iter().find(|(name, value)| {
        !matches!(name.as_str(), "type" | "startNodeId" | "feedback") || !(value.is_string() || value.is_null())
    }) {
        Some((name, _)) => {
            Err(ill_typed(&format!("humanInput.{}", shown(name)), "type, startNodeId or feedback, a string"))
        }
        None => Ok(()),
    }
}

fn check_action(value: &Value) -> Result<(), Refusal> {
    if value.is_object() { Ok(()) } else { Err(ill_typed("action", "an object")) }
}

fn check_lead_email(value: &Value) -> Result<(), Refusal> {
    match value.as_str() {
        Some(text) if text.len() <= 320 => Ok(()),
        _ => Err(ill_typed("leadEmail", "a string of at most 320 bytes")),
    }
}

fn items<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], Refusal> {
    match value.as_array() {
        Some(items) if items.len() <= MOST_ITEMS => Ok(items),
        _ => Err(ill_typed(name, "a list of at most 100 items")),
    }
}

/// Ids are strings: Flowise hands an object on to its database (CVE-2026-91937).
fn id(name: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= LONGEST_ID && !text.chars().any(char::is_control) => {
            Ok(text)
        }
        _ => Err(ill_typed(name, "a string of 1 to 256 bytes without control characters")),
    }
}

fn ill_typed(name: &str, expected: &str) -> Refusal {
    Refusal::Invalid("field_type", format!("The field {name} must be {expected}.").into())
}

fn unknown(name: &str) -> Refusal {
    let hint = if name == "sessionId" { " Did you mean overrideConfig.sessionId?" } else { "" };
    Refusal::Invalid("unknown_field", format!("The field {} is not known.{hint}", shown(name)).into())
}

fn invalid(rule: &'static str, message: &'static str) -> Refusal {
    Refusal::Invalid(rule, message.into())
}

#[cfg(test)]
mod tests;
