//! Calls to providers, over the connections that each worker keeps.

pub(crate) mod address;
mod lines;

#[cfg(test)]
pub(crate) use lines::LineBuffer;
pub(crate) use lines::{Lines, data_of};

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use ipnet::IpNet;

use crate::client::{self, Origin, Reach, Request, RequestBody, RequestHead, ResponseBody, Timeouts, ClientTls, Wait};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::{Run, Services};
use crate::state::endpoints::{Endpoints, Health};
#[cfg(test)]
use crate::telemetry::metrics::Metrics;
use crate::wire::json;

/// A provider's answer that is read whole.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
/// To the head of a provider's answer, where a node says nothing else; between two pieces of a stream as well.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a provider is reached.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    origin: Arc<Origin>,
    /// The engine's name in the configuration.
    upstream: Arc<str>,
    health: Arc<Health>,
    /// Before every path, without a slash at its end.
    base: Arc<str>,
    /// The host, if it is plain that it may not be called.
    denied: Option<Box<str>>,
}

/// Every address in use, so that flows, and a flow that is built anew for one request, need not look for them.
#[derive(Debug)]
pub(crate) struct Targets {
    upstream: Arc<str>,
    endpoints: Arc<Endpoints>,
    /// Of what a model or a client has a part in.
    outward: Reach,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    origins: HashMap<Arc<Origin>, Arc<Health>>,
    /// Read with the first address that wants it.
    tls: Option<ClientTls>,
}

/// More than flows need; a request may name a patience of its own.
const MOST_KNOWN: usize = 512;

impl Targets {
    /// `upstream`: the engine's name in the configuration.
    pub(crate) fn new(upstream: &Arc<str>, endpoints: &Arc<Endpoints>) -> Self {
        let outward = Reach::Public(Arc::default());
        Self { upstream: Arc::clone(upstream), endpoints: Arc::clone(endpoints), outward, known: Mutex::default() }
    }

    /// With no others beside it.
    #[cfg(test)]
    pub(crate) fn alone(upstream: &str, metrics: &Metrics) -> Self {
        Self::new(&upstream.into(), &Arc::new(Endpoints::new(metrics)))
    }

    /// `networks` may be called from outward as well.
    pub(crate) fn allowing(self, networks: &[IpNet]) -> Self {
        Self { outward: Reach::Public(networks.into()), ..self }
    }

    /// Whether the same may be reached.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.upstream, &self.outward) == (&other.upstream, &other.outward)
    }

    /// Whether these networks are allowed, and no others.
    pub(crate) fn allows(&self, networks: &[IpNet]) -> bool {
        self.outward == Reach::Public(networks.into())
    }

    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn endpoint(&self, url: &str, patience: Option<Duration>) -> Result<Endpoint, String> {
        self.reached(url, patience, &Reach::Any)
    }

    /// For addresses that a model or a client has a part in: only the open internet is reached, and what the
    /// configuration allows beside it.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn outward(&self, url: &str, patience: Option<Duration>) -> Result<Endpoint, String> {
        self.reached(url, patience, &self.outward)
    }

    fn reached(&self, url: &str, patience: Option<Duration>, reach: &Reach) -> Result<Endpoint, String> {
        let Url { is_https, host, port, path } = Url::read(url)?;
        let denied = (!reach.has_host(&host)).then(|| host.as_str().into());
        let timeouts = Timeouts { connect: CONNECT, response: patience.unwrap_or(PATIENCE) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = if is_https { Some(known.tls()?) } else { None };
        let origin =
            Origin::new(&host, port, tls.as_ref(), reach.clone(), timeouts).map_err(|error| error.to_string())?;
        let (origin, health) = known.origin(origin, |origin| self.endpoints.find(&self.upstream, origin));
        Ok(Endpoint { origin, upstream: Arc::clone(&self.upstream), health, base: path, denied })
    }
}

impl Known {
    fn tls(&mut self) -> Result<ClientTls, String> {
        if self.tls.is_none() {
            self.tls = Some(ClientTls::system().map_err(|error| error.to_string())?);
        }
        self.tls.clone().ok_or_else(String::new)
    }

