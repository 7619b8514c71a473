//! The body of `POST /api/v1/prediction/{chatflow}`: what a client may send, checked field by field.
//!
//! What is forwarded is what was checked, serialised anew; who answers here is given it as values ([`question`]). `stream` means Flowise's `streaming`, and `variables`
//! means `overrideConfig.vars`: guides say the one, Flowise reads only the other.
//!
//! One file a part: [`text`] (question and form), [`overrides`] (what a client may override, what is forced),
//! [`ids`] (chat and session), [`uploads`], [`turns`] (history and answers to a flow that waits for its user).

mod ids;
mod overrides;
mod question;
mod text;
mod turns;
mod uploads;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

pub(crate) use self::question::{PastMessage, Question, Upload};
use self::text::TextBounds;
use super::json::{Json, Object, parse_object, shown, text_of};
use super::session::{ChatIds, Namespace};
use crate::config::{Chatflow, ResponseShape};
use crate::wire::refusal::{Refusal, Rule};

/// A checked request.
#[derive(Debug)]
pub(crate) struct Prediction<C = Bytes> {
    /// What was checked, as whoever answers takes it.
    pub(crate) body: C,
    pub(crate) streaming: bool,
    pub(crate) ids: ChatIds,
    /// Of its answer.
    pub(crate) shape: ResponseShape,
}

/// What is made of the fields of a checked body.
pub(crate) trait CheckedRequest: Sized {
    /// `length`: of the body.
    fn of(fields: Object<'_>, length: usize) -> Result<Self, Refusal>;
}

/// A body again, for an upstream.
impl CheckedRequest for Bytes {
    fn of(fields: Object<'_>, length: usize) -> Result<Self, Refusal> {
        // Two ids and what is forced.
        let around = length + 256;
        let bytes = fields.to_bytes(around).map_err(|_| Rule::BodyJson.refuse("The body cannot be forwarded."))?;
        Ok(bytes.into())
    }
}

/// Whose request it is, and what is forced into it on that account, over whatever the client sent.
#[derive(Default)]
pub(crate) struct Caller<'a> {
    /// In which it asks and is answered; `None`: it asks as Flowise is asked.
    pub(crate) shape: Option<ResponseShape>,
    /// Keeps its chats apart from those of others.
    pub(crate) namespace: Option<Namespace>,
    /// An application's backend, not somebody's browser.
    pub(crate) is_backend: bool,
    /// The variables of its key.
    pub(crate) key_vars: &'a [(Box<str>, Value)],
    /// The variables of its token, which can do no more than the key that it descends from.
    pub(crate) token_vars: Option<&'a Map<String, Value>>,
    /// What its identity provider says of it, as the operator has named it.
    pub(crate) person_vars: Option<&'a Map<String, Value>>,
    /// The only chat and session that its token gives it.
    pub(crate) session: Option<&'a str>,
}

/// Checks a body against the chatflow's policy and applies what the gateway forces.
pub(crate) fn check<C: CheckedRequest>(
    body: &[u8],
    chatflow: &Chatflow,
    caller: &Caller<'_>,
) -> Result<Prediction<C>, Refusal> {
    let body = text_of(body)?;
    let mut fields = parse_object(&body)?;
    let mut checked = Object::default();

    let streaming = streaming(&mut fields)?;
    let bounds = TextBounds::new(chatflow);
    let question = text::question(&mut fields, &bounds)?;
    let form = text::form(&mut fields, &bounds)?;
    // Whoever answers a flow that waits says no more than that.
    let resumes = turns::human_input(&mut fields, &bounds)?;
    let uploads = uploads::uploads(&mut fields, &bounds)?;
    let is_spoken = uploads.as_ref().is_some_and(uploads::is_speech);
    if question.is_none() && form.is_none() && resumes.is_none() && !is_spoken {
        return Err(Rule::QuestionRequired.refuse("The field question (a string) or form (an object) is required."));
    }
    let mut overrides = overrides::checked(&mut fields, &bounds)?;
    let ids = ids::ids(&mut fields, &mut overrides, chatflow, caller)?;
    overrides::force(&mut overrides, chatflow, caller);
    overrides::list_state(&mut overrides);
    if let Some(session) = &ids.session {
        overrides.set("sessionId", Json::Text(Cow::Borrowed(&session.upstream)));
    }
    let overrides = (!overrides.is_empty()).then_some(Json::Object(overrides));
    // Both official SDKs repeat the path's id here, and clients of older versions name a socket; Flowise ignores both.
    for ignored in ["chatflowId", "socketIOClientId"] {
        if fields.take(ignored).is_some_and(|value| !matches!(value, Json::Text(_))) {
            return Err(Refusal::field_type(ignored, "a string"));
        }
    }
    for (name, value) in [
        ("question", question),
        ("form", form),
        ("overrideConfig", overrides),
        ("history", turns::history(&mut fields, &bounds, caller)?),
        ("uploads", uploads),
        ("humanInput", resumes),
        ("action", turns::action(&mut fields)?),
        ("leadEmail", turns::lead_email(&mut fields)?),
        ("streaming", streaming.then_some(Json::Bool(true))),
        ("chatId", Some(Json::Text(Cow::Borrowed(&ids.chat.upstream)))),
    ] {
        if let Some(value) = value {
            checked.set(name, value);
        }
    }
    if let Some((name, _)) = fields.iter().next() {
        return Err(unknown(name));
    }
    let body = C::of(checked, body.len())?;
    Ok(Prediction { body, streaming, ids, shape: caller.shape.unwrap_or(chatflow.response) })
}

fn streaming(fields: &mut Object<'_>) -> Result<bool, Refusal> {
    let mut read = |name: &str| match fields.take(name) {
        None => Ok(None),
        Some(Json::Bool(value)) => Ok(Some(value)),
        Some(Json::Text(text)) if text == "true" => Ok(Some(true)),
        Some(Json::Text(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(Refusal::field_type(name, "true or false")),
    };
    match (read("streaming")?, read("stream")?) {
        (Some(a), Some(b)) if a != b => Err(Rule::AmbiguousField.refuse("The fields stream and streaming disagree.")),
        (a, b) => Ok(a.or(b).unwrap_or(false)),
    }
}

fn unknown(name: &str) -> Refusal {
    if name == "sessionId" {
        return Rule::UnknownField.refuse("The field sessionId is not known. Did you mean overrideConfig.sessionId?");
    }
    Refusal::unknown_field(&shown(name))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(super) mod tests;
