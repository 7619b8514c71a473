//! An event stream on its way out over HTTP/1.1, in chunks (RFC 9112, section 7.1), without a buffer that stays.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, DATE, HeaderValue};
use http::response;
use http_body::Body as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::drive::ConnectionFault;
use super::exchange::{Exchanged, LiftedAnswer};
use super::noted::{ClientSocket, Noted};

/// Bytes that are written at once, as far as there are so many.
const WRITTEN_AT_ONCE: usize = 16 * 1024;
/// Pieces that are written before others have their turn.
const WRITES_AT_ONCE: usize = 16;
/// Bytes that are read ahead of the next request; more waits in the socket.
const READ_AHEAD: usize = 1024;

/// See the module.
pub(super) struct Outflow<IO> {
    socket: Noted<IO>,
    /// `None`: all of it is written, or waits to be.
    body: Option<Exchanged>,
    unsent: BytesMut,
    /// What has come of the next requests.
    early: BytesMut,
    keeps_alive: bool,
}

impl<IO: ClientSocket> Outflow<IO> {
    pub(super) fn new(socket: Noted<IO>, early: &[u8], answer: LiftedAnswer) -> Self {
        let LiftedAnswer { response, mut keeps_alive } = answer;
        let (head, body) = response.into_parts();
        keeps_alive &= !head.headers.contains_key(CONNECTION);
        let unsent = encode(&head, keeps_alive);
        // Copied: what hyper has read lies in a large buffer.
        Self { socket, body: Some(body), unsent, early: BytesMut::from(early), keeps_alive }
    }

    /// The socket, what was read ahead, and whether another request may follow.
    pub(super) fn into_parts(self) -> (Noted<IO>, Bytes, bool) {
        (self.socket, self.early.freeze(), self.keeps_alive)
    }

    /// Ready: the stream is written to its end.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionFault>> {
        if self.body.is_some() {
            self.watch_client(cx)?;
        }
        for _ in 0..WRITES_AT_ONCE {
            let gathered = self.gather(cx)?;
            if self.unsent.is_empty() {
                ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
                ready!(gathered);
                return Poll::Ready(Ok(()));
            }
            while !self.unsent.is_empty() {
                let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.unsent))?;
                if written == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                }
                let _ = self.unsent.split_to(written.min(self.unsent.len()));
            }
            // Most streams are silent most of the time.
            self.unsent = BytesMut::new();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what there is to say; ready where nothing follows it.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionFault>> {
        while let Some(body) = &mut self.body {
            if self.unsent.len() >= WRITTEN_AT_ONCE {
                return Poll::Pending;
            }
            let is_over = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                // A client that sees no end knows that something is missing.
                Some(Err(_)) => return Poll::Ready(Err(ConnectionFault::Answer)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        put_chunk(&mut self.unsent, &data);
                    }
                    body.is_end_stream()
                }
                None => true,
            };
            if is_over {
                self.body = None;
                self.unsent.extend_from_slice(b"0\r\n\r\n");
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the client is still there; what it says meanwhile is kept.
    fn watch_client(&mut self, cx: &mut Context<'_>) -> Result<(), ConnectionFault> {
        while self.early.is_empty() {
            let mut space = [const { MaybeUninit::uninit() }; READ_AHEAD];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Poll::Ready(Ok(())) => self.early.extend_from_slice(buffer.filled()),
            }
        }
        Ok(())
    }
}

fn put_chunk(out: &mut BytesMut, data: &[u8]) {
    // The last chunk is the empty one.
    if data.is_empty() {
        return;
    }
    let mut digits = [0; 16];
    let mut left = data.len();
    let mut at = digits.len();
    while left > 0 {
        at -= 1;
        if let (Some(place), Some(digit)) = (digits.get_mut(at), b"0123456789abcdef".get(left & 0xf)) {
            *place = *digit;
        }
        left >>= 4;
    }
    let length = digits.get(at..).unwrap_or_default();
    out.reserve(length.len() + data.len() + 4);
    out.extend_from_slice(length);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

fn encode(head: &response::Parts, keeps_alive: bool) -> BytesMut {
    let mut out = BytesMut::with_capacity(1024);
    let status = head.status;
    for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or("Unknown"), "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let mut field = |name: &[u8], value: &HeaderValue| {
        for part in [name, b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    for (name, value) in &head.headers {
        field(name.as_str().as_bytes(), value);
    }
    field(b"transfer-encoding", &HeaderValue::from_static("chunked"));
    if !keeps_alive && !head.headers.contains_key(CONNECTION) {
        field(b"connection", &HeaderValue::from_static("close"));
    }
    if !head.headers.contains_key(DATE)
        && let Ok(now) = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now())
        && let Ok(now) = HeaderValue::from_str(&now)
    {
        field(b"date", &now);
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_say_how_long_they_are() {
        for length in [1, 9, 10, 15, 16, 255, 256, 4096, 70_000] {
            let mut out = BytesMut::new();
            put_chunk(&mut out, &vec![b'x'; length]);
            assert_eq!(out, format!("{length:x}\r\n{}\r\n", "x".repeat(length)).as_bytes());
        }
        let mut out = BytesMut::new();
        put_chunk(&mut out, b"");
        assert!(out.is_empty(), "it would be the last");
    }

    #[test]
    fn a_head_says_what_follows_and_whether_it_is_the_last() {
        let (mut head, ()) = http::Response::builder().header("x-one", "1").body(()).unwrap().into_parts();
        let text = |head: &response::Parts, keeps_alive| String::from_utf8(encode(head, keeps_alive).to_vec()).unwrap();
        let open = text(&head, true);
        assert!(open.starts_with("HTTP/1.1 200 OK\r\nx-one: 1\r\ntransfer-encoding: chunked\r\ndate: "), "{open}");
        assert!(open.ends_with(" GMT\r\n\r\n") && !open.contains("connection"), "{open}");
        assert!(text(&head, false).contains("\r\nconnection: close\r\n"));
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        assert_eq!(text(&head, false).matches("connection: close").count(), 1);
    }
}
