//! Requests that scripts send: to whatever address they say, as far as it may be reached.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::is_harmless;
use crate::engine::provider::{ProviderCall, ProviderResponse, Targets};
use crate::engine::text::percent::located;
use crate::wire::json::read_str;

const MOST_REDIRECTS: usize = 5;

/// What a script says of a request.
#[derive(Debug, Deserialize)]
struct Wanted {
    url: String,
    method: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    redirect: String,
}

/// The answer, as JSON and its body; `most`: bytes of one.
pub(super) async fn fetched(
    targets: &Targets,
    head: &str,
    body: Vec<u8>,
    most: usize,
    run: &Run<'_>,
) -> Result<(String, Vec<u8>), Failure> {
    let Wanted { mut url, method, headers, redirect } =
        read_str(head).map_err(|error| Failure::flow(error.to_string()))?;
    let mut method: Method = method.parse().map_err(|_| Failure::flow("Invalid method"))?;
    let mut headers = read(headers)?;
    let mut body = Bytes::from(body);
    for hops in 0..=MOST_REDIRECTS {
        run.budget().step()?;
        let (origin, path) = split(&url).ok_or_else(|| Failure::flow("Only absolute URLs are supported"))?;
        let endpoint = targets.passing(origin).map_err(Failure::flow)?;
        let call =
            ProviderCall { method: method.clone(), path: &located(&path), headers: &headers, body: body.clone() };
        let answer = endpoint.fetch(call, run).await?;
        run.budget().has_room(answer.body.len())?;
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.filter(|_| answer.status.is_redirection() && redirect != "manual");
        let Some(location) = location else {
            if answer.body.len() > most {
                return Err(Failure::flow("the answer is longer than what a script may hold"));
            }
            return Ok((shown(&answer, &url, hops > 0), answer.body.into()));
        };
        if redirect == "error" {
            return Err(Failure::flow(format!(
                "uri requested responds with a redirect, redirect mode is set to error: {url}"
            )));
        }
        let next = joined(origin, &path, location);
        if split(&next).is_none_or(|(next, _)| !next.eq_ignore_ascii_case(origin)) {
            // The others are for who was asked: a key may stand under any name.
            headers.retain(|(name, _)| is_harmless(name));
        }
        let was_sent = method != Method::GET && method != Method::HEAD;
        let changes = answer.status == StatusCode::SEE_OTHER
            || (matches!(answer.status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND) && was_sent);
        if changes {
            (method, body) = (Method::GET, Bytes::new());
            headers.retain(|(name, _)| *name != CONTENT_TYPE);
        }
        url = next;
    }
    Err(Failure::flow("Too many redirects"))
}

fn read(headers: Vec<(String, String)>) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut known = Vec::new();
    for (name, value) in headers {
        let invalid = || Failure::flow(format!("{name} is no header field that can be sent"));
        let field: HeaderName = name.parse().map_err(|_| invalid())?;
        known.push((field, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?));
    }
    Ok(known)
}

/// `scheme://host:port`, and path and query behind it, without a fragment.
fn split(url: &str) -> Option<(&str, String)> {
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find(['/', '?', '#', '\\']).map_or(url.len(), |end| host + end);
    let (origin, rest) = url.split_at_checked(end)?;
    let rest = rest.split('#').next().unwrap_or_default();
    Some((origin, rest.to_owned()))
}

/// Where a redirection leads.
fn joined(origin: &str, path: &str, location: &str) -> String {
    let from = Url::parse(&format!("{origin}{path}")).ok();
    from.and_then(|from| from.join(location).ok()).map_or_else(|| location.to_owned(), String::from)
}

fn shown(answer: &ProviderResponse, url: &str, redirected: bool) -> String {
    let field =
        |(name, value): (&HeaderName, &HeaderValue)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]);
    let headers: Vec<Value> = answer.headers.iter().map(field).collect();
    let status = answer.status;
    let reason = status.canonical_reason().unwrap_or_default();
    json!({ "status": status.as_u16(), "statusText": reason, "headers": headers, "url": url, "redirected": redirected })
        .to_string()
}

#[cfg(test)]
mod tests;
