//! Trying a chatflow from the console. `POST /api/try` makes a token of a key for one chatflow, which lives for a minute
//! and is all that the page is given; `POST /api/try/CHATFLOW` sends a question with it through the same stack that the
//! public listener has, so that the page needs no right to call another origin, and what it sees is what a client sees.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::super::overview::Overview;
use super::super::respond::{AdminAnswer, json, no, pieces};
use crate::keys::token::{Claims, sign};
use crate::keys::{Key, KeyKind, KeyState};
use crate::server::InsideCall;
use crate::snapshot::Snapshot;

const PATH: &str = "/api/try";
/// Seconds that a token lives.
const LIFE: i64 = 60;
/// Whose chats and share of limits these are.
const SUBJECT: &str = "flowgate-console";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What of an answer's head a page is given.
const TOLD: [HeaderName; 5] = [
    CONTENT_TYPE,
    RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedToken {
    chatflow: String,
    /// By its id; `null`: the first that may.
    #[serde(default)]
    key: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenMade<'a> {
    token: String,
    expires_in: i64,
    key: &'a str,
    chatflow: &'a str,
}

/// The path's chatflow, if something is asked of one.
pub(in crate::admin) fn chatflow_of(path: &str) -> Option<&str> {
    let is_name = |name: &&str| {
        (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
    };
    path.strip_prefix("/api/try/").filter(is_name)
}

pub(in crate::admin) fn token(body: &[u8], peer: IpAddr, overview: &Overview) -> AdminAnswer {
    let Ok(wanted) = serde_json::from_slice::<WantedToken>(body) else {
        return no(PATH, StatusCode::BAD_REQUEST, "expected {\"chatflow\": NAME, \"key\": ID or null}");
    };
    let snapshot = overview.snapshots.load_full();
    match made(&snapshot, &wanted) {
        Ok((key, chatflow, token)) => {
            tracing::info!(key = &*key.id, chatflow, client = %peer, "a token to try a chatflow was made");
            json(StatusCode::CREATED, &TokenMade { token, expires_in: LIFE, key: &key.id, chatflow: &chatflow })
        }
        Err((status, message)) => no(PATH, status, message),
    }
}

type Unmade = (StatusCode, &'static str);

fn made<'a>(snapshot: &'a Snapshot, wanted: &WantedToken) -> Result<(&'a Key, String, String), Unmade> {
    let now = Timestamp::now();
    let counts = |key: &&Key| key.kind == KeyKind::Secret && key.state(now) == KeyState::Active;
    let chatflow = |key: &Key| snapshot.mintable(key, &wanted.chatflow);
    if snapshot.chatflow(&wanted.chatflow).is_none() {
        return Err((StatusCode::NOT_FOUND, "there is no chatflow of this name"));
    }
    let key = match &wanted.key {
        Some(id) => {
            let found = snapshot.keys.by_id(id).map(|(_, key)| key);
            found.filter(counts).ok_or((StatusCode::CONFLICT, "there is no secret key of this id that counts"))?
        }
        None => snapshot.keys.keys().iter().filter(counts).find(|key| matches!(chatflow(key), Some(Ok(_)))).ok_or((
            StatusCode::CONFLICT,
            "no secret key that counts may call this chatflow: `flowgate keys create` makes one",
        ))?,
    };
    let Some(Ok(name)) = chatflow(key) else {
        return Err((StatusCode::FORBIDDEN, "this key may not call this chatflow"));
    };
    let mut claims = Claims::new(&name, now, LIFE);
    claims.subject = Some(SUBJECT.to_owned());
    let token = sign(key, &claims).ok_or((StatusCode::INTERNAL_SERVER_ERROR, "the token cannot be made"))?;
    Ok((key, name, token))
}

/// Asks the chatflow, with the token that stands in `X-API-KEY`.
pub(in crate::admin) async fn ask(
    chatflow: &str,
    headers: &HeaderMap,
    body: Bytes,
    peer: IpAddr,
    overview: &Overview,
) -> AdminAnswer {
    let unavailable = || no(PATH, StatusCode::SERVICE_UNAVAILABLE, "the gateway is ending");
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let Ok(uri) = format!("/api/v1/prediction/{chatflow}").parse() else {
        return no(PATH, StatusCode::NOT_FOUND, "there is no chatflow of this name");
    };
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    for name in [CONTENT_TYPE, ACCEPT, X_API_KEY] {
        if let Some(value) = headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let (answer, answered) = oneshot::channel();
    let call = InsideCall { request, peer: SocketAddr::new(peer, 0), answer };
    if overview.inside.send(call).await.is_err() {
        return unavailable();
    }
    let Ok(answer) = answered.await else { return unavailable() };
    let mut response = pieces(answer.head.status, answer.pieces);
    for name in TOLD {
        if let Some(value) = answer.head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
