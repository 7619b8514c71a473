//! One client connection: TLS if the listener speaks it, HTTP/1.1 or HTTP/2, and the limits of both.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::admission::Admission;
use super::drive::{ConnectionFault, DriveContext, Driven, Driver, FIRST_WORD};
use super::exchange::Exchanges;
use super::http1::Http1;
use super::linger::Lingering;
use super::liveness::{Limits, Liveness};
use super::malformed::MalformedHeads;
use super::noted::{ClientSocket, Noted};
use super::proxied;
use super::signal::{Phase, Signal};
use super::trailers::Http2Stream;
use crate::config::{ProxyProtocol, Server};
use crate::snapshot::Snapshot;
use crate::stack::{ListenerKind, Stack, text_of};
use crate::telemetry::metrics::Metrics;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 128;
/// Bytes that a client may send ahead on one HTTP/2 stream, and on all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What a worker gives each of its connections.
#[derive(Clone)]
pub(super) struct Acceptor<S> {
    pub(super) stack: S,
    pub(super) kind: ListenerKind,
    pub(super) metrics: Arc<Metrics>,
    pub(super) signal: Rc<Signal>,
    pub(super) admission: Arc<Admission>,
    pub(super) heads: Rc<MalformedHeads>,
}

/// A connection that was accepted. It is as small as can be, since most of them are idle most of the time: whatever a
/// future is given is part of it for as long as it lives.
pub(super) struct Accepted<S> {
    pub(super) acceptor: Rc<Acceptor<S>>,
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// The certificate in force now; a later one is for later connections.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
}

impl<S: Stack> Accepted<S> {
    /// Serves it until it ends, by whichever side; what is configured is what was when it came. `held` is kept that long.
    pub(super) fn serve(
        self,
        snapshot: Arc<Snapshot>,
        held: impl Sized + 'static,
    ) -> Pin<Box<dyn Future<Output = ()>>> {
        let limits = ConnectionLimits::of(&snapshot.config.server);
        match (snapshot.config.server.proxy_protocol, self.acceptor.kind) {
            (Some(wanted), ListenerKind::Public) => Box::pin(self.proxied(snapshot, wanted, limits, held)),
            _ => self.begin(limits, held),
        }
    }

    async fn proxied(
        mut self,
        snapshot: Arc<Snapshot>,
        wanted: ProxyProtocol,
        limits: ConnectionLimits,
        held: impl Sized + 'static,
    ) {
        let of_all = (&self.acceptor.admission, &self.acceptor.metrics.connections);
        let server = &snapshot.config.server;
        let admitted = proxied::admit(&mut self.stream, self.peer, wanted, server, of_all);
        let Some((client, share)) = unless_drained(&self.acceptor.signal, limits, admitted).await else { return };
        drop(snapshot);
        self.peer = client;
        self.begin(limits, (held, share)).await;
    }

    fn begin(self, limits: ConnectionLimits, held: impl Sized + 'static) -> Pin<Box<dyn Future<Output = ()>>> {
        let Self { acceptor, stream, peer, tls } = self;
        match tls {
            None => Box::pin(http1(acceptor, stream, peer, false, limits, held)),
            Some(tls) => Box::pin(async move {
                // Boxed, as what follows: a task is as large as its largest part, for as long as it lives.
                let handshake = Box::pin(handshake(&acceptor, stream, peer, tls));
                let Some(stream) = unless_drained(&acceptor.signal, limits, handshake).await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    Box::pin(http2(acceptor, stream, peer, limits)).await;
                } else {
                    Box::pin(http1(acceptor, stream, peer, true, limits, ())).await;
                }
                drop(held);
            }),
        }
    }
}

/// The limits of a connection, from the configuration it was accepted under.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    times: Limits,
    max_head: usize,
}

impl ConnectionLimits {
    fn of(server: &Server) -> Self {
        let times = Limits { header: server.header_timeout, idle: server.idle_timeout, send: server.send_timeout };
        Self { times, max_head: server.max_header_bytes }
    }
}

/// What comes before all requests; `None` as well: the gateway drains, and it took too long since.
async fn unless_drained<T>(
    signal: &Rc<Signal>,
    limits: ConnectionLimits,
    work: impl Future<Output = Option<T>>,
) -> Option<T> {
    let mut listener = signal.listen(&Rc::new(Liveness::new(limits.times)));
    let drained = async {
        let is_drained = |phase: Phase| if phase >= Phase::Draining { Poll::Ready(()) } else { Poll::Pending };
        poll_fn(|cx| is_drained(listener.phase(cx))).await;
        tokio::time::sleep(FIRST_WORD).await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = drained => None,
    }
}

async fn handshake<S: Stack>(
    acceptor: &Acceptor<S>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
) -> Option<Box<TlsStream<TcpStream>>> {
    match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await {
        // Boxed: it is large, and moved with what becomes of the connection.
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
    acceptor.metrics.connections.handshake_failures.inc();
    None
}

fn http1<S: Stack, IO: ClientSocket>(
    acceptor: Rc<Acceptor<S>>,
    stream: IO,
    peer: SocketAddr,
    tls: bool,
    limits: ConnectionLimits,
    held: impl Sized + 'static,
) -> impl Future<Output = ()> {
    let liveness = Rc::new(Liveness::new(limits.times));
    let mut listener = acceptor.signal.listen(&liveness);
    let mut connection = Http1::new(stream, acceptor, liveness, peer, tls, limits.max_head);
    async move {
        let end = {
            let mut driver = pin!(connection.driver());
            poll_fn(|cx| connection.drive(driver.as_mut(), &mut listener, cx)).await
        };
        if let Some((stream, admission)) = connection.into_unread(end) {
            // Boxed: it is rare.
            Box::pin(Lingering { stream, listener, admission }.linger()).await;
        }
        drop(held);
    }
}

async fn http2<S: Stack, IO: ClientSocket>(
    acceptor: Rc<Acceptor<S>>,
    stream: IO,
    peer: SocketAddr,
    limits: ConnectionLimits,
) {
    let liveness = Rc::new(Liveness::new(limits.times));
    let service = Exchanges {
        acceptor: Rc::clone(&acceptor),
        peer,
        peer_text: text_of(peer.ip().to_canonical()),
        tls: true,
        counts_pieces: true,
        liveness: Rc::clone(&liveness),
        rest: None,
        lift: None,
    };
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        // Finds clients that are gone without a word.
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(Noted::new(Http2Stream::new(stream), &liveness, None)), service);
    let mut connection: Http2<'_, IO, S> = pin!(connection);
    let mut listener = acceptor.signal.listen(&liveness);
    let mut driver = pin!(Driver::new(&liveness));
    let (metrics, admission) = (&*acceptor.metrics, &acceptor.admission);
    let means = DriveContext { liveness: &liveness, peer: &peer, metrics, admission };
    poll_fn(|cx| driver.as_mut().poll(&mut connection, &mut listener, means, cx)).await;
}

type Http2<'a, IO, S> = Pin<&'a mut http2::Connection<TokioIo<Noted<Http2Stream<IO>>>, Exchanges<S>, LocalExecutor>>;

impl<IO: ClientSocket, S: Stack> Driven for Http2<'_, IO, S> {
    const WAITS_FOR_AN_ANSWER: bool = false;

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionFault>> {
        self.as_mut().poll(cx).map_err(ConnectionFault::Protocol)
    }

    fn say_farewell(&mut self) {
        self.as_mut().graceful_shutdown();
    }
}

/// Runs hyper's HTTP/2 tasks on the worker's own thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
