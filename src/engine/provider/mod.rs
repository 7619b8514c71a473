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

use crate::client::http1::RequestHead;
use crate::client::reach::Reach;
use crate::client::reading::Reading;
use crate::config::{Flowise, UpstreamUrl};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::predict::chat_id;
use crate::telemetry::metrics::Metrics;
use crate::upstream::forward::{Answer, Forward};
use crate::upstream::outgoing::Outgoing;
use crate::upstream::target::Target;
use crate::wire::json;
use crate::wire::refusal::Refusal;

/// A provider's answer that is read whole.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);
/// To the head of a provider's answer, where a node says nothing else; between two pieces of a stream as well.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a provider is reached.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    target: Arc<Target>,
    /// Before every path, without a slash at its end.
    base: Arc<str>,
    /// The host, if it is plain that it may not be called.
    denied: Option<Box<str>>,
}

/// Every address in use, so that flows, and a flow that is built anew for one request, share connections.
#[derive(Debug)]
pub(crate) struct Targets {
    upstream: Arc<str>,
    metrics: Arc<Metrics>,
    /// Of what a model or a client has a part in.
    outward: Reach,
    known: Mutex<Known>,
}

/// By origin, whether it is [outward](Targets::outward), and patience.
type Known = HashMap<(String, bool, Duration), Arc<Target>>;

/// More than flows need; a request may name a patience of its own.
const MOST_KNOWN: usize = 512;

impl Targets {
    /// `upstream`: the engine's name in the configuration.
    pub(crate) fn new(upstream: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        let outward = Reach::Public(Arc::default());
        Self { upstream: Arc::clone(upstream), metrics: Arc::clone(metrics), outward, known: Mutex::default() }
    }

    /// `networks` may be called from outward as well.
    pub(crate) fn allowing(self, networks: &[IpNet]) -> Self {
        Self { outward: Reach::Public(networks.into()), ..self }
    }

    /// Whether these networks are allowed, and no others.
    pub(crate) fn allows(&self, networks: &[IpNet]) -> bool {
        self.outward == Reach::Public(networks.into())
    }

    /// Goes on with the connections of those that were in use before.
    pub(crate) fn take_over(&self, previous: &Self) {
        let mut before = previous.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        before.retain(|(_, is_outward, _), _| !is_outward || self.outward == previous.outward);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = before;
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
        let (origin, base) = split(url)?;
        let denied = (!reach.has_host(&origin.host)).then(|| origin.host.as_str().into());
        let patience = patience.unwrap_or(PATIENCE);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (format!("{origin:?}"), *reach != Reach::Any, patience);
        if let Some(target) = known.get(&key) {
            return Ok(Endpoint { target: Arc::clone(target), base, denied });
        }
        // Connections and health are the address's, whatever the patience.
        let is_same = |other: &(String, bool, Duration)| (&other.0, other.1) == (&key.0, key.1);
        let neighbour = known.iter().find(|(other, _)| is_same(other)).map(|(_, target)| Arc::clone(target));
        let settings = Flowise {
            urls: vec![origin],
            api_key: None,
            ca: None,
            connect_timeout: CONNECT,
            response_timeout: patience,
            // A node's timeout is for the first byte, as with the libraries that Flowise uses.
            stream_idle_timeout: patience.max(PATIENCE),
            pass_headers: Vec::new(),
        };
        let target = Target::new(&self.upstream, &settings, neighbour.as_deref(), &self.metrics);
        let mut target = target.map_err(|problems| problems.to_string())?;
        target.reach = reach.clone();
        let target = Arc::new(target);
        if known.len() < MOST_KNOWN {
            known.insert(key, Arc::clone(&target));
        }
        Ok(Endpoint { target, base, denied })
    }
}

/// `scheme://host:port` and the path.
fn split(url: &str) -> Result<(UpstreamUrl, Arc<str>), String> {
    let unreadable = || "expected an address such as http://127.0.0.1:11434/v1".to_owned();
    let uri: http::Uri = url.trim().parse().map_err(|_| unreadable())?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(unreadable()),
    };
    let host = uri.host().ok_or_else(unreadable)?.trim_matches(['[', ']']).to_owned();
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("expected an address without a user".to_owned());
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    Ok((UpstreamUrl { https, host, port }, uri.path().trim_end_matches('/').into()))
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
        let Answer { status, headers, body, .. } = self.ask(call, run).await?;
        Ok(Received { status, headers, body: Incoming { body, secrets: Vec::new() }.whole().await? })
    }

    /// The answer, whatever its status.
    pub(crate) async fn ask(&self, call: Call<'_>, run: &Run<'_>) -> Result<Answer, Failure> {
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
        let body = if body.is_empty() { Outgoing::Empty } else { Outgoing::Full(body) };
        let chat = chat_id::hash(run.request.chat_id.as_bytes());
        run.services.upstreams.send(&self.target, Forward { head, body, chat }).await.map_err(|refusal| match refusal {
            Refusal::UpstreamTimeout => Failure::Timeout,
            _ => Failure::Unreachable("Connection error.".to_owned()),
        })
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
    body: Reading,
    /// What was sent for it.
    secrets: Vec<HeaderValue>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl Incoming {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { body: answer.body, secrets: Vec::new() }
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

/// A header that holds a secret.
///
/// # Errors
/// It cannot stand in a header.
pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "the credential cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_into_origin_and_path() {
        let (origin, base) = split("http://127.0.0.1:11434/v1/").unwrap();
        assert_eq!((origin.https, origin.host.as_str(), origin.port, &*base), (false, "127.0.0.1", 11434, "/v1"));
        let (origin, base) = split("https://api.openai.com").unwrap();
        assert_eq!((origin.https, origin.port, &*base), (true, 443, ""));
        for url in ["", "127.0.0.1:1", "ftp://x", "http://user@host/"] {
            assert!(split(url).is_err(), "{url}");
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
