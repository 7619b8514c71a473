//! Refuses pseudo-header fields in the trailers of HTTP/2 requests, which are malformed (RFC 9113, section 8.1).
//!
//! h2 reads trailers as it reads heads, and forgets pseudo-header fields in them; what it does refuse is one that comes
//! behind a regular field. So a regular field, which nobody reads, is put in front of every trailer section on its way
//! to h2: one byte, an entry of HPACK's static table, which leaves the decoder's state as it is (RFC 7541, section 6.1).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes before the first frame (RFC 9113, section 3.4), and of a frame's head (section 4.1).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// Bytes of the largest frame that h2 takes; it refuses a larger one by its head.
const LONGEST_FRAME: usize = 16_384;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// Streams whose end is waited for; more than the gateway allows at once.
const MOST_OPEN: usize = 256;
/// `accept-encoding: gzip, deflate` (RFC 7541, appendix A).
const REGULAR_FIELD: u8 = 0x80 | 16;

/// A client's side of an HTTP/2 connection.
pub(super) struct Http2Stream<S> {
    stream: S,
    frames: Frames,
}

impl<S> Http2Stream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames { left: PREFACE, ..Frames::default() } }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Stream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, frames } = self.get_mut();
        loop {
            if !frames.ready.is_empty() {
                let count = frames.ready.len().min(buf.remaining());
                buf.put_slice(frames.ready.get(..count).unwrap_or_default());
                frames.ready.advance(count);
                return Poll::Ready(Ok(()));
            }
            if frames.held.is_empty() {
                let before = buf.filled().len();
                ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
                let came = buf.filled().get(before..).unwrap_or_default();
                let passing = frames.passing(came);
                if passing < came.len() {
                    frames.hold(came.get(passing..).unwrap_or_default());
                    buf.set_filled(before + passing);
                    if passing == 0 {
                        continue;
                    }
                }
                return Poll::Ready(Ok(()));
            }
            let mut space = [const { MaybeUninit::uninit() }; 2048];
            let mut piece = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
            match piece.filled() {
                // The end, within a frame.
                [] => frames.ready = std::mem::take(&mut frames.held),
                came => frames.hold(came),
            }
        }
    }
}

/// Where frames begin, and which of them are trailers.
#[derive(Default)]
struct Frames {
    /// Bytes of the running frame, or of the preface, that are still to come.
    left: usize,
    /// The client's highest stream so far.
    highest: u32,
    /// Streams that the client has begun and not ended: there, `HEADERS` are trailers.
    open: Vec<u32>,
    /// A frame's beginning, until it may go on.
    held: BytesMut,
    /// What goes on now.
    ready: BytesMut,
}

struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frames {
    /// How many bytes from the front may go on as they are; nothing is held.
    fn passing(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let of_frame = self.left.min(rest.len());
            self.left -= of_frame;
            at += of_frame;
            let Some(head) = frame_head(rest.get(of_frame..).unwrap_or_default()) else { return at };
            if self.is_trailers(&head) {
                return at;
            }
            self.note(&head);
            self.left = head.length;
            at += FRAME_HEAD;
        }
    }

    /// Keeps what follows, and lets go what is known by now.
    fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        loop {
            let passing = {
                let held = std::mem::take(&mut self.held);
                let passing = self.passing(&held);
                self.held = held;
                passing
            };
            let passing = self.held.split_to(passing);
            self.ready.extend_from_slice(&passing);
            let Some(head) = frame_head(&self.held) else { return };
            let length = FRAME_HEAD + head.length;
            if self.held.len() < length {
                return;
            }
            self.note(&head);
            let frame = self.held.split_to(length);
            match begins_at(&frame) {
                Some(at) => {
                    let (before, after) = frame.split_at(at);
                    let grown = u32::try_from(head.length + 1).unwrap_or_default().to_be_bytes();
                    self.ready.extend_from_slice(grown.get(1..).unwrap_or_default());
                    self.ready.extend_from_slice(before.get(3..).unwrap_or_default());
                    self.ready.extend_from_slice(&[REGULAR_FIELD]);
                    self.ready.extend_from_slice(after);
                }
                None => self.ready.extend_from_slice(&frame),
            }
        }
    }

    fn is_trailers(&self, head: &FrameHead) -> bool {
        head.kind == HEADERS && head.length <= LONGEST_FRAME && self.open.contains(&head.stream)
    }

    /// A frame goes by.
    fn note(&mut self, head: &FrameHead) {
        let is_end = match head.kind {
            DATA | HEADERS => head.flags & END_STREAM != 0,
            kind => kind == RST_STREAM,
        };
        if is_end {
            self.open.retain(|stream| *stream != head.stream);
        }
        if head.kind == HEADERS && head.stream > self.highest {
            self.highest = head.stream;
            if !is_end {
                // Of those, some are ended or refused by the gateway already, whatever the client does.
                if self.open.len() >= MOST_OPEN {
                    self.open.remove(0);
                }
                self.open.push(head.stream);
            }
        }
    }
}

