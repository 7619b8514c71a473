//! One request and its answer, as hyper sees them: hands the request to the stack and notes when it is over.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::connection::Acceptor;
use super::http1::Lift;
use super::liveness::Liveness;
use super::signal::{Phase, Signal};
use crate::stack::{Arrival, MeasuredBody, Stack};
use crate::wire::body::BodyError;
use crate::wire::client_body::{ClientBody, UnreadRest};

/// The stack, bound to one connection.
pub(super) struct Exchanges<S> {
    /// Its signal says whether the gateway ends, or another process has taken over; then an answer of HTTP/1.1 is the last
    /// on its connection.
    pub(super) acceptor: Rc<Acceptor<S>>,
    pub(super) peer: SocketAddr,
    pub(super) peer_text: HeaderValue,
    pub(super) tls: bool,
    /// HTTP/2 asks for the next piece of a body only when the client has made room for the last; for HTTP/1.1 the
    /// socket itself tells.
    pub(super) counts_pieces: bool,
    pub(super) liveness: Rc<Liveness>,
    /// Of HTTP/1.1.
    pub(super) rest: Option<UnreadRest>,
    /// Of HTTP/1.1 as well: where event streams go.
    pub(super) lift: Option<Lift>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<Exchanged>;
    type Error = Infallible;
    type Future = Exchange<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Exchange<S::Future> {
        let over = Active::new(&self.liveness);
        let lift = self.lift.as_ref().zip(self.rest.as_ref()).filter(|_| may_be_lifted(&request));
        let lift = lift.map(|(lift, rest)| Lifting {
            lift: Rc::clone(lift),
            rest: rest.clone(),
            keeps_alive: !is_last(request.headers().get_all(CONNECTION)),
        });
        // The stack is always ready: waiting happens inside its futures.
        let inner = self.acceptor.stack.clone().call(Arrival {
            request: request.map(|body| ClientBody::new(body, self.rest.clone())),
            peer: self.peer,
            peer_text: self.peer_text.clone(),
            tls: self.tls,
            listener: self.acceptor.kind,
        });
        let leaves = self.rest.is_some().then(|| Rc::clone(&self.acceptor.signal));
        Exchange { inner, active: Some(over), counts_pieces: self.counts_pieces, leaves, lift, is_lifted: false }
    }
}

/// An event stream that is taken from hyper before a byte of it is written.
pub(super) struct LiftedAnswer {
    pub(super) response: Response<Exchanged>,
    /// The client may ask more over its connection.
    pub(super) keeps_alive: bool,
}

/// How that is done.
struct Lifting {
    lift: Lift,
    rest: UnreadRest,
    keeps_alive: bool,
}

/// Whether hyper has nothing more to do for a request once its body is read, and how it ends is known: nothing is to be
/// said before the answer, and the body has a length.
fn may_be_lifted(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && request.method() == Method::POST
        && request.body().size_hint().exact().is_some()
        && !headers.contains_key(EXPECT)
}

/// Whether a client says that it asks nothing more.
fn is_last<'a>(connection: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let is_close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
    connection.into_iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(is_close))
}

fn is_event_stream(response: &Response<MeasuredBody>) -> bool {
    let headers = response.headers();
    response.status() == StatusCode::OK
        && headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
        && !headers.contains_key(CONTENT_LENGTH)
        && response.body().size_hint().exact().is_none()
        && !response.body().is_end_stream()
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
        lift: Option<Lifting>,
        is_lifted: bool,
    }
}

impl<F> Future for Exchange<F>
where
    F: Future<Output = Result<Response<MeasuredBody>, Infallible>>,
{
    type Output = Result<Response<Exchanged>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if *this.is_lifted {
            return Poll::Pending;
        }
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if this.leaves.as_ref().is_some_and(|signal| signal.phase() >= Phase::Leaving) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let active = this.active.take();
        let counts_pieces = *this.counts_pieces;
        let lifting = this.lift.take().filter(|lifting| lifting.rest.is_none() && is_event_stream(&response));
        let response = response.map(|inner| Exchanged { inner, active, counts_pieces, handed_over: false });
        let Some(Lifting { lift, keeps_alive, .. }) = lifting else { return Poll::Ready(Ok(response)) };
        // The connection looks there once hyper has done what it can, and takes everything from it.
        lift.replace(Some(Box::new(LiftedAnswer { response, keeps_alive })));
        *this.is_lifted = true;
        Poll::Pending
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
