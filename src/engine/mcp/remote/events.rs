//! Event streams as servers write them.

use bytes::{Bytes, BytesMut};

use crate::engine::contract::failure::Failure;
use crate::engine::provider::{Lines, data_of};

/// Of one event; its lines are bounded by themselves.
const LONGEST: usize = 8 * 1024 * 1024;

/// One event with data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerEvent {
    /// Empty: `message`.
    pub(super) name: String,
    pub(super) data: Bytes,
}

/// Reads event after event.
#[derive(Debug)]
pub(super) struct ServerEvents {
    lines: Lines,
}

impl ServerEvents {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// `None`: the stream is over.
    ///
    /// # Errors
    /// It breaks off or has no end.
    pub(super) async fn next(&mut self) -> Result<Option<ServerEvent>, Failure> {
        let mut name = String::new();
        let mut data = BytesMut::new();
        let mut has_data = false;
        while let Some(line) = self.lines.next().await? {
            if line.is_empty() {
                if has_data {
                    return Ok(Some(ServerEvent { name, data: data.freeze() }));
                }
                name.clear();
            } else if line.starts_with(b"data:") {
                if has_data {
                    data.extend_from_slice(b"\n");
                }
                has_data = true;
                data.extend_from_slice(&data_of(line));
                if data.len() > LONGEST {
                    return Err(Failure::Unreachable("The server's answer is too long.".to_owned()));
                }
            } else if let Some(given) = line.strip_prefix(b"event:") {
                String::from_utf8_lossy(given).trim().clone_into(&mut name);
            }
        }
        Ok(None)
    }
}
