//! What a program writes, line by line, each of a bounded length.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const PIECE: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct OutputLines<R> {
    output: R,
    held: BytesMut,
    /// Bytes of `held` without a line's end.
    searched: usize,
    longest: usize,
    /// The rest of a line that was too long is passed over.
    passes_over: bool,
}

impl<R: AsyncRead + Unpin> OutputLines<R> {
    pub(super) fn new(output: R, longest: usize) -> Self {
        Self { output, held: BytesMut::new(), searched: 0, longest, passes_over: false }
    }

    /// The next line without its end, or as much of it as is taken; `None`: there is no more. May be dropped and asked
    /// again.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            while let Some(line) = self.line() {
                if !std::mem::take(&mut self.passes_over) {
                    return Some(line);
                }
            }
            if self.held.len() > self.longest {
                let line = self.held.split().freeze();
                self.searched = 0;
                if !std::mem::replace(&mut self.passes_over, true) {
                    return Some(line);
                }
            }
            self.held.reserve(PIECE);
            match self.output.read_buf(&mut self.held).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn line(&mut self) -> Option<Bytes> {
        let new = self.held.get(self.searched..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', new) else {
            self.searched = self.held.len();
            return None;
        };
        let mut line = self.held.split_to(self.searched + at + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        Some(line.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_their_rest_is_passed_over() {
        let text = format!("short\n{}\nlast\nno end", "x".repeat(100_000));
        let mut lines = OutputLines::new(text.as_bytes(), 1000);
        assert_eq!(lines.next().await.unwrap(), "short");
        let long = lines.next().await.unwrap();
        assert!(long.len() > 1000 && long.len() <= 1000 + 2 * PIECE, "{}", long.len());
        assert_eq!(lines.next().await.unwrap(), "last");
        assert_eq!(lines.next().await, None);
    }
}
