//! `POST /api/v1/tokens`: a session token for a page, asked for by its application's backend.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::context::Context;
use crate::config::units::parse_duration;
use crate::keys::token::{self, Claims, LONGEST_LIFE};
use crate::predict::chat_id;
use crate::predict::json::{Json, Object, parse_object, shown, text_of};
use crate::wire::body::Body;
use crate::wire::refusal::{Refusal, Rule};

/// Seconds that a token lives if nothing is said.
const USUAL_LIFE: i64 = 5 * 60;

/// The answer to a body that asks for a token.
pub(super) fn answer(body: &[u8], context: &Context) -> Result<Response<Body>, Refusal> {
    let key = context.key().ok_or(Refusal::MissingKey)?;
    let body = text_of(body)?;
    let mut fields = parse_object(&body)?;
    let chatflow =
        name(&mut fields, "chatflow")?.ok_or_else(|| Refusal::field_type("chatflow", "the name of a chatflow"))?;
    let chatflow = context.snapshot.mintable(key, &chatflow).unwrap_or_else(|| Err(context.unknown_chatflow()))?;
    let life = life(&mut fields)?;
    let mut claims = Claims::new(&chatflow, Timestamp::now(), life);
    claims.origin = name(&mut fields, "origin")?;
    claims.session_id = name(&mut fields, "sessionId")?;
    claims.subject = name(&mut fields, "sub")?;
    claims.vars = vars(&mut fields)?;
    claims.jti = chat_id::random();
    if let Some((unknown, _)) = fields.iter().find(|(_, value)| **value != Json::Null) {
        return Err(Refusal::unknown_field(&shown(unknown)));
    }
    // What a backend may sign by itself is bounded alike.
    if let Some(token::ClaimFault { claim, wanted }) = claims.fault() {
        return Err(Refusal::field_type(claim, wanted));
    }
    let token = token::sign(key, &claims).ok_or_else(|| Rule::BodyJson.refuse("The token cannot be made."))?;
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
fn life(fields: &mut Object<'_>) -> Result<i64, Refusal> {
    let seconds = match fields.take("ttl") {
        None => Some(USUAL_LIFE),
        Some(Json::Number(number)) => number.as_i64(),
        Some(Json::Text(text)) => parse_duration(&text).ok().and_then(|life| i64::try_from(life.as_secs()).ok()),
        Some(_) => None,
    };
    seconds.filter(|seconds| (1..=LONGEST_LIFE).contains(seconds)).ok_or_else(|| {
        Refusal::field_type("ttl", "from 1 second to 15 minutes: a number of seconds, or text such as \"10m\"")
    })
}

fn name(fields: &mut Object<'_>, name: &str) -> Result<Option<String>, Refusal> {
    match fields.take(name) {
        None => Ok(None),
        Some(Json::Text(text)) if token::is_name(&text) => Ok(Some(text.into_owned())),
        Some(_) => Err(Refusal::field_type(name, token::NAME)),
    }
}

fn vars(fields: &mut Object<'_>) -> Result<Map<String, Value>, Refusal> {
    let vars = match fields.take("vars") {
        None => return Ok(Map::new()),
        Some(Json::Object(vars)) => vars.to_bytes(256).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        Some(_) => None,
    };
    vars.ok_or_else(|| Refusal::field_type("vars", token::VARS))
}
