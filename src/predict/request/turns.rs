//! Earlier turns of a chat, answers to a flow that waits for its user, and who the user is.

use super::super::json::{Json, Object, shown};
use super::ids::id;
use super::text::TextBounds;
use super::{Caller, unknown};
use crate::wire::refusal::{Refusal, Rule};

/// Messages in `history`, calls in an action.
const MOST_ITEMS: usize = 100;
/// Bytes of the texts on an action's buttons, and of what its tool calls are called.
const LONGEST_LABEL: usize = 1024;

/// Who may have said something: as Flowise calls them, and as others do, whom it passes over.
const SPEAKERS: [&str; 4] = ["userMessage", "apiMessage", "user", "assistant"];

/// `history` puts words into the assistant's mouth. A backend may know them; a visitor would make them up.
pub(super) fn history<'a>(
    fields: &mut Object<'a>,
    bounds: &TextBounds<'_>,
    caller: &Caller<'_>,
) -> Result<Option<Json<'a>>, Refusal> {
    let messages = match fields.take("history") {
        None => return Ok(None),
        // Some clients send nothing in this way, and Flowise passes it over.
        Some(Json::Object(none)) if none.is_empty() => return Ok(None),
        Some(Json::Text(none)) if none.is_empty() => return Ok(None),
        Some(Json::List(messages)) if messages.len() <= MOST_ITEMS => messages,
        Some(_) => return Err(Refusal::field_type("history", "a list of at most 100 messages")),
    };
    if !messages.is_empty() && !caller.is_backend {
        return Err(Rule::History.refuse("The field history is accepted with a secret key only."));
    }
    let messages: Result<Vec<_>, _> = messages.into_iter().map(|message| past_message(message, bounds)).collect();
    Ok(Some(Json::List(messages?)))
}

/// Who said what. Whatever else a client kept with it stays here: files, for instance, would be read from the server.
fn past_message<'a>(message: Json<'a>, bounds: &TextBounds<'_>) -> Result<Json<'a>, Refusal> {
    let ill_formed = || Refusal::field_type("history", "a list of {role: userMessage or apiMessage, content: string}");
    let Json::Object(mut message) = message else { return Err(ill_formed()) };
    let mut kept = Object::default();
    for name in ["role", "type", "content"] {
        match message.take(name) {
            None => {}
            Some(Json::Text(text)) if name == "content" => {
                bounds.check_words("history", &text)?;
                kept.set(name, Json::Text(text));
            }
            Some(Json::Text(who)) if SPEAKERS.contains(&&*who) => kept.set(name, Json::Text(who)),
            Some(_) => return Err(ill_formed()),
        }
    }
    Ok(Json::Object(kept))
}

/// What a user answers to an agentflow that waits for one.
pub(super) fn human_input<'a>(fields: &mut Object<'a>, bounds: &TextBounds<'_>) -> Result<Option<Json<'a>>, Refusal> {
    let input = match fields.take("humanInput") {
        None => return Ok(None),
        Some(Json::Object(input)) => input,
        Some(_) => return Err(Refusal::field_type("humanInput", "an object")),
    };
    for (name, value) in input.iter() {
        match (name, value) {
            ("type", Json::Text(text)) if matches!(&**text, "proceed" | "reject") => {}
            ("type", _) => return Err(Refusal::field_type("humanInput.type", "proceed or reject")),
            ("startNodeId" | "feedback", Json::Null) => {}
            ("startNodeId", value) => {
                id("humanInput.startNodeId", value.clone())?;
            }
            ("feedback", Json::Text(text)) => bounds.check_text("humanInput.feedback", text)?,
            ("feedback", _) => return Err(Refusal::field_type("humanInput.feedback", "a string")),
            _ => return Err(unknown(&format!("humanInput.{name}"))),
        }
    }
    if input.get("type").is_none() {
        return Err(Refusal::field_type("humanInput.type", "proceed or reject"));
    }
    Ok(Some(Json::Object(input)))
}

