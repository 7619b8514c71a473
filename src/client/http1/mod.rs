//! HTTP/1.1, driven by the request that uses it.
//!
//! A general client runs each connection in a task of its own and talks to it through channels, with buffers that
//! stay for as long as the connection. Here the connection belongs to the future that sends the request and then to
//! the body that reads the answer: no task, no channel, no standing buffer, and dropping either closes the socket,
//! which is how a request is cancelled. Heads are parsed by `httparse`; framing follows RFC 9112, section 6.

mod decode;
#[cfg(test)]
mod fuzz;
mod head;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::error::{Broken, Error};
use super::request::{BodyFailed, Request, RequestBody};

pub(super) use decode::{Decoded, Decoder};
pub(crate) use head::RequestHead;
pub(super) use head::ResponseHead;

/// Bytes that one read takes at most.
const READ_AT_ONCE: usize = 16 * 1024;
/// Bytes of a response head.
const LONGEST_HEAD: usize = 64 * 1024;
/// A body up to this size is sent in one write with its head.
const SENT_TOGETHER: usize = 16 * 1024;

/// The transport of a connection.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, between two exchanges or in one.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    /// Read, but not yet used.
    unread: Bytes,
    was_used: bool,
}

impl Connection {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, unread: Bytes::new(), was_used: false }
    }

    /// Whether an idle connection is still good: nothing to read, neither an end nor a stray byte. One system call;
    /// sees what the reactor has not been told yet.
    pub(crate) fn is_quiet(&self) -> bool {
        let tcp = match &self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        };
        let mut byte = [MaybeUninit::uninit()];
        // The socket is non-blocking.
        self.unread.is_empty()
            && matches!(SockRef::from(tcp).peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads the head of its response. A body that is at hand is only looked at, so that the same
    /// request can be sent again if nothing of it went out. `progress` is set whenever a piece of a body that streams has
    /// come.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Request,
        host: &HeaderValue,
        progress: &Cell<Instant>,
        keeps: fn(&HeaderName) -> bool,
    ) -> Result<ResponseHead, Error> {
        let body = &mut request.body;
        let mut sending = Sending::new(&mut request.head, host, body, progress);
        let mut received = Bytes::new();
        let result = poll_fn(|cx| {
            // An end that has come since the last answer; nothing to read costs no system call.
            if self.was_used && !sending.was_sent && self.poll_read(cx).is_ready() {
                return Poll::Ready(Err(Broken::Closed.into()));
            }
            // Before more is sent: an origin may answer early, a 413 for example, and close. What it said is lost once
            // a write has failed.
            if sending.was_sent {
                let early = self.poll_head(&mut received, keeps, cx);
                if early.is_ready() || sending.is_over {
                    return early.map_err(ExchangeFailure::Broken);
                }
            }
            if let Poll::Ready(Err(error)) = sending.poll(&mut self.transport, body, cx) {
                if matches!(error, ExchangeFailure::Body) || !sending.was_sent {
                    return Poll::Ready(Err(error));
                }
                sending.is_over = true;
            }
            self.poll_head(&mut received, keeps, cx).map_err(ExchangeFailure::Broken)
        })
        .await;
        self.unread = received;
        self.was_used = true;
        match result {
            Ok(mut head) => {
                // A response that comes before the request was sent whole leaves the connection in an unknown state.
                head.keeps_alive &= sending.is_complete;
                Ok(head)
            }
            Err(ExchangeFailure::Broken(cause)) => Err(Error::Broken { was_sent: sending.was_sent, cause }),
            Err(ExchangeFailure::Body) => Err(Error::Body),
        }
    }

    /// Reads on until the final head is whole; what follows it stays in `received`.
    fn poll_head(
        &mut self,
        received: &mut Bytes,
        keeps: fn(&HeaderName) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, Broken>> {
        loop {
            let piece = ready!(self.poll_read(cx))?;
            if piece.is_empty() {
                return Poll::Ready(Err(Broken::Closed));
            }
            // Nearly every head comes in one piece.
            *received = if received.is_empty() { piece } else { [&**received, &*piece].concat().into() };
            while let Some(head) = ResponseHead::parse(received, keeps)? {
                // 103 and the like: only the final answer counts.
                if !head.status.is_informational() {
                    return Poll::Ready(Ok(head));
                }
            }
            if received.len() > LONGEST_HEAD {
                return Poll::Ready(Err(Broken::Malformed("the head is too long")));
            }
        }
    }

    /// What was read beyond the end of something.
    pub(super) fn put_back(&mut self, unread: Bytes) {
        self.unread = unread;
    }

    /// The next bytes; empty at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if !self.unread.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut self.unread)));
        }
        // On the stack: a connection that waits holds no buffer.
        let mut space = [const { MaybeUninit::uninit() }; READ_AT_ONCE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(match &mut self.transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_read(cx, &mut buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    }
}

impl Transport {
    /// Writes at least one of these bytes.
    fn poll_write_some(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Broken>> {
        let written = ready!(match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        })?;
        Poll::Ready(if written == 0 { Err(Broken::Closed) } else { Ok(written) })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP has nothing to flush.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }
}

/// Which end came to an end.
enum ExchangeFailure {
    Broken(Broken),
    Body,
}

impl From<Broken> for ExchangeFailure {
    fn from(error: Broken) -> Self {
        Self::Broken(error)
    }
}

impl From<io::Error> for ExchangeFailure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// A request on its way out.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts; a state machine of them would have more states than fields"
)]
struct Sending<'a> {
    /// The head, with a short body.
    head: &'a [u8],
    /// What comes after it: the rest of a body that is at hand, or a piece of one that streams.
    piece: Bytes,
    /// When that came.
    progress: &'a Cell<Instant>,
    is_chunked: bool,
    was_sent: bool,
    is_complete: bool,
    is_over: bool,
}