    /// The very same one, if it is known.
    fn origin(
        &mut self,
        origin: Origin,
        find: impl FnOnce(Origin) -> (Origin, Arc<Health>),
    ) -> (Arc<Origin>, Arc<Health>) {
        if let Some((known, health)) = self.origins.get_key_value(&origin) {
            return (Arc::clone(known), Arc::clone(health));
        }
        let (origin, health) = find(origin);
        let origin = Arc::new(origin);
        if self.origins.len() < MOST_KNOWN {
            self.origins.insert(Arc::clone(&origin), Arc::clone(&health));
        }
        (origin, health)
    }
}

/// An address as it is written, taken apart.
struct Url {
    is_https: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: Arc<str>,
}

impl Url {
    fn read(url: &str) -> Result<Self, String> {
        let unreadable = || "expected an address such as http://127.0.0.1:11434/v1".to_owned();
        let uri: http::Uri = url.trim().parse().map_err(|_| unreadable())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unreadable()),
        };
        let host = uri.host().ok_or_else(unreadable)?.trim_matches(['[', ']']).to_owned();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("expected an address without a user".to_owned());
        }
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { is_https, host, port, path: uri.path().trim_end_matches('/').into() })
    }
}

/// A request to a provider.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Below the endpoint's base, with its query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
    pub(crate) body: Bytes,
}

impl Endpoint {
    /// The host, if calls of it are denied.
    pub(crate) fn denied(&self) -> Option<&str> {
        self.denied.as_deref()
    }

    /// Sends JSON; an answer that is no success is a failure with the provider's own words. What is sent is let go of
    /// before the answer is waited for.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: impl serde::Serialize,
        run: &Run<'_>,
    ) -> Result<Incoming, Failure> {
        let text = serde_json::to_vec(&body).map_err(|error| Failure::flow(error.to_string()))?;
        drop(body);
        self.send(Call { method: Method::POST, path, headers, body: text.into() }, run).await
    }

    pub(crate) async fn send(&self, call: Call<'_>, run: &Run<'_>) -> Result<Incoming, Failure> {
        let headers = call.headers;
        let answer = self.ask(call, run).await?;
        let status = answer.status;
        let sensitive = headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(_, value)| value.clone());
        let incoming = Incoming { body: answer.body, secrets: sensitive.collect() };
        if status.is_success() {
            return Ok(incoming);
        }
        let secrets = incoming.secrets.clone();
        let body = incoming.whole().await.unwrap_or_default();
        Err(Failure::Provider { status: status.as_u16(), message: words_of(&body) }.without(&secrets))
    }

    /// The whole answer, whatever its status.
    pub(crate) async fn fetch(&self, call: Call<'_>, run: &Run<'_>) -> Result<Received, Failure> {
        let client::Response { status, headers, body, .. } = self.ask(call, run).await?;
        Ok(Received { status, headers, body: Incoming { body, secrets: Vec::new() }.whole().await? })
    }

    /// The answer, whatever its status.
    pub(crate) async fn ask(&self, call: Call<'_>, run: &Run<'_>) -> Result<client::Response, Failure> {
        // A text that met a bound is cut; nothing of it is sent.
        run.budget().check()?;
        if self.denied.is_some() {
            return Err(Failure::flow("requests to this machine and its network are denied by policy"));
        }
        let Call { method, path, headers, body } = call;
        let mut head = RequestHead::new(method, &[&self.base, path]);
        head.field("accept-encoding", &HeaderValue::from_static("identity"));
        head.field("user-agent", &HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION"))));
        let is_typed = headers.iter().any(|(name, _)| name == http::header::CONTENT_TYPE);
        if !body.is_empty() && !is_typed {
            head.field("content-type", &HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            head.field(name.as_str(), value);
        }
        let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Full(body) };
        let Services { client, calls, .. } = run.services;
        let mut request = Request::new(head, body);
        let connected = || self.health.connected();
        match client.send(&self.origin, &mut request, &connected).await {
            Ok(response) => {
                calls.answered(&self.upstream, response.first_byte);
                Ok(response)
            }
            Err(error) => {
                if error.is_connect() {
                    self.health.failed();
                }
                calls.failed(&self.upstream, &self.origin, &error);
                Err(failure_of(&error))
            }
        }
    }
}

