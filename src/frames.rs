//! Messages between two processes of this program, over a socket of both: a length of four bytes, and so many bytes.

use std::io::{self, Read, Write};

/// Writes one message.
///
/// # Errors
/// It cannot be written, or is longer than a length can say.
pub(crate) fn write(mut to: impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| too_long())?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(message)?;
    to.flush()
}

/// Reads one message, and not a byte more.
///
/// # Errors
/// It cannot be read, is longer than `longest`, or the other side has gone (`UnexpectedEof`).
pub(crate) fn read(mut from: impl Read, longest: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| too_long())?;
    if length > longest {
        return Err(too_long());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_were_sent_and_no_longer_than_they_may_be() {
        let mut sent = Vec::new();
        for message in [&b""[..], b"one", &[7; 300]] {
            write(&mut sent, message).unwrap();
        }
        let mut rest = &sent[..];
        for message in [&b""[..], b"one", &[7; 300]] {
            assert_eq!(read(&mut rest, 300).unwrap(), message);
        }
        assert_eq!(read(&mut rest, 300).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&sent[11..], 299).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
