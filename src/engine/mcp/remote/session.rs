//! One session with a server: it is greeted, and asked; over streamable HTTP, or over the event stream of the protocol's
//! first version where the server knows nothing else.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::RemoteTarget;
use super::events::ServerEvents;
use crate::client::Response;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::mcp::PATIENCE;
use crate::engine::mcp::message::{self, INITIALIZE, INITIALIZED, ServerMessage, agreed, greeting, timed_out};
use crate::engine::provider::{Incoming, ProviderCall};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const MOST_REDIRECTS: usize = 5;
/// Of an answer that says no, in bytes.
const LONGEST_REFUSAL: usize = 4 * 1024;
/// A server may ask so often whether its client is there before it answers.
const MOST_QUESTIONS: usize = 64;

/// See the module.
pub(super) struct RemoteSession<'a> {
    place: &'a RemoteTarget<'a>,
    run: &'a Run<'a>,
    /// Where messages are sent.
    path: String,
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    next: u64,
    /// Where answers come over a stream of their own.
    events: Option<ServerEvents>,
}

/// Why a message was not taken.
enum SessionFailure {
    /// The server says no to it.
    Said(String),
    Failed(Failure),
}

impl From<Failure> for SessionFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<SessionFailure> for Failure {
    fn from(refusal: SessionFailure) -> Self {
        match refusal {
            SessionFailure::Failed(failure) => failure,
            SessionFailure::Said(text) => {
                Self::Refused(format!("Streamable HTTP error: Error POSTing to endpoint: {text}"))
            }
        }
    }
}

impl<'a> RemoteSession<'a> {
    pub(super) async fn open(place: &'a RemoteTarget<'a>, run: &'a Run<'a>) -> Result<Self, Failure> {
        let (id, version, events) = (None, None, None);
        let mut session = Self { place, run, path: place.path.clone(), id, version, next: 0, events };
        let greeted = session.greet().await;
        let greeted = match greeted {
            Ok(greeted) => greeted,
            // It is no server of this kind, perhaps one of the kind before.
            Err(SessionFailure::Said(_)) => {
                session.listen().await?;
                session.next = 0;
                session.greet().await?
            }
            Err(SessionFailure::Failed(failure)) => return Err(failure),
        };
        session.version = Some(HeaderValue::from_static(agreed(&greeted)?));
        session.send(&message::notification(INITIALIZED)).await.map_err(Failure::from)?;
        Ok(session)
    }

    async fn greet(&mut self) -> Result<Value, SessionFailure> {
        self.asked(INITIALIZE, &greeting()).await
    }

