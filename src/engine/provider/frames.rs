//! Messages of AWS's event streams, wherever the network cuts them.

use bytes::{Buf as _, Bytes, BytesMut};

use super::Incoming;
use super::incoming::too_long;
use crate::engine::contract::failure::Failure;

/// One message.
const LONGEST_FRAME: usize = 4 * 1024 * 1024;
/// A whole stream.
const LONGEST_STREAM: usize = 64 * 1024 * 1024;
/// Two lengths and their checksum; the message's own stands at its end.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventFrame {
    /// What it tells of, such as `contentBlockDelta`; of a failure its kind.
    pub(crate) event: String,
    pub(crate) is_failure: bool,
    pub(crate) payload: Bytes,
}

/// See [`Incoming::frames`].
#[derive(Debug)]
pub(crate) struct EventFrames {
    incoming: Incoming,
    held: BytesMut,
    /// Bytes that may still come.
    room: usize,
}

impl EventFrames {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self { incoming, held: BytesMut::new(), room: LONGEST_STREAM }
    }

    /// The next message; `None` behind the last.
    ///
    /// # Errors
    /// The provider breaks off, or what it sends is no such stream.
    pub(crate) async fn next(&mut self) -> Result<Option<EventFrame>, Failure> {
        loop {
            if let Some(frame) = taken(&mut self.held)? {
                return Ok(Some(frame));
            }
            match self.incoming.piece().await? {
                Some(piece) => {
                    self.room = self.room.checked_sub(piece.len()).ok_or_else(too_long)?;
                    self.held.extend_from_slice(&piece);
                }
                None if self.held.is_empty() => return Ok(None),
                None => return Err(unreadable()),
            }
        }
    }
}

fn unreadable() -> Failure {
    Failure::Unreachable("The provider's stream cannot be read.".to_owned())
}

/// The first message, if all of it is there. Checksums are passed over: TLS has looked at the bytes.
pub(super) fn taken(held: &mut BytesMut) -> Result<Option<EventFrame>, Failure> {
    let Some((mut prelude, _)) = held.split_at_checked(PRELUDE) else { return Ok(None) };
    let (whole, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
    if whole > LONGEST_FRAME || headers.saturating_add(PRELUDE + CHECKSUM) > whole {
        return Err(unreadable());
    }
    if held.len() < whole {
        return Ok(None);
    }
    let mut frame = held.split_to(whole).freeze();
    frame.advance(PRELUDE);
    frame.truncate(frame.len() - CHECKSUM);
    let mut described = frame.split_to(headers);
    let (mut event, mut failure, mut is_failure) = (String::new(), None, false);
    while let Some((name, value)) = header(&mut described)? {
        match &*name {
            b":event-type" => event = text(&value),
            b":exception-type" | b":error-code" => failure = Some(text(&value)),
            b":message-type" => is_failure = &*value != b"event",
            _ => {}
        }
    }
    Ok(Some(EventFrame { event: failure.unwrap_or(event), is_failure, payload: frame }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A header's name and the bytes of its value, taken off.
fn header(described: &mut Bytes) -> Result<Option<(Bytes, Bytes)>, Failure> {
    if described.is_empty() {
        return Ok(None);
    }
    let mut take = |count: usize| {
        if described.len() < count { Err(unreadable()) } else { Ok(described.split_to(count)) }
    };
    let length = usize::from(take(1)?.get_u8());
    let name = take(length)?;
    let length = match take(1)?.get_u8() {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        6 | 7 => usize::from(take(2)?.get_u16()),
        9 => 16,
        _ => return Err(unreadable()),
    };
    Ok(Some((name, take(length)?)))
}

/// A message as AWS writes it, without sums.
#[cfg(test)]
fn frame_of(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut described = Vec::new();
    for (name, value) in headers {
        described.push(u8::try_from(name.len()).unwrap());
        described.extend_from_slice(name.as_bytes());
        described.push(7);
        described.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        described.extend_from_slice(value.as_bytes());
    }
    let whole = PRELUDE + described.len() + payload.len() + CHECKSUM;
    let mut frame = Vec::new();
    for length in [whole, described.len(), 0] {
        frame.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    }
    [frame, described, payload.as_bytes().to_vec(), vec![0; CHECKSUM]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_wherever_they_are_cut() {
        let first =
            frame_of(&[(":event-type", "messageStart"), (":message-type", "event")], "{\"role\":\"assistant\"}");
        let second = frame_of(
            &[(":message-type", "exception"), (":exception-type", "throttlingException")],
            "{\"message\":\"x\"}",
        );
        let bytes = [first, second].concat();
        for cut in 0..bytes.len() {
            let (mut held, mut frames) = (BytesMut::new(), Vec::new());
            let (one, other) = bytes.split_at(cut);
            for piece in [one, other] {
                held.extend_from_slice(piece);
                frames.extend(std::iter::from_fn(|| taken(&mut held).unwrap()));
            }
            assert!(held.is_empty());
            assert_eq!(frames[0].event, "messageStart");
            assert_eq!((&*frames[0].payload, frames[0].is_failure), (&b"{\"role\":\"assistant\"}"[..], false));
            assert_eq!((frames[1].event.as_str(), frames[1].is_failure), ("throttlingException", true));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let good = frame_of(&[(":event-type", "x")], "{}");
        for place in [0, 4, PRELUDE + 12] {
            let mut bad = BytesMut::from(&good[..]);
            bad[place] = 0xff;
            assert!(taken(&mut bad).is_err(), "{place}");
        }
    }
}
