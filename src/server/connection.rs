//! One client connection: TLS if the listener speaks it, HTTP/1.1 or HTTP/2, and the limits of both.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::admission::Admission;
use super::exchange::Exchanges;
use super::linger::Lingering;
use super::liveness::{CutReason, Limits, Liveness};
use super::malformed::{self, MalformedHeads};
use super::proxied;
use super::signal::{Listener, Phase, Signal};
use super::trailers::Http2Stream;
use crate::config::Server;
use crate::stack::{Door, Stack, text_of};
use crate::telemetry::metrics::Metrics;
use crate::wire::client_body::UnreadRest;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Fields in a head.
const MOST_HEADERS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 128;
/// Bytes that a client may send ahead on one HTTP/2 stream, and on all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// For an HTTP/2 client to hear that its connection ends.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a worker gives each of its connections.
#[derive(Clone)]
pub(super) struct Acceptor<S> {
    pub(super) stack: S,
    pub(super) door: Door,
    pub(super) metrics: Arc<Metrics>,
    pub(super) signal: Rc<Signal>,
    pub(super) admission: Arc<Admission>,
    pub(super) heads: Rc<MalformedHeads>,
}

impl<S: Stack> Acceptor<S> {
    /// Serves one connection until it ends, by whichever side.
    pub(super) async fn serve(
        self,
        mut stream: TcpStream,
        mut peer: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        server: &Server,
    ) {
        let mut _share = None;
        if let (Some(wanted), Door::Public) = (server.proxy_protocol, self.door) {
            let admitted =
                proxied::admit(&mut stream, peer, wanted, server, (&self.admission, &self.metrics.connections));
            // Boxed: a task is as large as its largest branch, for as long as it lives.
            match Box::pin(admitted).await {
                Some(client) => (peer, _share) = client,
                None => return,
            }
        }
        let limits = Limits { header: server.header_timeout, idle: server.idle_timeout, send: server.send_timeout };
        let max_head = server.max_header_bytes;
        let Some(tls) = tls else {
            // Each kind of connection is boxed: a task is as large as its largest branch, for as long as it lives.
            Box::pin(self.http1(stream, peer, false, limits, max_head)).await;
            return;
        };
        let handshake = Box::pin(tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream))).await;
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.metrics.connections.handshake_failures.inc();
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                self.metrics.connections.handshake_failures.inc();
                tracing::debug!(%peer, "TLS handshake took too long");
                return;
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.http2(stream, peer, limits, max_head)).await;
        } else {
            Box::pin(self.http1(stream, peer, true, limits, max_head)).await;
        }
    }

    async fn http1<IO>(self, stream: IO, peer: SocketAddr, tls: bool, limits: Limits, max_head: usize)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let liveness = Rc::new(Liveness::new(limits));
        let rest = UnreadRest::default();
        let service = Exchanges {
            stack: self.stack,
            peer,
            peer_text: text_of(peer.ip().to_canonical()),
            tls,
            door: self.door,
            counts_pieces: false,
            liveness: Rc::clone(&liveness),
            rest: Some(rest.clone()),
            signal: Rc::clone(&self.signal),
        };
        let mut connection = http1::Builder::new()
            // `liveness` keeps time for the head and between requests.
            .header_read_timeout(None)
            .writev(false)
            .max_headers(MOST_HEADERS)
            // hyper reads at least this much at a time and answers 431 when a head does not fit.
            .max_buf_size(max_head.max(8 * 1024))
            .serve_connection(Noted::new(stream, &liveness, Some((self.heads, peer))), service);
        let mut listener = self.signal.listen(&liveness);
        let end = drive(
            Pin::new(&mut connection),
            &liveness,
            &mut listener,
            peer,
            (&self.metrics, &self.admission),
            Farewell { waits_for_an_answer: true, say: http1::Connection::graceful_shutdown },
        )
        .await;
        if end == ConnectionEnd::Malformed || (end == ConnectionEnd::Whole && rest.is_left()) {
            let stream = connection.into_parts().io.into_inner().stream;
            // Boxed: it is rare.
            Box::pin(Lingering { stream, listener, admission: self.admission }.linger()).await;
        }
    }

    async fn http2<IO>(self, stream: IO, peer: SocketAddr, limits: Limits, max_head: usize)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let liveness = Rc::new(Liveness::new(limits));
        let service = Exchanges {
            stack: self.stack,
            peer,
            peer_text: text_of(peer.ip().to_canonical()),
            tls: true,
            door: self.door,
            counts_pieces: true,
            liveness: Rc::clone(&liveness),
            rest: None,
            signal: Rc::clone(&self.signal),
        };
        let connection = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_WINDOW as usize)
            // Finds clients that are gone without a word.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(Noted::new(Http2Stream::new(stream), &liveness, None), service);
        drive(
            pin!(connection),
            &liveness,
            &mut self.signal.listen(&liveness),
            peer,
            (&self.metrics, &self.admission),
            Farewell { waits_for_an_answer: false, say: http2::Connection::graceful_shutdown },
        )
        .await;
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    /// All that was to be said is said.
    Whole,
    /// So it is, to what was no request.
    Malformed,
    /// The client is gone, or the connection was not worth its place.
    Cut,
}

