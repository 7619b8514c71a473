//! What is sent.

use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, SizeHint};

use super::http1::RequestHead;

/// A request without the origin that it goes to.
pub(crate) struct Request {
    pub(super) head: RequestHead,
    pub(super) body: RequestBody,
    /// Since when its response is waited for.
    pub(super) since: Instant,
}

impl Request {
    /// The wait for its response begins here, wherever it is sent.
    pub(crate) fn new(head: RequestHead, body: RequestBody) -> Self {
        Self { head, body, since: Instant::now() }
    }

    pub(crate) fn head(&mut self) -> &mut RequestHead {
        &mut self.head
    }
}

/// Nothing, a whole body, or one that comes in pieces and is never held in memory.
pub(crate) enum RequestBody {
    Empty,
    Full(Bytes),
    /// Trailers do not go on.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BodyFailed>>>),
}

/// A body ends before its end. Whoever makes it knows why.
#[derive(Debug, thiserror::Error)]
#[error("the request's body failed")]
pub(crate) struct BodyFailed;

impl RequestBody {
    /// Its length, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream(body) => SizeHint::exact(&body.size_hint()),
        }
    }
}
