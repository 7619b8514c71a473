//! The one response body type of the public listener.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Why a response body ended early. hyper closes the connection (or resets the stream), so that the client sees
/// a cut and not an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the upstream's answer broke off")]
    Upstream(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the upstream was silent for too long")]
    Idle,
}

type Streamed = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>;

/// Nothing, a whole answer, or one that is still on its way.
pub(crate) enum Body {
    Empty,
    Full(Bytes),
    Streamed(Streamed),
}

impl Body {
    pub(crate) fn streamed(body: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self::Streamed(Box::pin(body))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Streamed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}
