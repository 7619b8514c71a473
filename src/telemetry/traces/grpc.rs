//! OTLP over gRPC: one unary call over HTTP/2, `TraceService.Export`.
//!
//! A message goes with five bytes before it: whether it is compressed, and its length. What came of the call stands in
//! trailers, or in the head of an answer that has no body (gRPC over HTTP/2, "Responses").

use std::time::Duration;

use ::http::header::{CONTENT_TYPE, TE, USER_AGENT as USER_AGENT_NAME};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::messages;
use super::sender::{ExportError, LONGEST_ANSWER, Retry, USER_AGENT, Unsent};
use crate::client::{self, Origin};

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Before every message.
const PREFIX: usize = 5;
/// Codes of gRPC that are told apart.
const OK: u16 = 0;
const RESOURCE_EXHAUSTED: u16 = 8;

/// Values of `-bin` fields come with and without padding.
const BINARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// See the module.
pub(super) struct GrpcSender {
    origin: Origin,
    headers: HeaderMap,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Runs a connection on the thread that uses it.
#[derive(Clone)]
struct CollectorExecutor;

impl<F> hyper::rt::Executor<F> for CollectorExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, connection: F) {
        tokio::task::spawn_local(connection);
    }
}

impl GrpcSender {
    pub(super) fn new(origin: Origin, headers: HeaderMap) -> Self {
        Self { origin, headers, connection: None }
    }

    /// The next export is made over a new connection.
    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Within a `LocalSet`: connections run in tasks of their own.
    pub(super) async fn send(&mut self, message: Bytes) -> Result<u64, Unsent> {
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let request = self.request(&message).ok_or(ExportError::Answer)?;
        // One that has ended since is seen here: nothing was sent.
        if connection.ready().await.is_err() {
            connection = self.connect().await?;
        }
        let answer = connection.send_request(request).await?;
        let (head, body) = answer.into_parts();
        // Nothing more is wrong with the connection than with the answer.
        self.connection = Some(connection);
        if head.status != StatusCode::OK {
            return Err(Unsent::status(head.status, None));
        }
        outcome(&head.headers, body).await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ExportError> {
        let stream = client::open_stream(&self.origin).await?;
        let (sender, connection) = http2::handshake(CollectorExecutor, TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // Whoever waits for an answer over it is told.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn request(&self, message: &Bytes) -> Option<Request<Full<Bytes>>> {
        let length = u32::try_from(message.len()).ok()?;
        let mut body = BytesMut::with_capacity(PREFIX + message.len());
        body.put_u8(0);
        body.put_u32(length);
        body.extend_from_slice(message);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{METHOD}", self.origin))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT_NAME, USER_AGENT)
            .header("grpc-timeout", "10S")
            .body(Full::new(body.freeze()))
            .ok()?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        Some(request)
    }
}

/// What an answer with that head came to.
async fn outcome(head: &HeaderMap, body: Incoming) -> Result<u64, Unsent> {
    let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|_| ExportError::Answer)?;
    let trailers = body.trailers().filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(head).clone();
    let status = trailers.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    match status.ok_or(ExportError::Answer)? {
        OK => Ok(body.to_bytes().get(PREFIX..).map_or(0, messages::rejected)),
        code => {
            Err(Unsent { error: ExportError::Grpc(code), retry: retry(code, trailers.get("grpc-status-details-bin")) })
        }
    }
}

/// Which codes may be tried again (OTLP, "Failures").
fn retry(code: u16, details: Option<&HeaderValue>) -> Retry {
    let delay = || -> Option<Duration> { messages::retry_delay(&BINARY.decode(details?.as_bytes()).ok()?) };
    match code {
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => delay().map_or(Retry::Soon, Retry::After),
        // Only if the collector says that it will recover.
        RESOURCE_EXHAUSTED => delay().map_or(Retry::Never, Retry::After),
        _ => Retry::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overrun_collector_says_when() {
        // google.rpc.Status { details: [Any { "type.googleapis.com/google.rpc.RetryInfo", RetryInfo { 7 s } }] }
        let mut details = vec![0x1a, 0x30, 0x0a, 0x28];
        details.extend_from_slice(b"type.googleapis.com/google.rpc.RetryInfo");
        details.extend_from_slice(&[0x12, 0x04, 0x0a, 0x02, 0x08, 0x07]);
        let text = HeaderValue::from_str(&BINARY.encode(&details)).unwrap();
        assert_eq!(retry(RESOURCE_EXHAUSTED, Some(&text)), Retry::After(Duration::from_secs(7)));
        assert_eq!(retry(14, Some(&text)), Retry::After(Duration::from_secs(7)));
        assert_eq!(retry(14, None), Retry::Soon);
        assert_eq!(retry(RESOURCE_EXHAUSTED, None), Retry::Never);
        assert_eq!(retry(RESOURCE_EXHAUSTED, Some(&HeaderValue::from_static("?"))), Retry::Never);
        for code in [2, 3, 5, 6, 7, 9, 12, 13, 16, 99] {
            assert_eq!(retry(code, Some(&text)), Retry::Never, "{code}");
        }
    }
}
