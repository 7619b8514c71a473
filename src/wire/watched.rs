//! A body that somebody watches: what is counted, permitted or timed for a request lives until its last byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Sees a body go by. Dropping the watch is the end of the request, however it came; a stream in flight is still
/// in flight.
pub(crate) trait BodyWatch {
    /// A piece of that many bytes is handed to the connection.
    fn data(&mut self, _bytes: usize) {}

    /// The body has ended by itself, or with an error. Not called when the client goes away.
    fn ended(&mut self, _complete: bool) {}
}

pin_project! {
    /// `B`, watched by `W`.
    pub(crate) struct Watched<B, W> {
        #[pin]
        inner: B,
        watch: W,
    }
}

impl<B: Body, W: BodyWatch> Watched<B, W> {
    pub(crate) fn new(inner: B, mut watch: W) -> Self {
        // hyper never polls a body that says it is at its end.
        if inner.is_end_stream() {
            watch.ended(true);
        }
        Self { inner, watch }
    }
}

impl<B: Body<Data = Bytes>, W: BodyWatch> Body for Watched<B, W> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.data(data.len());
                }
                if this.inner.is_end_stream() {
                    this.watch.ended(true);
                }
            }
            Some(Err(_)) => this.watch.ended(false),
            None => this.watch.ended(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
