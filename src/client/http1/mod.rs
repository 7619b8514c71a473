//! HTTP/1.1 to an upstream, driven by the request that uses it.
//!
//! A general client runs each connection in a task of its own and talks to it through channels, with buffers that
//! stay for as long as the connection. Here the connection belongs to the future that sends the request and then to
//! the body that reads the answer: no task, no channel, no standing buffer, and dropping either closes the socket,
//! which is how an upstream call is cancelled. Heads are parsed by `httparse`; framing follows RFC 9112, section 6.

mod decode;
#[cfg(test)]
mod fuzz;
mod head;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderValue;
use http_body::Body as _;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::upstream::outgoing::Outgoing;

pub(super) use decode::{Decoded, Decoder};
pub(crate) use head::RequestHead;
pub(super) use head::ResponseHead;

/// Bytes that one read takes at most.
const READ_AT_ONCE: usize = 16 * 1024;
/// Bytes of a response head.
const LONGEST_HEAD: usize = 64 * 1024;
/// A body up to this size is sent in one write with its head.
const SENT_TOGETHER: usize = 16 * 1024;

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("not an HTTP/1.1 answer: {0}")]
    Malformed(&'static str),
    #[error("the client's body failed")]
    Upload,
}

/// A failed exchange, and whether anything of the request went out.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Http1Error,
    pub(crate) was_sent: bool,
}

/// The transport of a connection.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to an upstream, between two exchanges or in one.
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

    /// Sends a request and reads the head of its answer. A body that is at hand is only looked at, so that the same
    /// request can be sent again if nothing of it went out.
    pub(crate) async fn exchange(
        &mut self,
        head: &mut RequestHead,
        host: &HeaderValue,
        body: &mut Outgoing,
    ) -> Result<ResponseHead, Failure> {
        let mut sending = Sending::new(head, host, body);
        let mut received = Bytes::new();
        let result = poll_fn(|cx| {
            // An end that has come since the last answer; nothing to read costs no system call.
            if self.was_used && !sending.was_sent && self.poll_read(cx).is_ready() {
                return Poll::Ready(Err(Http1Error::Closed));
            }
            // Before more is sent: an upstream may answer early, a 413 for example, and close. What it said is lost
            // once a write has failed.
            if sending.was_sent {
                let early = self.poll_head(&mut received, cx);
                if early.is_ready() || sending.is_over {
                    return early;
                }
            }
            if let Poll::Ready(Err(error)) = sending.poll(&mut self.transport, body, cx) {
                if matches!(error, Http1Error::Upload) || !sending.was_sent {
                    return Poll::Ready(Err(error));
                }
                sending.is_over = true;
            }
            self.poll_head(&mut received, cx)
        })
        .await;
        self.unread = received;
        self.was_used = true;
        match result {
            Ok(mut head) => {
                // An answer that comes before the request was sent whole leaves the connection in an unknown state.
                head.keeps_alive &= sending.is_complete;
                Ok(head)
            }
            Err(error) => Err(Failure { error, was_sent: sending.was_sent }),
        }
    }

    /// Reads on until the final head is whole; what follows it stays in `received`.
    fn poll_head(&mut self, received: &mut Bytes, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Http1Error>> {
        loop {
            let piece = ready!(self.poll_read(cx))?;
            if piece.is_empty() {
                return Poll::Ready(Err(Http1Error::Closed));
            }
            // Nearly every head comes in one piece.
            *received = if received.is_empty() { piece } else { [&**received, &*piece].concat().into() };
            while let Some(head) = ResponseHead::parse(received)? {
                // 103 and the like: only the final answer counts.
                if !head.status.is_informational() {
                    return Poll::Ready(Ok(head));
                }
            }
            if received.len() > LONGEST_HEAD {
                return Poll::Ready(Err(Http1Error::Malformed("the head is too long")));
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
    fn poll_write_some(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Http1Error>> {
        let written = ready!(match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        })?;
        Poll::Ready(if written == 0 { Err(Http1Error::Closed) } else { Ok(written) })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP has nothing to flush.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
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
    /// What comes after it: the rest of a body that is at hand, or a piece of an upload.
    piece: Bytes,
    is_chunked: bool,
    was_sent: bool,
    is_complete: bool,
    is_over: bool,
}

impl<'a> Sending<'a> {
    fn new(head: &'a mut RequestHead, host: &HeaderValue, body: &Outgoing) -> Self {
        let length = body.size_hint().exact();
        let is_chunked = matches!(body, Outgoing::Upload(_)) && length.is_none();
        let (together, piece) = match body {
            Outgoing::Full(bytes) if bytes.len() <= SENT_TOGETHER => (&**bytes, Bytes::new()),
            Outgoing::Full(bytes) => (&[][..], bytes.clone()),
            Outgoing::Empty | Outgoing::Upload(_) => (&[][..], Bytes::new()),
        };
        let head = head.encode(host, length, together);
        Self { head, piece, is_chunked, was_sent: false, is_complete: false, is_over: false }
    }

    fn poll(
        &mut self,
        transport: &mut Transport,
        body: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Http1Error>> {
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
            if let (Outgoing::Upload(_), false) = (&*body, self.is_complete) {
                self.piece = self.next_of_upload(ready!(Pin::new(&mut *body).poll_frame(cx)))?;
            } else {
                self.is_complete = true;
                // What was sent is not sent again; it may hold the client's read buffer.
                *body = Outgoing::Empty;
                ready!(transport.poll_flush(cx))?;
                self.is_over = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn next_of_upload(
        &mut self,
        frame: Option<Result<http_body::Frame<Bytes>, crate::upstream::outgoing::UploadFailed>>,
    ) -> Result<Bytes, Http1Error> {
        let data = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return Err(Http1Error::Upload),
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
