//! Messages of the wire protocol: `OP_MSG` alone, which all servers since 3.6 speak.

use serde_json::{Value, json};

use super::{bson, unreadable};
use crate::engine::contract::failure::Failure;
use crate::engine::provider::ServerStream;

const OP_MSG: u32 = 2013;
/// Of the message's head, and the flags behind it.
const HEAD: usize = 16;
/// A message that is read.
const LONGEST: usize = 48 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct MongoConnection {
    stream: ServerStream,
    requests: u32,
}

impl MongoConnection {
    pub(super) fn new(stream: ServerStream) -> Self {
        Self { stream, requests: 0 }
    }

    pub(super) async fn command(&mut self, database: &str, mut command: Value) -> Result<Value, Failure> {
        let Value::Object(fields) = &mut command else { return Err(unreadable()) };
        fields.insert("$db".to_owned(), json!(database));
        let document = bson::encoded(fields).ok_or_else(|| Failure::flow("The database cannot hold this."))?;
        self.requests += 1;
        let length = u32::try_from(HEAD + 5 + document.len()).map_err(|_| unreadable())?;
        let mut message = Vec::with_capacity(HEAD + 5 + document.len());
        for number in [length, self.requests, 0, OP_MSG, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&document);
        self.stream.write(&message).await?;
        let answer = self.read().await?;
        let is_ok = answer.get("ok").and_then(Value::as_f64) == Some(1.0);
        let problem = answer.get("writeErrors").and_then(|errors| errors.get(0)?.get("errmsg")?.as_str());
        match (is_ok, problem) {
            (true, None) => Ok(answer),
            (true, Some(words)) => Err(Failure::flow(words)),
            (false, _) => Err(Failure::flow(answer.get("errmsg").and_then(Value::as_str).unwrap_or("refused"))),
        }
    }

    async fn read(&mut self) -> Result<Value, Failure> {
        let head = self.stream.read(HEAD).await?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or_else(unreadable)
        };
        let (length, kind) = (number(0)? as usize, number(12)?);
        if kind != OP_MSG || !(HEAD + 5..=LONGEST).contains(&length) {
            return Err(unreadable());
        }
        let body = self.stream.read(length - HEAD).await?;
        // Flags, then one section; a checksum may follow, which TCP and TLS make needless.
        let (flags, rest) = body.split_at_checked(4).ok_or_else(unreadable)?;
        let has_checksum = flags.first().is_some_and(|flags| flags & 1 != 0);
        let Some((0, document)) = rest.split_first() else { return Err(unreadable()) };
        let end = document.len().checked_sub(if has_checksum { 4 } else { 0 }).ok_or_else(unreadable)?;
        document.get(..end).and_then(bson::decoded).ok_or_else(unreadable)
    }
}
