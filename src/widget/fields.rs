//! Bodies of the widget's calls, field by field. Whoever is not named here is refused by name.

use serde_json::{Map, Value, json};

use crate::predict::json::{Json, Object, parse_object, shown};
use crate::predict::session::{LONGEST_ID, Pair};
use crate::uuid::is_uuid;
use crate::wire::refusal::{Refusal, Rule};

/// Bytes of a name, an address or a telephone number.
const LONGEST_CONTACT: usize = 320;
/// Bytes of what a visitor writes about an answer.
const LONGEST_COMMENT: usize = 4000;

/// An id of a chat as a client names it.
pub(crate) fn id(fields: &mut Object<'_>, name: &str) -> Result<String, Refusal> {
    text(fields, name, LONGEST_ID)?.filter(|id| !id.is_empty()).ok_or_else(|| required(name))
}

/// An id that Flowise gave out: a UUID.
fn uuid(fields: &mut Object<'_>, name: &str) -> Result<String, Refusal> {
    let id = text(fields, name, 36)?.ok_or_else(|| required(name))?;
    if is_uuid(&id) { Ok(id) } else { Err(Refusal::field_type(name, "an id as it was given out")) }
}

/// All of a body, which may be empty.
pub(crate) fn all(body: &str) -> Result<Object<'_>, Refusal> {
    if body.is_empty() { Ok(Object::default()) } else { parse_object(body) }
}

/// The public name of a chatflow.
pub(crate) fn chatflow(fields: &mut Object<'_>, name: &str) -> Result<Option<String>, Refusal> {
    text(fields, name, LONGEST_ID)
}

/// What a visitor leaves behind to be reached.
pub(crate) fn lead(fields: &mut Object<'_>, chatflow: &str, chat: &Pair) -> Result<Value, Refusal> {
    let mut lead = row(chatflow, chat);
    for name in ["name", "email", "phone"] {
        if let Some(contact) = text(fields, name, LONGEST_CONTACT)? {
            lead.insert(name.to_owned(), contact.into());
        }
    }
    nothing_else(fields)?;
    Ok(Value::Object(lead))
}

/// A rating of an answer.
pub(crate) fn feedback(fields: &mut Object<'_>, chatflow: &str, chat: &Pair) -> Result<Value, Refusal> {
    let mut feedback = row(chatflow, chat);
    feedback.insert("messageId".to_owned(), uuid(fields, "messageId")?.into());
    feedback.insert("rating".to_owned(), rating(fields)?.ok_or_else(|| required("rating"))?.into());
    if let Some(content) = text(fields, "content", LONGEST_COMMENT)? {
        feedback.insert("content".to_owned(), content.into());
    }
    nothing_else(fields)?;
    Ok(Value::Object(feedback))
}

/// What is added to a rating later.
pub(crate) fn feedback_update(fields: &mut Object<'_>) -> Result<Value, Refusal> {
    let mut update = Map::new();
    if let Some(content) = text(fields, "content", LONGEST_COMMENT)? {
        update.insert("content".to_owned(), content.into());
    }
    if let Some(rating) = rating(fields)? {
        update.insert("rating".to_owned(), rating.into());
    }
    nothing_else(fields)?;
    if update.is_empty() { Err(required("content")) } else { Ok(Value::Object(update)) }
}

/// What is read aloud. The voice, and the credential that pays for it, are the chatflow's (CVE-2026-41279).
pub(crate) fn speech(
    fields: &mut Object<'_>,
    chatflow: &str,
    chat: &Pair,
    most_chars: usize,
) -> Result<Value, Refusal> {
    let message = uuid(fields, "chatMessageId")?;
    let words = text(fields, "text", most_chars.saturating_mul(4))?.ok_or_else(|| required("text"))?;
    if words.is_empty() || words.chars().count() > most_chars {
        return Err(Refusal::field_type("text", &format!("a string of 1 to {most_chars} characters")));
    }
    nothing_else(fields)?;
    Ok(json!({ "chatflowId": chatflow, "chatId": chat.upstream, "chatMessageId": message, "text": words }))
}