/// As the libraries that Flowise uses word it, whatever stood in the way; the log says what it was.
fn failure_of(error: &client::Error) -> Failure {
    match error {
        client::Error::Timeout(Wait::Response) => Failure::Timeout,
        _ => Failure::Unreachable("Connection error.".to_owned()),
    }
}

/// An answer that is here.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A provider's answer on its way.
pub(crate) struct Incoming {
    body: ResponseBody,
    /// What was sent for it.
    secrets: Vec<HeaderValue>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl Incoming {
    pub(crate) fn new(response: client::Response) -> Self {
        Self { body: response.body, secrets: Vec::new() }
    }

    /// What was sent for it and must not be told, should it be repeated.
    pub(crate) fn secrets(&self) -> &[HeaderValue] {
        &self.secrets
    }

    pub(crate) async fn whole(mut self) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > LONGEST_ANSWER {
                return Err(Failure::Unreachable("The provider's answer is too long.".to_owned()));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// As much of it as is wanted, and perhaps a little more.
    pub(crate) async fn beginning(mut self, bytes: usize) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        while whole.len() < bytes {
            let Some(piece) = self.piece().await? else { break };
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    pub(crate) async fn json(self) -> Result<serde_json::Value, Failure> {
        let body = self.whole().await?;
        json::read(&body).map_err(|_| Failure::Unreachable("The provider's answer cannot be read.".to_owned()))
    }

    /// Its lines, as they come.
    pub(crate) fn lines(self) -> Lines {
        Lines::new(self)
    }

    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match tokio::time::timeout(PATIENCE, self.body.frame()).await {
            Err(_) => Err(Failure::Timeout),
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(_))) => Err(Failure::Unreachable("The provider broke off.".to_owned())),
        }
    }
}

/// What a provider says is wrong, in the shapes that providers use.
fn words_of(body: &[u8]) -> String {
    // Google's streams answer in lists.
    let mut json: serde_json::Value = json::read(body).unwrap_or_default();
    if let Some(first) = json.get_mut(0) {
        json = first.take();
    }
    let error = json.get("error").unwrap_or(&json);
    let words = error.as_str().or_else(|| error.get("message")?.as_str()).or_else(|| json.get("message")?.as_str());
    words.unwrap_or("status code (no body)").to_owned()
}

/// An error that comes in the place of a stream's next piece, with the status that it stands for.
pub(crate) fn failure_in_stream(error: &serde_json::Value) -> Failure {
    let kind = error.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
    let said = ["status", "code"].iter().find_map(|name| error.get(name)?.as_u64());
    let status = said.and_then(|status| u16::try_from(status).ok()).unwrap_or(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    });
    Failure::Provider { status, message: words_of(error.to_string().as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_into_origin_and_path() {
        let url = Url::read("http://127.0.0.1:11434/v1/").unwrap();
        assert_eq!((url.is_https, url.host.as_str(), url.port, &*url.path), (false, "127.0.0.1", 11434, "/v1"));
        let url = Url::read("https://api.openai.com").unwrap();
        assert_eq!((url.is_https, url.port, &*url.path), (true, 443, ""));
        for url in ["", "127.0.0.1:1", "ftp://x", "http://user@host/"] {
            assert!(Url::read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn providers_words_are_found() {
        assert_eq!(words_of(br#"{"error":{"message":"no such model"}}"#), "no such model");
        assert_eq!(words_of(br#"{"error":"model not found"}"#), "model not found");
        assert_eq!(words_of(br#"[{"error":{"message":"no such key","code":400}}]"#), "no such key");
        assert_eq!(words_of(b"<html>"), "status code (no body)");
    }

    #[test]
    fn errors_in_streams_have_a_status() {
        for (error, sentence) in [
            (serde_json::json!({ "type": "overloaded_error", "message": "Overloaded" }), "529 Overloaded"),
            (serde_json::json!({ "code": 429, "message": "Slowly" }), "429 Slowly"),
            (serde_json::json!("broken"), "500 broken"),
        ] {
            assert_eq!(failure_in_stream(&error).to_string(), sentence);
        }
    }
}
