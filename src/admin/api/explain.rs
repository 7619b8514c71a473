//! `POST /api/explain`: what would become of a request, step by step, without sending or counting anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, ORIGIN};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::super::overview::Overview;
use super::super::respond::{AdminAnswer, json, no};
use crate::stack::explain::{ExplainRequest, explain};

const PATH: &str = "/api/explain";
/// Header fields of one request.
const MOST_HEADERS: usize = 100;
/// At once: each may take a thread for as long as a body is checked.
static PLACES: Semaphore = Semaphore::const_new(2);

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedRequest {
    #[serde(default)]
    method: Option<String>,
    path: String,
    #[serde(default)]
    origin: Option<String>,
    /// A key by its id, without its secret.
    #[serde(default)]
    key_id: Option<String>,
    /// A key or a token itself.
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    address: Option<IpAddr>,
    #[serde(default)]
    headers: BTreeMap<String, HeaderTexts>,
    /// A text as it is sent, or JSON.
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderTexts {
    One(String),
    Several(Vec<String>),
}

pub(in crate::admin) async fn answer(body: Bytes, overview: &Overview) -> AdminAnswer {
    let Ok(_place) = PLACES.acquire().await else { return no(PATH, StatusCode::SERVICE_UNAVAILABLE, "busy") };
    let snapshot = overview.snapshots.load_full();
    // The layers are for one thread, and a body may take a while, to be read already.
    let walked = tokio::task::spawn_blocking(move || {
        let asked = match asked(&body) {
            Ok(asked) => asked,
            Err(message) => return Some(Err(message)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
        Some(Ok(runtime.block_on(explain(snapshot, asked))))
    });
    match walked.await {
        Ok(Some(Ok(explanation))) => json(StatusCode::OK, &explanation),
        Ok(Some(Err(message))) => no(PATH, StatusCode::BAD_REQUEST, &message),
        _ => no(PATH, StatusCode::INTERNAL_SERVER_ERROR, "it cannot be explained"),
    }
}

/// Where it is wrong is told, not what was there.
fn asked(body: &[u8]) -> Result<ExplainRequest, String> {
    let asked = serde_json::from_slice::<AskedRequest>(body).map_err(|error| {
        format!("not a question that is understood, line {} column {}", error.line(), error.column())
    })?;
    request(asked).map_err(str::to_owned)
}

fn request(asked: AskedRequest) -> Result<ExplainRequest, &'static str> {
    let AskedRequest { method, path, origin, key_id, key, address, headers, body } = asked;
    let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "the method is none")?;
    let uri = Some(path).filter(|path| path.starts_with('/')).and_then(|path| path.parse::<Uri>().ok());
    let uri = uri.ok_or("the path must begin with a slash, and may have a query")?;
    let value = |text: &str, message| HeaderValue::from_str(text).map_err(|_| message);
    let mut fields = HeaderMap::new();
    if headers.len() > MOST_HEADERS {
        return Err("too many headers");
    }
    for (name, given) in &headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is none")?;
        let given = match given {
            HeaderTexts::One(one) => std::slice::from_ref(one),
            HeaderTexts::Several(several) => several,
        };
        for text in given {
            fields.append(name.clone(), value(text, "a header's value cannot be one")?);
        }
    }
    if let Some(origin) = origin {
        fields.insert(ORIGIN, value(&origin, "the origin cannot be one")?);
    }
    match (&key_id, key) {
        (Some(_), Some(_)) => return Err("a key, or the id of one, not both"),
        (None, Some(key)) => {
            let mut bearer = value(&format!("Bearer {key}"), "the key cannot be one")?;
            bearer.set_sensitive(true);
            fields.insert(AUTHORIZATION, bearer);
        }
        _ => {}
    }
    let body = match body {
        None => Bytes::new(),
        // A text is the body; anything else stands for itself.
        Some(json) => match serde_json::from_str::<String>(json.get()) {
            Ok(text) => text.into(),
            Err(_) => String::from(Box::<str>::from(json)).into(),
        },
    };
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(ExplainRequest { method, uri, headers: fields, body, address, key_id: key_id.map(Into::into) })
}