pub(crate) fn speech_abort(fields: &mut Object<'_>, chatflow: &str, chat: &Pair) -> Result<Value, Refusal> {
    let message = uuid(fields, "chatMessageId")?;
    nothing_else(fields)?;
    Ok(json!({ "chatflowId": chatflow, "chatId": chat.upstream, "chatMessageId": message }))
}

pub(crate) fn nothing_else(fields: &Object<'_>) -> Result<(), Refusal> {
    match fields.iter().find(|(_, value)| **value != Json::Null) {
        Some((name, _)) => Err(Refusal::unknown_field(&shown(name))),
        None => Ok(()),
    }
}

fn row(chatflow: &str, chat: &Pair) -> Map<String, Value> {
    let row = [("chatflowid", chatflow), ("chatId", &chat.upstream)];
    row.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn rating(fields: &mut Object<'_>) -> Result<Option<String>, Refusal> {
    match text(fields, "rating", 16)? {
        Some(rating) if !matches!(rating.as_str(), "THUMBS_UP" | "THUMBS_DOWN") => {
            Err(Refusal::field_type("rating", "THUMBS_UP or THUMBS_DOWN"))
        }
        rating => Ok(rating),
    }
}

fn text(fields: &mut Object<'_>, name: &str, most: usize) -> Result<Option<String>, Refusal> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match fields.take(name) {
        None => Ok(None),
        Some(Json::Text(text)) if text.len() <= most && !text.chars().any(is_odd) => Ok(Some(text.into_owned())),
        Some(_) => Err(Refusal::field_type(name, &format!("a string of at most {most} bytes"))),
    }
}

fn required(name: &str) -> Refusal {
    Rule::FieldRequired.refuse(format!("The field {name} is required."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> Pair {
        Pair { client: "mine".to_owned(), upstream: "theirs".to_owned() }
    }

    #[test]
    fn only_known_fields_go_on_with_flowises_ids() {
        let mut fields = parse_object(r#"{"name":"Ann","email":"a@b.c","phone":""}"#).unwrap();
        let lead = lead(&mut fields, "uuid", &chat()).unwrap();
        assert_eq!(lead, json!({"chatflowid":"uuid","chatId":"theirs","name":"Ann","email":"a@b.c","phone":""}));
        for body in [r#"{"id":"x"}"#, r#"{"createdDate":"2001"}"#, r#"{"name":{"a":1}}"#, r#"{"name":"a\u0000"}"#] {
            let mut fields = parse_object(body).unwrap();
            assert!(super::lead(&mut fields, "uuid", &chat()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_rating_is_one_of_two_for_a_message_that_was_given_out() {
        let id = "813dcf2c-cef3-4a52-a559-18542176aa3a";
        let check = |body: Value| {
            let text = body.to_string();
            feedback(&mut parse_object(&text).unwrap(), "uuid", &chat())
        };
        assert!(check(json!({"messageId": id, "rating": "THUMBS_UP", "content": "nice"})).is_ok());
        for body in [
            json!({"messageId": id}),
            json!({"messageId": "x", "rating": "THUMBS_UP"}),
            json!({"messageId": {"$ne": 1}, "rating": "THUMBS_UP"}),
            json!({"messageId": id, "rating": "BEST"}),
            json!({"messageId": id, "rating": "THUMBS_UP", "id": id}),
        ] {
            assert!(check(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn nobody_chooses_the_voice_or_who_pays_for_it() {
        let id = "813dcf2c-cef3-4a52-a559-18542176aa3a";
        for extra in ["credentialId", "provider", "voice", "model"] {
            let text = json!({"chatMessageId": id, "text": "hi", extra: "x"}).to_string();
            let refusal = speech(&mut parse_object(&text).unwrap(), "uuid", &chat(), 10).unwrap_err();
            assert!(refusal.message().contains(extra), "{extra}");
        }
        let text = json!({"chatMessageId": id, "text": "eleven char"}).to_string();
        assert!(speech(&mut parse_object(&text).unwrap(), "uuid", &chat(), 10).is_err());
    }
}
