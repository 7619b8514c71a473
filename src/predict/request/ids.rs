//! Which chat and session: what a client, a token or the operator says, and Flowise's ids of these.

use super::super::chat_id;
use super::super::json::{Json, Object};
use super::super::session::{ChatIds, LONGEST_ID, Pair};
use super::Caller;
use crate::config::Chatflow;
use crate::wire::refusal::Refusal;

/// What the operator or a token forces, else what the client asks for. Flowise's own order (chatId, then sessionId, then
/// a new one) is kept, so that the chat is known here as well: without it, it could not be aborted.
pub(super) fn ids(
    fields: &mut Object<'_>,
    overrides: &mut Object<'_>,
    chatflow: &Chatflow,
    caller: &Caller<'_>,
) -> Result<ChatIds, Refusal> {
    let chat = fields.take("chatId").map(|value| id("chatId", value)).transpose()?;
    let session = overrides.take("sessionId").map(|value| id("overrideConfig.sessionId", value)).transpose()?;
    let forced = chatflow.force_override.get("sessionId").and_then(serde_json::Value::as_str).or(caller.session);
    let session = forced.map(str::to_owned).or(session);
    let chat = caller.session.map(str::to_owned).or(chat);
    let namespace = caller.namespace.as_ref();
    let session = session.map(|session| Pair::new(session, namespace));
    let is_new = chat.is_none() && session.is_none();
    let chat = match (chat, &session) {
        (Some(chat), _) => Pair::new(chat, namespace),
        (None, Some(session)) => session.clone(),
        (None, None) => Pair::new(chat_id::random().ok_or(Refusal::UpstreamUnavailable)?, namespace),
    };
    Ok(ChatIds { chat, is_new, session })
}

/// Ids are strings: Flowise hands an object on to its database (CVE-2026-91937).
pub(super) fn id(name: &str, value: Json<'_>) -> Result<String, Refusal> {
    match value {
        Json::Text(text) if !text.is_empty() && text.len() <= LONGEST_ID && !text.chars().any(char::is_control) => {
            Ok(text.into_owned())
        }
        _ => Err(Refusal::field_type(name, "a string of 1 to 256 bytes without control characters")),
    }
}
