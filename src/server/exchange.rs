//! One request and its answer, as hyper sees them: hands the request to the stack and notes when it is over.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::liveness::Liveness;
use super::signal::{Phase, Signal};
use crate::stack::{Arrival, Door, MeasuredBody, Stack};
use crate::wire::body::BodyError;
use crate::wire::client_body::{ClientBody, UnreadRest};

/// The stack, bound to one connection.
pub(super) struct Exchanges<S> {
    pub(super) stack: S,
    pub(super) peer: SocketAddr,
    pub(super) peer_text: HeaderValue,
    pub(super) tls: bool,
    pub(super) door: Door,
    /// HTTP/2 asks for the next piece of a body only when the client has made room for the last; for HTTP/1.1 the
    /// socket itself tells.
    pub(super) counts_pieces: bool,
    pub(super) liveness: Rc<Liveness>,
    /// Of HTTP/1.1.
    pub(super) rest: Option<UnreadRest>,
    /// Says whether another process has taken over; then an answer of HTTP/1.1 is the last on its connection.
    pub(super) signal: Rc<Signal>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<Exchanged>;
    type Error = Infallible;
    type Future = Exchange<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Exchange<S::Future> {
        let over = Active::new(&self.liveness);
        // The stack is always ready: waiting happens inside its futures.
        let inner = self.stack.clone().call(Arrival {
            request: request.map(|body| ClientBody::new(body, self.rest.clone())),
            peer: self.peer,
            peer_text: self.peer_text.clone(),
            tls: self.tls,
            door: self.door,
        });
        let leaves = self.rest.is_some().then(|| Rc::clone(&self.signal));
        Exchange { inner, active: Some(over), counts_pieces: self.counts_pieces, leaves }
    }
}

/// Counts as an active request until dropped.
struct Active(Rc<Liveness>);

impl Active {
    fn new(liveness: &Rc<Liveness>) -> Self {
        liveness.request_began();
        Self(Rc::clone(liveness))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

pin_project! {
    pub(super) struct Exchange<F> {
        #[pin]
        inner: F,
        active: Option<Active>,
        counts_pieces: bool,
        leaves: Option<Rc<Signal>>,
    }
}

impl<F> Future for Exchange<F>
where
    F: Future<Output = Result<Response<MeasuredBody>, Infallible>>,
{
    type Output = Result<Response<Exchanged>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if this.leaves.as_ref().is_some_and(|signal| signal.phase() == Phase::Leaving) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let active = this.active.take();
        let counts_pieces = *this.counts_pieces;
        Poll::Ready(Ok(response.map(|inner| Exchanged { inner, active, counts_pieces, handed_over: false })))
    }
}

pin_project! {
    /// The answer's body; the request is active until it is dropped.
    pub(super) struct Exchanged {
        #[pin]
        inner: MeasuredBody,
        active: Option<Active>,
        counts_pieces: bool,
        handed_over: bool,
    }

    impl PinnedDrop for Exchanged {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            fetched(this.active.as_ref(), this.handed_over);
        }
    }
}

fn fetched(active: Option<&Active>, handed_over: &mut bool) {
    if std::mem::take(handed_over)
        && let Some(Active(liveness)) = active
    {
        liveness.piece_fetched();
    }
}

impl Body for Exchanged {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        fetched(this.active.as_ref(), this.handed_over);
        let frame = ready!(this.inner.poll_frame(cx));
        if *this.counts_pieces
            && matches!(frame, Some(Ok(_)))
            && let Some(Active(liveness)) = this.active.as_ref()
        {
            *this.handed_over = true;
            liveness.piece_handed_over();
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