    /// What the server answers.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn request(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        Ok(self.asked(method, params).await?)
    }

    async fn asked(&mut self, method: &str, params: &Value) -> Result<Value, SessionFailure> {
        let id = self.next;
        self.next += 1;
        let message = message::request(id, method, params);
        let answering = async {
            let response = self.send(&message).await?;
            if let Some(mut events) = self.events.take() {
                let answer = self.awaited(id, &mut events).await;
                self.events = Some(events);
                return answer.map_err(SessionFailure::Failed);
            }
            let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if kind.contains("text/event-stream") {
                let mut events = ServerEvents::new(Incoming::new(response).lines());
                return self.awaited(id, &mut events).await.map_err(SessionFailure::Failed);
            }
            if !kind.contains("application/json") {
                let shown = if kind.is_empty() { "null" } else { kind };
                let words = format!("Streamable HTTP error: Unexpected content type: {shown}");
                return Err(SessionFailure::Failed(Failure::Refused(words)));
            }
            let body = Incoming::new(response).whole().await?;
            let mut found = ServerMessage::read(&self.run.watch.redactor.without_keys(body)).into_iter();
            let found = found.find_map(|message| answer_to(id, message));
            found.unwrap_or_else(|| Err(no_answer())).map_err(SessionFailure::Failed)
        };
        match tokio::time::timeout(PATIENCE, answering).await {
            Ok(answer) => answer,
            Err(_) => Err(SessionFailure::Failed(timed_out())),
        }
    }

    /// Reads a stream to the answer.
    async fn awaited(&mut self, id: u64, events: &mut ServerEvents) -> Result<Value, Failure> {
        let mut questions = 0;
        while let Some(event) = events.next().await? {
            if !matches!(event.name.as_str(), "" | "message") {
                continue;
            }
            for message in ServerMessage::read(&self.run.watch.redactor.without_keys(event.data)) {
                match message {
                    ServerMessage::Asks(reply) if questions < MOST_QUESTIONS => {
                        questions += 1;
                        // What becomes of it is the server's business.
                        if let Err(SessionFailure::Failed(failure)) = self.send(&reply).await {
                            return Err(failure);
                        }
                    }
                    message => {
                        if let Some(answer) = answer_to(id, message) {
                            return answer;
                        }
                    }
                }
            }
        }
        Err(no_answer())
    }

    /// Opens the event stream of the protocol's first version, whose first event says where messages go.
    async fn listen(&mut self) -> Result<(), Failure> {
        let (headers, path) = (self.headers(&[(ACCEPT, EVENTS)]), self.place.path.clone());
        let opening = async {
            let call = ProviderCall { method: Method::GET, path: &path, headers: &headers, body: Bytes::new() };
            let response = self.place.address.endpoint.call_api(call, self.run).await?;
            if response.status != StatusCode::OK {
                let words = format!("SSE error: Non-200 status code ({})", response.status.as_u16());
                return Err(Failure::Refused(words));
            }
            let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.contains("text/event-stream") {
                let words = "SSE error: Invalid content type, expected \"text/event-stream\"".to_owned();
                return Err(Failure::Refused(words));
            }
            let mut events = ServerEvents::new(Incoming::new(response).lines());
            while let Some(event) = events.next().await? {
                if event.name == "endpoint" {
                    let place = String::from_utf8_lossy(&event.data).into_owned();
                    return Ok((events, place));
                }
            }
            Err(no_answer())
        };
        let opened = tokio::time::timeout(PATIENCE, opening).await.map_err(|_| timed_out())?;
        let (events, place) = opened?;
        let elsewhere = |_| Failure::Refused("Endpoint origin does not match connection origin".to_owned());
        self.path = self.place.address.redirected(&beside(&path, place.trim())).map_err(elsewhere)?;
        self.events = Some(events);
        Ok(())
    }

    /// Sends a message; answers come with the response, or over the stream.
    async fn send(&mut self, message: &Value) -> Result<Response, SessionFailure> {
        let mut headers = self.headers(&[(CONTENT_TYPE, JSON), (ACCEPT, BOTH)]);
        headers.extend(self.id.iter().map(|id| (SESSION, id.clone())));
        headers.extend(self.version.iter().map(|version| (VERSION, version.clone())));
        let body = Bytes::from(message.to_string());
        for _ in 0..=MOST_REDIRECTS {
            let path = self.path.clone();
            let call = ProviderCall { method: Method::POST, path: &path, headers: &headers, body: body.clone() };
            let response = self.place.address.endpoint.call_api(call, self.run).await?;
            let status = response.status;
            if matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                let location = response.headers.get(LOCATION).and_then(|location| location.to_str().ok());
                let location = location.ok_or_else(no_answer)?;
                self.path = self.place.address.redirected(location).map_err(Failure::flow)?;
                continue;
            }
            if let Some(id) = response.headers.get(SESSION) {
                self.id = Some(id.clone());
            }
            if status.is_success() {
                return Ok(response);
            }
            let text = Incoming::new(response).beginning(LONGEST_REFUSAL).await.unwrap_or_default();
            let text = self.run.watch.redactor.without_keys(text);
            let text = String::from_utf8_lossy(text.get(..LONGEST_REFUSAL).unwrap_or(&text)).into_owned();
            return Err(SessionFailure::Said(text));
        }
        Err(SessionFailure::Failed(Failure::flow("Too many redirects")))
    }

    /// The author's headers, but for those that the protocol needs.
    fn headers(&self, own: &[(HeaderName, HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
        let others = self.place.headers.iter().filter(|(name, _)| !own.iter().any(|(set, _)| set == name));
        own.iter().chain(others).cloned().collect()
    }
}

/// Where a place lies that is told of beside a path: as links do.
fn beside(path: &str, place: &str) -> String {
    if place.starts_with('/') || place.contains("://") {
        return place.to_owned();
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{place}")
}

fn answer_to(id: u64, message: ServerMessage) -> Option<Result<Value, Failure>> {
    match message {
        ServerMessage::Answer { id: answered, result } if answered == id => Some(result.map_err(Failure::Refused)),
        _ => None,
    }
}

fn no_answer() -> Failure {
    Failure::Unreachable("The server did not answer.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_lie_beside_the_stream() {
        assert_eq!(beside("/a/sse?x=1", "messages?id=2"), "/a/messages?id=2");
        assert_eq!(beside("/sse", "/messages"), "/messages");
        assert_eq!(beside("", "messages"), "/messages");
    }
}
