//! `POST /api/v1/tokens`: a session token for a page, asked for by its application's backend.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::context::Context;
use crate::config::Origins;
use crate::config::units::parse_duration;
use crate::keys::token::{self, Claims, LONGEST_LIFE};
use crate::predict::{chat_id, json::parse_object};
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

/// Seconds that a token lives if nothing is said.
const USUAL_LIFE: i64 = 5 * 60;
/// Bytes of a user's or a session's name.
const LONGEST_NAME: usize = 256;

/// The answer to a body that asks for a token.
pub(super) fn answer(body: &[u8], context: &Context) -> Result<Response<Body>, Refusal> {
    let key = context.key.get().and_then(|index| context.snapshot.keys.key(index as usize));
    let key = key.ok_or(Refusal::MissingKey)?;
    let mut fields = parse_object(body).map_err(|message| Refusal::Invalid("body_json", message.into()))?;
    let chatflow = name(&mut fields, "chatflow")?.ok_or_else(|| ill_typed("chatflow", "the name of a chatflow"))?;
    let (index, id) = context.snapshot.chatflow(&chatflow).ok_or(Refusal::NotFound)?;
    let flow = context.snapshot.flow(index).ok_or(Refusal::NotFound)?;
    // The name that calls are measured by: a UUID behind "*" is written in small letters.
    let chatflow = if &*flow.config.name == "*" { String::from(&*id) } else { chatflow };
    if !key.may_call(&chatflow) {
        return Err(Refusal::ChatflowNotAllowed);
    }
    let life = life(&mut fields)?;
    let mut claims = Claims::new(&chatflow, Timestamp::now(), life);
    claims.origin = origin(&mut fields)?;
    claims.session_id = name(&mut fields, "sessionId")?;
    claims.subject = name(&mut fields, "sub")?.unwrap_or_default();
    claims.vars = vars(&mut fields)?;
    claims.jti = chat_id::random();
    if let Some(unknown) = fields.keys().next() {
        return Err(ill_typed(unknown, "left out: it is not known"));
    }
    let token = token::sign(key, &claims).ok_or(Refusal::Invalid("body_json", "The token cannot be made.".into()))?;
    let expires_at = Timestamp::from_second(claims.exp).map(|time| time.to_string()).unwrap_or_default();
    let answer = json!({ "token": token, "expiresIn": claims.exp - claims.iat, "expiresAt": expires_at });
    let mut response = Response::new(Body::Full(Bytes::from(answer.to_string())));
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Seconds, or a duration such as `5m`.
fn life(fields: &mut Map<String, Value>) -> Result<i64, Refusal> {
    let seconds = match fields.remove("ttl") {
        None | Some(Value::Null) => Some(USUAL_LIFE),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => parse_duration(&text).ok().and_then(|life| i64::try_from(life.as_secs()).ok()),
        Some(_) => None,
    };
    seconds
        .filter(|seconds| (1..=LONGEST_LIFE).contains(seconds))
        .ok_or_else(|| ill_typed("ttl", "from 1 second to 15 minutes: a number of seconds, or text such as \"10m\""))
}

fn name(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text))
            if (1..=LONGEST_NAME).contains(&text.len()) && !text.chars().any(char::is_control) =>
        {
            Ok(Some(text))
        }
        Some(_) => Err(ill_typed(name, "a string of 1 to 256 bytes without control characters")),
    }
}

/// One exact origin.
fn origin(fields: &mut Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(origin) = name(fields, "origin")? else { return Ok(None) };
    if origin.contains('*') || Origins::default().add(&origin).is_err() {
        return Err(ill_typed("origin", "the origin of a page, such as https://app.example.com"));
    }
    Ok(Some(origin))
}

/// Plain values, as Flowise's variables are.
fn vars(fields: &mut Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let plain = |vars: &Map<String, Value>| vars.values().all(|value| !value.is_array() && !value.is_object());
    match fields.remove("vars") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(vars)) if plain(&vars) => Ok(vars),
        Some(_) => Err(ill_typed("vars", "an object of strings, numbers and booleans")),
    }
}

fn ill_typed(name: &str, expected: &str) -> Refusal {
    let name: String = name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    Refusal::Invalid("field_type", format!("The field {name} must be {expected}.").into())
}
