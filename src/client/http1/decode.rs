//! Where a body ends (RFC 9112, sections 6.3 and 7.1), fed with whatever pieces come.

use bytes::Bytes;

use crate::client::error::Broken;

/// Bytes of a chunk's size line with its extensions, or of all trailers.
const LONGEST_LINE: usize = 8 * 1024;

/// Reads one body.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: DecodeState,
    /// Half of a line's end has come.
    after_return: bool,
}

#[derive(Debug)]
enum DecodeState {
    Length(u64),
    UntilClose,
    /// Digits of a size so far, the bytes of its line, and what of it is read.
    Size {
        size: u64,
        digits: u32,
        line: usize,
        part: SizePart,
    },
    Chunk(u64),
    /// The line end after a chunk's data.
    ChunkEnd,
    /// Bytes of the current trailer line, and of all.
    Trailers {
        line: usize,
        all: usize,
    },
    Done,
}

/// A part of a size's line.
#[derive(Debug, Clone, Copy)]
enum SizePart {
    Digits,
    /// Blanks, behind which an extension may follow and nothing else.
    Blanks,
    Extension,
}

/// What came out of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum Decoded {
    Data(Bytes),
    /// The piece is used up.
    More,
    /// The body has ended; what is left of the piece belongs to no one.
    End,
}

const NEW_CHUNK: DecodeState = DecodeState::Size { size: 0, digits: 0, line: 0, part: SizePart::Digits };

impl Decoder {
    fn at(state: DecodeState) -> Self {
        Self { state, after_return: false }
    }

    pub(in crate::client) fn length(length: u64) -> Self {
        Self::at(if length == 0 { DecodeState::Done } else { DecodeState::Length(length) })
    }

    pub(in crate::client) fn chunked() -> Self {
        Self::at(NEW_CHUNK)
    }

    pub(in crate::client) fn until_close() -> Self {
        Self::at(DecodeState::UntilClose)
    }

    /// Whether the body tells its own end.
    pub(in crate::client) fn has_an_end(&self) -> bool {
        !matches!(self.state, DecodeState::UntilClose)
    }

    pub(in crate::client) fn is_done(&self) -> bool {
        matches!(self.state, DecodeState::Done)
    }

    /// Whether something stands between the last chunk and the end.
    #[cfg(test)]
    pub(super) fn is_in_trailers(&self) -> bool {
        matches!(self.state, DecodeState::Trailers { line: 1.., .. })
    }

    /// Bytes still to come, if known.
    pub(in crate::client) fn left(&self) -> Option<u64> {
        match self.state {
            DecodeState::Length(left) => Some(left),
            DecodeState::Done => Some(0),
            _ => None,
        }
    }

    /// The connection has ended.
    pub(in crate::client) fn closed(&mut self) -> Result<(), Broken> {
        match self.state {
            DecodeState::UntilClose | DecodeState::Done => {
                self.state = DecodeState::Done;
                Ok(())
            }
            _ => Err(Broken::Closed),
        }
    }

    /// Takes from the front of `piece`. One chunk's data is never joined with another's.
    pub(in crate::client) fn decode(&mut self, piece: &mut Bytes) -> Result<Decoded, Broken> {
        loop {
            match &mut self.state {
                DecodeState::Done => return Ok(Decoded::End),
                _ if piece.is_empty() => return Ok(Decoded::More),
                DecodeState::UntilClose => return Ok(Decoded::Data(std::mem::take(piece))),
                DecodeState::Length(left) => {
                    let data = take(piece, left);
                    if *left == 0 {
                        self.state = DecodeState::Done;
                    }
                    return Ok(Decoded::Data(data));
                }
                DecodeState::Chunk(left) => {
                    let data = take(piece, left);
                    if *left == 0 {
                        self.state = DecodeState::ChunkEnd;
                    }
                    return Ok(Decoded::Data(data));
                }
                DecodeState::Size { .. } | DecodeState::ChunkEnd | DecodeState::Trailers { .. } => {
                    self.frame(first(piece))?;
                }
            }
        }
    }

