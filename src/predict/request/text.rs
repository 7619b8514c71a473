//! What the user says: bounded, since Flowise counts its tokens in its only thread.

use std::cell::Cell;

use super::super::json::{Json, Object, shown};
use super::super::runs::{LetterRunLimit, LongRun, measure};
use crate::config::Chatflow;
use crate::wire::refusal::{Refusal, Rule};

/// Bounds of the texts of one request.
pub(super) struct TextBounds<'a> {
    pub(super) chatflow: &'a Chatflow,
    limit: LetterRunLimit,
    /// What long words have cost so far.
    spent: Cell<u64>,
}

impl<'a> TextBounds<'a> {
    pub(super) fn new(chatflow: &'a Chatflow) -> Self {
        Self { chatflow, limit: LetterRunLimit::new(chatflow.max_word_chars), spent: Cell::new(0) }
    }

    /// What is said in a question's place.
    pub(super) fn check_text(&self, name: &str, text: &str) -> Result<(), Refusal> {
        let most = self.chatflow.max_question_chars;
        // A character is at least one byte, so most texts need no count.
        if text.len() > most && text.chars().count() > most {
            let message = format!("The field {name} is longer than {most} characters (max_question_chars).");
            return Err(Rule::QuestionLength.refuse(message));
        }
        self.check_words(name, text)
    }

    /// One long word freezes Flowise for seconds, wherever in the prompt it comes from.
    pub(super) fn check_words(&self, name: &str, text: &str) -> Result<(), Refusal> {
        self.measure(text).map_err(|run| self.refusal(name, run))
    }

    pub(super) fn measure(&self, text: &str) -> Result<(), LongRun> {
        self.spent.set(measure(text, self.limit, self.spent.get())?);
        Ok(())
    }

    pub(super) fn refusal(&self, name: &str, run: LongRun) -> Refusal {
        let what = run.described(self.chatflow.max_word_chars);
        Rule::WordLength.refuse(format!("The field {name} holds {what} (max_word_chars)."))
    }
}

pub(super) fn question<'a>(fields: &mut Object<'a>, bounds: &TextBounds<'_>) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("question") {
        None => Ok(None),
        Some(Json::Text(text)) => {
            bounds.check_text("question", &text)?;
            Ok(Some(Json::Text(text)))
        }
        Some(_) => Err(Refusal::field_type("question", "a string")),
    }
}

/// All texts in a value of a form, and the names of its fields.
fn check_value(at: &str, value: &Json<'_>, bounds: &TextBounds<'_>) -> Result<(), Refusal> {
    match value {
        Json::Text(text) => bounds.check_text(at, text),
        Json::List(items) => items.iter().try_for_each(|item| check_value(at, item, bounds)),
        Json::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            bounds.check_words(at, name)?;
            check_value(at, value, bounds)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Given(_) => Ok(()),
    }
}

pub(super) fn form<'a>(fields: &mut Object<'a>, bounds: &TextBounds<'_>) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("form") {
        None => Ok(None),
        Some(Json::Object(form)) => {
            for (name, value) in form.iter() {
                // The names become part of what the model reads, as the values do.
                bounds.check_words("form", name)?;
                check_value(&format!("form.{}", shown(name)), value, bounds)?;
            }
            Ok(Some(Json::Object(form)))
        }
        Some(_) => Err(Refusal::field_type("form", "an object")),
    }
}
