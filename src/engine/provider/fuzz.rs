//! What servers of another protocol than HTTP say, whatever it is and wherever it is cut.

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::frames::taken;
use super::lines::LineBuffer;
use super::resp::redis_commands;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_redis() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let words =
        ["*1\r\n", "*-1\r\n", "*9999\r\n", "$3\r\n", "$-1\r\n", "$16777216\r\n", ":1\r\n", "+OK\r\n", "-ERR x\r\n"];
    fuzz("redis", &words, |input| {
        let read = runtime.block_on(async {
            let (here, mut there) = tokio::io::duplex(1 << 17);
            there.write_all(input).await.unwrap();
            there.shutdown().await.unwrap();
            redis_commands(here, &vec![Vec::new(); 3]).await
        });
        assert!(read.is_err() || read.is_ok_and(|replies| replies.len() == 3));
    });
}

#[test]
fn fuzz_frames() {
    let words = ["\0\0\0\u{10}", ":event-type\u{7}\0\u{1}x", ":message-type", "\u{7f}\u{7f}\u{7f}\u{7f}"];
    fuzz("frames", &words, |input| {
        let whole = read_frames(&[input]);
        let half = input.len() / 2;
        assert_eq!(read_frames(&[&input[..half], &input[half..]]), whole);
    });
}

/// What is read of pieces: so many frames, and whether it went well.
fn read_frames(pieces: &[&[u8]]) -> (Vec<(String, usize)>, bool) {
    let (mut held, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            match taken(&mut held) {
                Ok(Some(frame)) => frames.push((frame.event, frame.payload.len())),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}

#[test]
fn fuzz_lines() {
    fuzz("events", &["data: ", "\r\n", "\n\n", "event:"], |input| {
        let lines = |pieces: &[&[u8]]| {
            let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
            for piece in pieces {
                buffer.push(Bytes::copy_from_slice(piece)).unwrap();
                lines.extend(std::iter::from_fn(|| buffer.line()));
            }
            lines.extend(buffer.rest());
            lines
        };
        let half = input.len() / 2;
        assert_eq!(lines(&[&input[..half], &input[half..]]), lines(&[input]));
    });
}
