//! A client's body on its way in.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
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
/// with the body, so a short rest is read and thrown away; a longer one is stopped with `RST_STREAM`. In HTTP/1.1 its
/// connection is closed, and must know of it: see [`UnreadRest`].
pub(crate) struct ClientBody {
    source: BodySource,
    /// `None`: HTTP/2.
    rest: Option<UnreadRest>,
}

/// Whether some body on an HTTP/1.1 connection was not read to its end.
#[derive(Clone, Default)]
pub(crate) struct UnreadRest(Rc<Cell<BodyProgress>>);

/// How far the last body on a connection was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum BodyProgress {
    #[default]
    Whole,
    /// It is being read.
    Open,
    /// Nobody wants the rest.
    Left,
}

impl UnreadRest {
    pub(crate) fn is_left(&self) -> bool {
        self.0.get() == BodyProgress::Left
    }

    /// Nothing is left of any body, nor on its way.
    pub(crate) fn is_none(&self) -> bool {
        self.0.get() == BodyProgress::Whole
    }
}

enum BodySource {
    Incoming(Incoming),
    /// Looked at before, and now to be read by somebody else.
    Read(Bytes),
    /// Dropped, or read to its end.
    Gone,
}

impl ClientBody {
    /// `rest`: that of the connection, of HTTP/1.1; `None`: HTTP/2.
    pub(crate) fn new(incoming: Incoming, rest: Option<UnreadRest>) -> Self {
        if let Some(rest) = rest.as_ref().filter(|_| !incoming.is_end_stream()) {
            rest.0.set(BodyProgress::Open);
        }
        Self { source: BodySource::Incoming(incoming), rest }
    }

    /// A whole body that has been read.
    pub(crate) fn read(bytes: Bytes) -> Self {
        Self { source: if bytes.is_empty() { BodySource::Gone } else { BodySource::Read(bytes) }, rest: None }
    }
}

impl ClientBody {
    /// It ends here.
    fn gone(&mut self, progress: BodyProgress) -> BodySource {
        // That something is left stays so: its connection ends.
        if let Some(rest) = self.rest.as_ref().filter(|rest| !rest.is_left()) {
            rest.0.set(progress);
        }
        std::mem::replace(&mut self.source, BodySource::Gone)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.source {
            BodySource::Incoming(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                if frame.is_none() {
                    self.gone(BodyProgress::Whole);
                }
                Poll::Ready(frame)
            }
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
        let BodySource::Incoming(incoming) = &self.source else { return };
        let progress = if incoming.is_end_stream() { BodyProgress::Whole } else { BodyProgress::Left };
        if let BodySource::Incoming(incoming) = self.gone(progress)
            && self.rest.is_none()
            && progress == BodyProgress::Left
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
