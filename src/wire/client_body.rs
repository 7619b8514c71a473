//! A client's body on its way in.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// What is still read of a body that nobody wants, and for how long.
const MOST_DRAINED: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A body, which may be dropped at any time.
///
/// A request that is answered before its body has come is half closed in HTTP/2: what still comes on its stream is
/// part of it, and what may not come there is an error (RFC 9113, sections 5.1 and 8.1.1). hyper forgets the stream
/// with the body, so a short rest is read and thrown away; a longer one is stopped with `RST_STREAM`.
pub(crate) struct ClientBody {
    source: BodySource,
    is_http2: bool,
}

enum BodySource {
    Incoming(Incoming),
    /// Looked at before, and now to be read by somebody else.
    Read(Bytes),
    /// Dropped, or read to its end.
    Gone,
}

impl ClientBody {
    pub(crate) fn new(incoming: Incoming, is_http2: bool) -> Self {
        Self { source: BodySource::Incoming(incoming), is_http2 }
    }

    /// A whole body that has been read.
    pub(crate) fn read(bytes: Bytes) -> Self {
        Self { source: if bytes.is_empty() { BodySource::Gone } else { BodySource::Read(bytes) }, is_http2: false }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.source {
            BodySource::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
            BodySource::Read(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = BodySource::Gone;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            BodySource::Gone => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            BodySource::Incoming(incoming) => incoming.is_end_stream(),
            BodySource::Read(_) => false,
            BodySource::Gone => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            BodySource::Incoming(incoming) => incoming.size_hint(),
            BodySource::Read(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodySource::Gone => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if self.is_http2
            && let BodySource::Incoming(incoming) = std::mem::replace(&mut self.source, BodySource::Gone)
            && !incoming.is_end_stream()
        {
            tokio::task::spawn_local(drain(incoming));
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let rest = async {
        let mut left = MOST_DRAINED;
        while let Some(Ok(frame)) = incoming.frame().await {
            let Some(fewer) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = fewer;
        }
    };
    // Whoever sends no more in that time has been answered all the same.
    let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
}