    /// One byte of the framing around chunks. Lines end with CRLF, and neither half of it stands alone (RFC 9112,
    /// sections 2.2 and 7.1): another program might end a line elsewhere, and read another body.
    fn frame(&mut self, byte: u8) -> Result<(), Broken> {
        let malformed = Err(Broken::Malformed("a chunk"));
        if std::mem::replace(&mut self.after_return, byte == b'\r') != (byte == b'\n') {
            return malformed;
        }
        match &mut self.state {
            DecodeState::Size { size, digits, line, part } => {
                *line += 1;
                let digit = char::from(byte).to_digit(16);
                match (byte, *part) {
                    _ if *digits == 0 && digit.is_none() => return malformed,
                    (b'\n', _) => {
                        self.state = match *size {
                            0 => DecodeState::Trailers { line: 0, all: 0 },
                            size => DecodeState::Chunk(size),
                        };
                    }
                    (b'\r', _) => {}
                    (_, SizePart::Extension) if *line < LONGEST_LINE => {}
                    (b';', SizePart::Digits | SizePart::Blanks) => *part = SizePart::Extension,
                    (b' ' | b'\t', SizePart::Digits | SizePart::Blanks) if *line < LONGEST_LINE => {
                        *part = SizePart::Blanks;
                    }
                    (_, SizePart::Digits) if *digits < 16 => {
                        let Some(digit) = digit else { return malformed };
                        *size = *size << 4 | u64::from(digit);
                        *digits += 1;
                    }
                    _ => return malformed,
                }
            }
            DecodeState::ChunkEnd => match byte {
                b'\r' => {}
                b'\n' => self.state = NEW_CHUNK,
                _ => return malformed,
            },
            DecodeState::Trailers { line, all } => {
                *all += 1;
                match byte {
                    b'\n' if *line == 0 => self.state = DecodeState::Done,
                    b'\n' => *line = 0,
                    b'\r' => {}
                    _ if *all > LONGEST_LINE => return malformed,
                    _ => *line += 1,
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Up to `left` bytes from the front.
fn take(piece: &mut Bytes, left: &mut u64) -> Bytes {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
    *left -= count as u64;
    piece.split_to(count)
}

fn first(piece: &mut Bytes) -> u8 {
    piece.split_to(1).first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<(Vec<Vec<u8>>, bool), Broken> {
        let mut data = Vec::new();
        for piece in pieces {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match decoder.decode(&mut piece)? {
                    Decoded::Data(bytes) => data.push(bytes.to_vec()),
                    Decoded::More => break,
                    Decoded::End => return Ok((data, true)),
                }
            }
        }
        Ok((data, decoder.is_done()))
    }

    #[test]
    fn chunks_stay_apart() {
        let text = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n";
        let (data, is_done) = decode(&mut Decoder::chunked(), &[text]).unwrap();
        assert_eq!(data, [b"abc".to_vec(), b"de".to_vec()]);
        assert!(is_done);
    }

    #[test]
    fn broken_framing_is_an_error() {
        for text in [
            "x\r\n",
            "\r\n",
            "3\r\nabcd\r\n",
            "fffffffffffffffff\r\n",
            "-1\r\n",
            "3 4\r\n5",
            "3\nabc\n",
            "3\rx\r\n",
            "3;a\rb\r\n",
            "3\r\nabc\r\r\n",
            "0\r\na: 1\rb\r\n\r\n",
        ] {
            let mut decoder = Decoder::chunked();
            let outcome = decode(&mut decoder, &[text.as_bytes()]);
            assert!(outcome.is_err() || !outcome.unwrap().1, "{text:?}");
        }
        let mut cut = Decoder::length(3);
        decode(&mut cut, &[b"ab"]).unwrap();
        assert!(cut.closed().is_err());
        assert!(Decoder::until_close().closed().is_ok());
    }

    proptest! {
        #[test]
        fn splits_change_nothing(bodies in prop::collection::vec("[a-z]{1,40}", 0..6), cut in 1..7_usize) {
            let chunks: Vec<String> = bodies.iter().map(|body| format!("{:X}\r\n{body}\r\n", body.len())).collect();
            let text = chunks.concat() + "0\r\n\r\n";
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            let (data, is_done) = decode(&mut Decoder::chunked(), &pieces).unwrap();
            prop_assert!(is_done);
            prop_assert_eq!(data.concat(), bodies.concat().into_bytes());
        }
    }
}
