//! A client's socket that notes what happens on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::liveness::Liveness;
use super::malformed::MalformedHeads;

/// What a client's bytes come over.
pub(super) trait ClientSocket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Something may have been read at the very beginning: a request that came with the end of a handshake.
    const MAY_HAVE_READ: bool;

    /// Ready: bytes have come, or the end. What was read before is read whole.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl ClientSocket for TcpStream {
    const MAY_HAVE_READ: bool = false;

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Whatever is wrong shows where it is read.
        self.poll_read_ready(cx).map(drop)
    }
}

impl ClientSocket for Box<TlsStream<TcpStream>> {
    const MAY_HAVE_READ: bool = true;

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.get_ref().0.poll_readable(cx)
    }
}

/// See the module.
pub(super) struct Noted<S> {
    pub(super) stream: S,
    /// For HTTP/1.1: on a quiet connection, what comes is a head of that peer's. On HTTP/2 it may as well be a ping or its
    /// answer, which are no reason to wait for a head; one that never ends is a matter of the idle limit there.
    heads: Option<(Rc<MalformedHeads>, SocketAddr)>,
    liveness: Rc<Liveness>,
    /// Read before, and not yet used.
    early: Bytes,
    /// What goes out in place of hyper's own refusal, and how much of it has gone.
    replacement: Option<Box<(Vec<u8>, usize)>>,
}

impl<S: AsyncWrite + Unpin> Noted<S> {
    pub(super) fn new(stream: S, liveness: &Rc<Liveness>, heads: Option<(Rc<MalformedHeads>, SocketAddr)>) -> Self {
        Self { stream, heads, liveness: Rc::clone(liveness), early: Bytes::new(), replacement: None }
    }

    /// Bytes that have been read are to be read again, before all that follows.
    pub(super) fn put_back(&mut self, early: Bytes) {
        self.early = early;
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
        while let Some(replacement) = &mut self.replacement {
            let (text, sent) = &mut **replacement;
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
            self.replacement = heads.replacement(piece, *peer).map(|text| Box::new((text, 0)));
        }
        self.replacement.is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buf.remaining());
            buf.put_slice(self.early.get(..count).unwrap_or_default());
            self.early.advance(count);
            if self.early.is_empty() {
                // What it lay in is let go.
                self.early = Bytes::new();
            }
            self.liveness.received();
            return Poll::Ready(Ok(()));
        }
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
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.liveness.flushes(outcome.is_pending());
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.liveness.flushes(outcome.is_pending());
        outcome
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
