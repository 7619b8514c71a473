//! Opens the context of a request and gives it an id.
//!
//! Outermost. A well-formed `X-Request-Id` of the client is kept, so that its logs and ours meet; every response
//! carries the id.

use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::context::{Arrival, Call, Context, ListenerKind, Trial};
use super::environment::Environment;
use super::ext_auth::original::Original;
use super::traces;
use crate::predict::report::ReportSlot;
use crate::snapshot::Local;
use crate::wire::forwarded::{ClientAddress, client_address, client_used_tls};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone)]
pub(crate) struct RequestIdLayer {
    environment: Rc<Environment>,
    ids: Rc<Ids>,
}

impl RequestIdLayer {
    pub(crate) fn new(environment: Rc<Environment>) -> Self {
        Self { environment, ids: Rc::new(Ids::new()) }
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIds<S>;

    fn layer(&self, inner: S) -> RequestIds<S> {
        RequestIds { shared: self.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct RequestIds<S> {
    shared: RequestIdLayer,
    inner: S,
}

impl<S, B> Service<Arrival> for RequestIds<S>
where
    S: Service<Call, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = RequestIdFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, arrival: Arrival) -> Self::Future {
        let Arrival { request, peer, peer_text, tls, listener } = arrival;
        let (mut head, body) = request.into_parts();
        let original = (listener == ListenerKind::ExtAuth).then(|| Original::read(&mut head));
        let snapshot = self.shared.environment.snapshots.current();
        let request_id = given(&head.headers).unwrap_or_else(|| self.shared.ids.next());
        let trace = traces::begin(&self.shared.environment, &snapshot.config, &head, peer);
        let seen = SeenPeer { peer, peer_text, tls, original };
        let context = Context { trace, ..open(&head, seen, snapshot, request_id.clone(), None) };
        let inner = self.inner.call(Call { head: Box::new(head), body, context: Rc::new(context), authorization: () });
        RequestIdFuture { inner, request_id: Some(request_id) }
    }
}

/// What a connection knows of whoever sends a request.
pub(super) struct SeenPeer {
    pub(super) peer: SocketAddr,
    pub(super) peer_text: HeaderValue,
    pub(super) tls: bool,
    /// What it asks about, where a proxy does.
    pub(super) original: Option<Original>,
}

/// The context of a request, as it begins.
pub(super) fn open(
    head: &Parts,
    SeenPeer { peer, peer_text, tls, original }: SeenPeer,
    snapshot: Local,
    request_id: HeaderValue,
    trial: Option<Box<Trial>>,
) -> Context {
    let trusted = &snapshot.config.server.trusted_proxies;
    let header = snapshot.config.server.client_address_header.as_ref();
    let ClientAddress { address: client, is_unsaid } = client_address(peer, &head.headers, trusted, header);
    if is_unsaid && trial.is_none() && snapshot.told_addresses.is_new(client) {
        tracing::warn!(
            proxy = %client,
            header = header.map(tracing::field::display),
            "a trusted proxy does not say the client's address in server.client_address_header: it counts as the client"
        );
    }
    let client_text = if client == peer.ip().to_canonical() { peer_text } else { text_of(client) };
    Context {
        trial,
        received: Instant::now(),
        client,
        client_text,
        tls: client_used_tls(peer, tls, &head.headers, trusted),
        events_only: head.headers.get(ACCEPT).is_some_and(|value| value == "text/event-stream"),
        origin: origin(&head.headers),
        method: head.method.clone(),
        version: head.version,
        original,
        request_id,
        snapshot,
        route: Cell::new(None),
        chatflow: OnceCell::new(),
        path: OnceCell::new(),
        key: Cell::new(None),
        ended_key: Cell::new(None),
        token: OnceCell::new(),
        person: OnceCell::new(),
        token_refused: OnceCell::new(),
        delay: Cell::new(None),
        exceeded: Cell::new(None),
        waited: Cell::new(None),
        permits: Cell::default(),
        trace: None,
        duration: OnceCell::new(),
        refusal: OnceCell::new(),
        first_byte: Cell::new(None),
        body_limit: Cell::default(),
        stream: ReportSlot::default(),
        models: OnceCell::new(),
    }
}

pin_project! {
    /// Puts the id on the response.
    pub(crate) struct RequestIdFuture<F> {
        #[pin]
        inner: F,
        request_id: Option<HeaderValue>,
    }
}

impl<F, B> Future for RequestIdFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if let Some(id) = this.request_id.take() {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

/// The page that calls, if one is named. Whoever names two is refused, and told nothing as either of them.
fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(ORIGIN).iter();
    let origin = values.next()?;
    if values.next().is_some() {
        return None;
    }
    // A copy: a slice would hold the connection's whole read buffer for as long as the answer lasts.
    HeaderValue::from_bytes(origin.as_bytes()).ok()
}

/// An address as a header value.
pub(crate) fn text_of(address: IpAddr) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(address.to_string())).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The client's own id, if it is one value of 8 to 64 letters, digits, dots, dashes and underscores.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let value = values.next()?;
    let is_well_formed = (8..=64).contains(&value.len())
        && value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    // A copy: a slice would hold the connection's whole read buffer for as long as the answer lasts.
    (is_well_formed && values.next().is_none()).then(|| HeaderValue::from_bytes(value.as_bytes()).ok())?
}

/// Ids that differ: a random start for each worker, then a full-period step. Nothing hangs on guessing one.
struct Ids {
    prefix: u64,
    next: Cell<u64>,
    /// Where they are written: one allocation for several, which are then shared for nothing.
    space: RefCell<BytesMut>,
}

/// Letters of an id.
const LENGTH: usize = 32;
/// Ids in one allocation, which lives as long as the last of them.
const AT_ONCE: usize = 16;

impl Ids {
    fn new() -> Self {
        let random = RandomState::new();
        Self { prefix: random.hash_one(1), next: Cell::new(random.hash_one(2)), space: RefCell::default() }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.get();
        self.next.set(number.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut text = [[0; 2]; LENGTH / 2];
        for (pair, byte) in text.iter_mut().zip(self.prefix.to_be_bytes().into_iter().chain(number.to_be_bytes())) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        let mut space = self.space.borrow_mut();
        if space.capacity() < LENGTH {
            *space = BytesMut::with_capacity(LENGTH * AT_ONCE);
        }
        space.extend_from_slice(text.as_flattened());
        HeaderValue::from_maybe_shared(space.split().freeze()).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' - 10 + value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_id_is_kept() {
        let kept = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_REQUEST_ID, value.parse().unwrap());
            }
            given(&headers).is_some()
        };
        assert!(kept(&["abc-DEF_1.2"]));
        assert!(!kept(&["short"]));
        assert!(!kept(&["with space in it"]));
        assert!(!kept(&[&"x".repeat(65)]));
        assert!(!kept(&["abcdefgh", "abcdefgh"]));
    }

    #[test]
    fn ids_differ() {
        let ids = Ids::new();
        assert_ne!(ids.next(), ids.next());
        assert_eq!(ids.next().len(), 32);
    }
}
