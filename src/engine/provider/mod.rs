//! Calls to providers, over the connections that each worker keeps.

pub(crate) mod address;
mod frames;
#[cfg(test)]
mod fuzz;
mod incoming;
mod lines;
mod resp;
pub(crate) mod scram;
mod stream;
mod targets;
pub(crate) mod web;

#[cfg(test)]
pub(crate) use lines::LineBuffer;
pub(crate) use lines::{Lines, data_of};

pub(crate) use frames::{EventFrame, EventFrames};
pub(crate) use incoming::{Incoming, ProviderResponse, failure_in_stream, unreadable};
pub(crate) use resp::{RedisReply, redis_commands};
pub(crate) use stream::{RawServer, ServerStream};
pub(crate) use targets::Targets;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use tokio::io::{AsyncRead, AsyncWrite};

use self::incoming::words_of;
use crate::client::{self, Origin, Request, RequestBody, RequestHead, Wait};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::{Run, Services};
use crate::state::endpoints::Health;
use crate::wire::hop;

/// To the head of a provider's answer, where a node says nothing else; between two pieces of a stream as well.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a provider is reached.
#[derive(Clone)]
pub(crate) struct ProviderEndpoint {
    origin: Arc<Origin>,
    /// The engine's name in the configuration.
    upstream: Arc<str>,
    /// `None`: nothing is kept of it.
    health: Option<Arc<Health>>,
    /// Before every path, without a slash at its end.
    base: Arc<str>,
    /// The host, if it is plain that it may not be called.
    denied: Option<Box<str>>,
}

/// As it is written, and nothing that changes while it is used: models are told apart by it.
impl fmt::Debug for ProviderEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderEndpoint({}:{}{})", self.origin.host(), self.origin.port(), self.base)
    }
}

/// A request to a provider.
pub(crate) struct ProviderCall<'a> {
    pub(crate) method: Method,
    /// Below the endpoint's base, with its query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
    /// What it is, the headers say.
    pub(crate) body: Bytes,
}

impl ProviderEndpoint {
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
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        self.send(ProviderCall { method: Method::POST, path, headers: &headers, body: text.into() }, run).await
    }

    pub(crate) async fn send(&self, call: ProviderCall<'_>, run: &Run<'_>) -> Result<Incoming, Failure> {
        let headers = call.headers;
        let answer = self.ask(call, run, failure_of).await?;
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
    pub(crate) async fn fetch(&self, call: ProviderCall<'_>, run: &Run<'_>) -> Result<ProviderResponse, Failure> {
        let client::Response { status, headers, body, .. } = self.call_api(call, run).await?;
        let body = Incoming { body, secrets: Vec::new() }.whole().await?;
        Ok(ProviderResponse { status, headers, body: run.watch.redactor.without_keys(body) })
    }

    /// The answer of an API, whatever its status.
    pub(crate) async fn call_api(&self, call: ProviderCall<'_>, run: &Run<'_>) -> Result<client::Response, Failure> {
        self.ask(call, run, failure_of_api).await
    }

    /// A connection for whoever speaks something else than HTTP over it.
    pub(crate) async fn dial(&self, run: &Run<'_>) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Failure> {
        run.budget().check()?;
        if self.denied.is_some() {
            return Err(Failure::flow("requests to this machine and its network are denied by policy"));
        }
        client::open_stream(&self.origin).await.map_err(|error| {
            self.health.iter().for_each(|health| health.failed());
            run.services.calls.failed(&self.upstream, &self.origin, &error, None);
            failure_of_api(&error)
        })
    }

    /// The answer, whatever its status; `told`: what is said if there is none.
    async fn ask(
        &self,
        call: ProviderCall<'_>,
        run: &Run<'_>,
        told: fn(&client::Error) -> Failure,
    ) -> Result<client::Response, Failure> {
        // A text that met a bound is cut; nothing of it is sent.
        run.budget().check()?;
        if self.denied.is_some() {
            return Err(Failure::flow("requests to this machine and its network are denied by policy"));
        }
        let ProviderCall { method, path, headers, body } = call;
        let mut head = RequestHead::new(method, &[&self.base, path]);
        head.field("accept-encoding", &HeaderValue::from_static("identity"));
        if !headers.iter().any(|(name, _)| *name == USER_AGENT) {
            head.field("user-agent", &HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION"))));
        }
        for (name, value) in headers {
            // The call is part of a span of ours. Exports have fields of connections, and documents of APIs let models set any.
            if !(hop::is_of_connection(name) || (run.trace.is_some() && hop::is_trace_field(name))) {
                head.field(name.as_str(), value);
            }
        }
        for (name, value) in run.trace.iter().flat_map(|scope| scope.fields()) {
            head.field(name, &value);
        }
        let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Full(body) };
        let Services { client, calls, .. } = run.services;
        let mut request = Request::new(head, body);
        let connected = || self.health.iter().for_each(|health| health.connected());
        match client.send(&self.origin, self.origin.peer(), &mut request, &connected).await {
            Ok(response) => {
                calls.answered(&self.upstream, response.first_byte);
                Ok(response)
            }
            Err(error) => {
                if error.is_connect() {
                    self.health.iter().for_each(|health| health.failed());
                }
                calls.failed(&self.upstream, &self.origin, &error, run.watch.report.request_id());
                Err(told(&error))
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

/// Of an API: in Node's words, which its flow's author may look for, but for the address.
fn failure_of_api(error: &client::Error) -> Failure {
    let words = match error {
        client::Error::Timeout(Wait::Response) => return Failure::Timeout,
        client::Error::Resolve(_) => "getaddrinfo ENOTFOUND",
        client::Error::Timeout(Wait::Connection) => "connect ETIMEDOUT",
        client::Error::Tls(_) => "the certificate or the TLS of the other side is not accepted",
        client::Error::Connect(cause) => match cause.kind() {
            io::ErrorKind::ConnectionRefused => "connect ECONNREFUSED",
            io::ErrorKind::HostUnreachable => "connect EHOSTUNREACH",
            io::ErrorKind::NetworkUnreachable => "connect ENETUNREACH",
            io::ErrorKind::TimedOut => "connect ETIMEDOUT",
            io::ErrorKind::ConnectionReset => "read ECONNRESET",
            _ => "Connection error.",
        },
        client::Error::Broken { .. } => "socket hang up",
        // Which names stand for addresses of the inside is nobody's business.
        client::Error::Denied(_) | client::Error::Body => "Connection error.",
    };
    Failure::Unreachable(words.to_owned())
}
