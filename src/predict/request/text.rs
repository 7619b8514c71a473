//! What the user says: bounded, since Flowise counts its tokens in its only thread.

use super::super::json::{Json, Object, shown};
use super::ill_typed;
use crate::config::Chatflow;
use crate::wire::refusal::Refusal;

pub(super) fn question<'a>(fields: &mut Object<'a>, chatflow: &Chatflow) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("question") {
        None => Ok(None),
        Some(Json::Text(text)) => {
            check_text("question", &text, chatflow)?;
            Ok(Some(Json::Text(text)))
        }
        Some(_) => Err(ill_typed("question", "a string")),
    }
}

pub(super) fn form<'a>(fields: &mut Object<'a>, chatflow: &Chatflow) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("form") {
        None => Ok(None),
        Some(Json::Object(form)) => {
            for (name, value) in form.iter() {
                // The names become part of what the model reads, as the values do.
                check_words("form", name, chatflow)?;
                match value {
                    Json::Text(text) => check_text(&format!("form.{}", shown(name)), text, chatflow)?,
                    Json::List(_) | Json::Object(_) | Json::Given(_) => {
                        return Err(ill_typed(&format!("form.{}", shown(name)), "a string, a number or a boolean"));
                    }
                    Json::Null | Json::Bool(_) | Json::Number(_) => {}
                }
            }
            Ok(Some(Json::Object(form)))
        }
        Some(_) => Err(ill_typed("form", "an object")),
    }
}

pub(super) fn check_text(name: &str, text: &str, chatflow: &Chatflow) -> Result<(), Refusal> {
    let most = chatflow.max_question_chars;
    // A character is at least one byte, so most texts need no count.
    if text.len() > most && text.chars().count() > most {
        let message = format!("The field {name} is longer than {most} characters.");
        return Err(Refusal::Invalid("question_length", message.into()));
    }
    check_words(name, text, chatflow)
}

/// 8,000 letters in one word freeze Flowise for six seconds, wherever in the prompt they come from.
pub(super) fn check_words(name: &str, text: &str, chatflow: &Chatflow) -> Result<(), Refusal> {
    let most = chatflow.max_word_chars;
    if text.len() > most && longest_word(text) > most {
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