/// The button of a message that waits, as the widget sends it back: Flowise reads its id, its mapping and the names and
/// ids of the calls that were refused.
pub(super) fn action<'a>(fields: &mut Object<'a>) -> Result<Option<Json<'a>>, Refusal> {
    let action = match fields.take("action") {
        None => return Ok(None),
        Some(Json::Object(action)) => action,
        Some(_) => return Err(Refusal::field_type("action", "an object")),
    };
    for (name, value) in action.iter() {
        match (name, value) {
            ("id", Json::Text(text)) => check_label("action.id", text)?,
            ("mapping", Json::Object(mapping)) => check_mapping(mapping)?,
            ("elements", Json::List(elements)) => {
                check_list("action.elements", elements, |name, _| matches!(name, "type" | "label"))?;
            }
            // Shown by the widget, read by nobody.
            ("data", Json::Object(_)) => {}
            ("id", _) => return Err(Refusal::field_type("action.id", "a string")),
            ("mapping" | "data", _) => return Err(Refusal::field_type(&format!("action.{name}"), "an object")),
            ("elements", _) => return Err(Refusal::field_type("action.elements", "a list")),
            _ => return Err(unknown(&format!("action.{name}"))),
        }
    }
    Ok(Some(Json::Object(action)))
}

fn check_mapping(mapping: &Object<'_>) -> Result<(), Refusal> {
    for (name, value) in mapping.iter() {
        match (name, value) {
            ("approve" | "reject", Json::Text(text)) => check_label(&format!("action.mapping.{name}"), text)?,
            ("toolCalls", Json::List(calls)) => {
                let is_known = |name: &str, value: &Json<'_>| {
                    matches!(name, "id" | "name" | "type") || (name == "args" && !matches!(value, Json::Text(_)))
                };
                check_list("action.mapping.toolCalls", calls, is_known)?;
            }
            ("approve" | "reject", _) => {
                return Err(Refusal::field_type(&format!("action.mapping.{name}"), "a string"));
            }
            ("toolCalls", _) => return Err(Refusal::field_type("action.mapping.toolCalls", "a list")),
            _ => return Err(unknown(&format!("action.mapping.{name}"))),
        }
    }
    Ok(())
}

/// A list of small objects, each field of which is known and a label, unless it is the arguments of a call.
fn check_list(at: &str, items: &[Json<'_>], is_known: impl Fn(&str, &Json<'_>) -> bool) -> Result<(), Refusal> {
    if items.len() > MOST_ITEMS {
        return Err(Refusal::field_type(at, "a list of at most 100 items"));
    }
    for item in items {
        let Json::Object(fields) = item else { return Err(Refusal::field_type(at, "a list of objects")) };
        for (name, value) in fields.iter() {
            if !is_known(name, value) {
                return Err(unknown(&format!("{at}.{name}")));
            }
            match value {
                Json::Text(text) => check_label(&format!("{at}.{}", shown(name)), text)?,
                _ if name == "args" => {}
                _ => return Err(Refusal::field_type(&format!("{at}.{}", shown(name)), "a string")),
            }
        }
    }
    Ok(())
}

fn check_label(name: &str, text: &str) -> Result<(), Refusal> {
    if text.len() <= LONGEST_LABEL { Ok(()) } else { Err(Refusal::field_type(name, "a string of at most 1024 bytes")) }
}

pub(super) fn lead_email<'a>(fields: &mut Object<'a>) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("leadEmail") {
        None => Ok(None),
        // The longest address there is (RFC 5321, section 4.5.3.1).
        Some(Json::Text(text)) if text.len() <= 320 && !text.chars().any(char::is_control) => {
            Ok(Some(Json::Text(text)))
        }
        Some(_) => Err(Refusal::field_type("leadEmail", "a string of at most 320 bytes without control characters")),
    }
}
