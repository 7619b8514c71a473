//! OTLP over HTTP/1.1, with Protocol Buffers.

use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

use super::messages;
use super::sender::{ExportError, LONGEST_ANSWER, USER_AGENT, Unsent};
use crate::client::{Client, Origin, Request, RequestBody, RequestHead};

/// See the module.
pub(super) struct HttpSender {
    client: Client,
    origin: Origin,
    path: String,
    headers: HeaderMap,
}

impl HttpSender {
    pub(super) fn new(origin: Origin, path: String, headers: HeaderMap) -> Self {
        Self { client: Client::new(|name| *name == RETRY_AFTER), origin, path, headers }
    }

    pub(super) async fn send(&self, message: Bytes) -> Result<u64, Unsent> {
        let mut head = RequestHead::new(Method::POST, &[&self.path]);
        head.field("user-agent", &USER_AGENT);
        head.lines(b"content-type: application/x-protobuf\r\n");
        for (name, value) in &self.headers {
            head.field(name.as_str(), value);
        }
        let mut request = Request::new(head, RequestBody::Full(message));
        let answer = self.client.send(&self.origin, self.origin.peer(), &mut request, &|| {}).await?;
        let after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(answer.body, LONGEST_ANSWER).collect().await;
        match answer.status {
            StatusCode::OK => Ok(messages::rejected(&body.map_err(|_| ExportError::Answer)?.to_bytes())),
            // Some proxies of vendors say so.
            status if status.is_success() => Ok(0),
            status => Err(Unsent::status(status, after.map(Duration::from_secs))),
        }
    }
}