/// `None`: it is not whole.
fn frame_head(bytes: &[u8]) -> Option<FrameHead> {
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<FRAME_HEAD>()?;
    Some(FrameHead {
        length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
        kind,
        flags,
        stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
    })
}

/// Where the fields of a `HEADERS` frame begin: behind the padding's length, the priority, and changes of the table's
/// size, which come first (RFC 7541, section 4.2). `None`: it is malformed, and h2 will say so.
fn begins_at(frame: &[u8]) -> Option<usize> {
    let flags = *frame.get(4)?;
    let mut at = FRAME_HEAD;
    let mut end = frame.len();
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*frame.get(at)?))?;
        at += 1;
    }
    if flags & PRIORITY != 0 {
        at += 5;
    }
    while let Some(byte) = frame.get(at..end)?.first().filter(|byte| **byte & 0xe0 == 0x20) {
        at += 1;
        if byte & 0x1f == 0x1f {
            let rest = frame.get(at..end)?;
            at += 1 + rest.iter().position(|byte| byte & 0x80 == 0)?;
        }
    }
    Some(at)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// What h2 reads of what a client writes, in pieces of that size.
    fn read(written: &[u8], size: usize) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(size);
            let writing = async {
                tokio::io::AsyncWriteExt::write_all(&mut client, written).await.unwrap();
                drop(client);
            };
            let mut read = Vec::new();
            let mut stream = Http2Stream::new(server);
            let reading = stream.read_to_end(&mut read);
            tokio::join!(writing, reading).1.unwrap();
            read
        })
    }

    proptest! {
        #[test]
        fn trailers_begin_with_a_regular_field_and_all_else_is_as_it_was(
            size in 1..64_usize,
            data in prop::collection::vec(any::<u8>(), 0..40),
            cut in 0..6_usize,
        ) {
            let preface = [b'p'; PREFACE];
            let head = frame(HEADERS, 0x4, 1, &data);
            let body = frame(0, 0, 1, &data);
            let second = frame(HEADERS, 0x5, 3, &[0x82]);
            // A change of the table's size, then a field; padded, and with a priority.
            let trailers = frame(HEADERS, 0x5 | PADDED | PRIORITY, 1, &[2, 0, 0, 0, 0, 9, 0x3f, 0xe1, 0x1f, 0x84, 0, 0]);
            let grown = frame(HEADERS, 0x5 | PADDED | PRIORITY, 1, &[2, 0, 0, 0, 0, 9, 0x3f, 0xe1, 0x1f, 0x90, 0x84, 0, 0]);
            let tail = &second[..cut];
            let written = [&preface[..], &head, &body, &second, &trailers, &body, tail].concat();
            let expected = [&preface[..], &head, &body, &second, &grown, &body, tail].concat();
            prop_assert_eq!(read(&written, size), expected);
        }

        #[test]
        fn nothing_is_lost_of_what_is_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..64_usize) {
            let read = read(&bytes, size);
            prop_assert!(read.len() >= bytes.len());
        }
    }

    #[test]
    fn a_stream_that_has_ended_has_no_trailers() {
        let again = frame(HEADERS, 0x5, 1, &[0x82]);
        for end in [frame(DATA, END_STREAM, 1, b"x"), frame(RST_STREAM, 0, 1, &[0; 4]), again.clone()] {
            let written = [&[b'p'; PREFACE][..], &frame(HEADERS, 0x4, 1, &[0x82]), &end, &again].concat();
            let read = read(&written, 1024);
            assert!(read.ends_with(&again), "{read:?}");
            assert_eq!(read.len(), written.len() + usize::from(end == again));
        }
    }

    #[test]
    fn padding_beyond_its_frame_stays_as_it_is() {
        let head = [vec![b'p'; PREFACE], frame(HEADERS, 0x4, 1, &[0x82])].concat();
        let written = [head, frame(HEADERS, 0x5 | PADDED, 1, &[5, 0x82, 0, 0, 0])].concat();
        assert_eq!(read(&written, 1024), written);
    }
}