/// How a client hears that its connection takes no more requests.
struct Farewell<F> {
    /// Only an answer can say so: a connection that is closed without one may lose the request that is on its way.
    waits_for_an_answer: bool,
    say: F,
}

/// Polls a connection until it ends or is no longer worth its place; tells it when the gateway drains.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    liveness: &Liveness,
    listener: &mut Listener,
    peer: SocketAddr,
    (metrics, admission): (&Metrics, &Arc<Admission>),
    Farewell { waits_for_an_answer, say: mut graceful_shutdown }: Farewell<impl FnMut(Pin<&mut C>)>,
) -> ConnectionEnd
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let (mut is_closing, mut has_successor) = (false, false);
    let mut leaving = None;
    poll_fn(|cx| {
        match listener.phase(cx) {
            Phase::Running => {}
            Phase::Leaving if waits_for_an_answer => {
                if !std::mem::replace(&mut has_successor, true) {
                    liveness.leave();
                    timer.as_mut().reset(tokio::time::Instant::now());
                }
            }
            _ if is_closing => {}
            _ => {
                is_closing = true;
                graceful_shutdown(connection.as_mut());
            }
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            let Err(error) = ended else { return Poll::Ready(ConnectionEnd::Whole) };
            tracing::debug!(%peer, %error, "connection ended");
            if error.is_parse() {
                malformed::count(&error, metrics);
                return Poll::Ready(ConnectionEnd::Malformed);
            }
            return Poll::Ready(ConnectionEnd::Cut);
        }
        liveness.waits();
        if !is_closing && liveness.idle_turn().is_some() {
            leaving = admission.claim();
            if leaving.is_some() {
                metrics.connections.left.inc();
                is_closing = true;
                graceful_shutdown(connection.as_mut());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(ConnectionEnd::Cut);
                }
                timer.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            match liveness.judge(Instant::now()) {
                Ok(_) if leaving.is_some() && liveness.is_quiet() => return Poll::Ready(ConnectionEnd::Cut),
                Ok(again) => timer.as_mut().reset(again.into()),
                // An idle client may be about to send: HTTP/2 is told first.
                Err(CutReason::Idle) if !is_closing => {
                    is_closing = true;
                    graceful_shutdown(connection.as_mut());
                    if connection.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(ConnectionEnd::Cut);
                    }
                    timer.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
                }
                Err(verdict) => {
                    tracing::debug!(%peer, ?verdict, "connection cut");
                    return Poll::Ready(ConnectionEnd::Cut);
                }
            }
        }
        Poll::Pending
    })
    .await
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

/// A socket that notes what happens on it.
struct Noted<S> {
    stream: S,
    /// For HTTP/1.1: on a quiet connection, what comes is a head of that peer's. On HTTP/2 it may as well be a ping or its answer, which
    /// are no reason to wait for a head; one that never ends is a matter of the idle limit there.
    heads: Option<(Rc<MalformedHeads>, SocketAddr)>,
    liveness: Rc<Liveness>,
    /// What goes out in place of hyper's own refusal, and how much of it has gone.
    replacement: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncWrite + Unpin> Noted<S> {
    fn new(stream: S, liveness: &Rc<Liveness>, heads: Option<(Rc<MalformedHeads>, SocketAddr)>) -> TokioIo<Self> {
        TokioIo::new(Self { stream, heads, liveness: Rc::clone(liveness), replacement: None })
    }

    fn note_sent<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.liveness.send_blocked(),
            Poll::Ready(_) => self.liveness.sent(),
        }
        outcome
    }

    /// Writes a replacement out; `piece` then counts as written.
    fn poll_replacement(&mut self, cx: &mut Context<'_>, piece: usize) -> Poll<io::Result<usize>> {
        while let Some((text, sent)) = &mut self.replacement {
            let rest = text.get(*sent..).unwrap_or_default();
            if rest.is_empty() {
                self.replacement = None;
                break;
            }
            *sent += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
        }
        Poll::Ready(Ok(piece))
    }

    /// Whether that piece is to be replaced, now that no request is active.
    fn is_replaced(&mut self, piece: &[u8]) -> bool {
        if let (None, true, Some((heads, peer))) = (&self.replacement, self.liveness.is_quiet(), &self.heads) {
            self.replacement = heads.replacement(piece, *peer).map(|text| (text, 0));
        }
        self.replacement.is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.heads.is_some() && buf.filled().len() > before {
            self.liveness.received();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = if self.is_replaced(buf) {
            self.poll_replacement(cx, buf.len())
        } else {
            Pin::new(&mut self.stream).poll_write(cx, buf)
        };
        self.note_sent(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = match bufs {
            [only] if self.is_replaced(only) => self.poll_replacement(cx, only.len()),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.note_sent(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