impl<'a> Sending<'a> {
    fn new(head: &'a mut RequestHead, host: &HeaderValue, body: &RequestBody, progress: &'a Cell<Instant>) -> Self {
        let length = body.length();
        let is_chunked = length.is_none();
        let (together, piece) = match body {
            RequestBody::Full(bytes) if bytes.len() <= SENT_TOGETHER => (&**bytes, Bytes::new()),
            RequestBody::Full(bytes) => (&[][..], bytes.clone()),
            RequestBody::Empty | RequestBody::Stream(_) => (&[][..], Bytes::new()),
        };
        let head = head.encode(host, length, together);
        Self { head, piece, progress, is_chunked, was_sent: false, is_complete: false, is_over: false }
    }

    fn poll(
        &mut self,
        transport: &mut Transport,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ExchangeFailure>> {
        while !self.is_over {
            while !self.head.is_empty() {
                let written = ready!(transport.poll_write_some(cx, self.head))?;
                self.was_sent = true;
                self.head = self.head.get(written..).unwrap_or_default();
            }
            while !self.piece.is_empty() {
                let written = ready!(transport.poll_write_some(cx, &self.piece))?;
                self.was_sent = true;
                self.piece.advance(written.min(self.piece.len()));
            }
            if let (RequestBody::Stream(stream), false) = (&mut *body, self.is_complete) {
                let frame = ready!(stream.as_mut().poll_frame(cx));
                self.piece = self.next_piece(frame)?;
            } else {
                self.is_complete = true;
                // What was sent is not sent again; it may hold somebody's read buffer.
                *body = RequestBody::Empty;
                ready!(transport.poll_flush(cx))?;
                self.is_over = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn next_piece(&mut self, frame: Option<Result<Frame<Bytes>, BodyFailed>>) -> Result<Bytes, ExchangeFailure> {
        let data = match frame {
            Some(Ok(frame)) => {
                self.progress.set(Instant::now());
                frame.into_data().unwrap_or_default()
            }
            Some(Err(BodyFailed)) => return Err(ExchangeFailure::Body),
            None => {
                self.is_complete = true;
                return Ok(if self.is_chunked { Bytes::from_static(b"0\r\n\r\n") } else { Bytes::new() });
            }
        };
        if !self.is_chunked || data.is_empty() {
            return Ok(data);
        }
        Ok([format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat().into())
    }
}
