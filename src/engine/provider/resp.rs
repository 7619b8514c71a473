//! Commands to a Redis and their replies (RESP 2), over a connection that is used once.

use std::pin::Pin;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};

use crate::engine::contract::failure::Failure;

/// Of all replies.
const MOST_BYTES: u64 = 16 << 20;
/// Of one list, and of all that lie in each other.
const MOST_ITEMS: usize = 10_000;
const MOST_OF_ALL: usize = 200_000;
/// Lists within lists.
const DEEPEST: usize = 3;

/// What a command gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedisReply {
    Nothing,
    Text(Vec<u8>),
    Number(i64),
    List(Vec<RedisReply>),
}

/// Sends all, and then reads what each gives.
///
/// # Errors
/// The connection breaks off, or one of the commands is refused.
pub(crate) async fn redis_commands(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: &[Vec<Vec<u8>>],
) -> Result<Vec<RedisReply>, Failure> {
    let mut sent = Vec::new();
    for command in commands {
        sent.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for word in command {
            sent.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            sent.extend_from_slice(word);
            sent.extend_from_slice(b"\r\n");
        }
    }
    let broken = |_| Failure::Unreachable("The connection to Redis broke off.".to_owned());
    stream.write_all(&sent).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut reader = ReplyReader { bytes: BufReader::new(stream.take(MOST_BYTES)), items: MOST_OF_ALL };
    let mut replies = Vec::with_capacity(commands.len());
    for _ in commands {
        replies.push(reader.reply().await?);
    }
    Ok(replies)
}

struct ReplyReader<S> {
    bytes: BufReader<tokio::io::Take<S>>,
    /// That may still come in lists: some take more room than they have bytes.
    items: usize,
}

impl<S: AsyncRead + Unpin> ReplyReader<S> {
    async fn reply(&mut self) -> Result<RedisReply, Failure> {
        self.nested(0).await
    }

    fn nested(&mut self, depth: usize) -> Pin<Box<dyn Future<Output = Result<RedisReply, Failure>> + '_>> {
        Box::pin(async move {
            let line = self.line().await?;
            let Some(count) = line.strip_prefix('*') else { return self.single(&line).await };
            let Some(count) = length(count, MOST_ITEMS)? else { return Ok(RedisReply::Nothing) };
            if depth > DEEPEST {
                return Err(unreadable());
            }
            self.items = self.items.checked_sub(count).ok_or_else(unreadable)?;
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(self.nested(depth + 1).await?);
            }
            Ok(RedisReply::List(items))
        })
    }

    async fn single(&mut self, line: &str) -> Result<RedisReply, Failure> {
        let (kind, rest) = line.split_at_checked(1).ok_or_else(unreadable)?;
        match kind {
            "+" => Ok(RedisReply::Text(rest.as_bytes().to_vec())),
            "-" => Err(Failure::Refused(format!("Redis: {rest}"))),
            ":" => rest.parse().map(RedisReply::Number).map_err(|_| unreadable()),
            "$" => {
                let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
                let Some(length) = length(rest, most)? else { return Ok(RedisReply::Nothing) };
                // As much as comes, whatever was promised.
                let mut text = Vec::new();
                let wanted = (length as u64).saturating_add(2);
                (&mut self.bytes).take(wanted).read_to_end(&mut text).await.map_err(|_| unreadable())?;
                if text.len() < length + 2 {
                    return Err(unreadable());
                }
                text.truncate(length);
                Ok(RedisReply::Text(text))
            }
            _ => Err(unreadable()),
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        (&mut self.bytes).take(4096).read_until(b'\n', &mut line).await.map_err(|_| unreadable())?;
        let line = line.strip_suffix(b"\r\n").ok_or_else(unreadable)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

/// `None`: there is nothing.
fn length(text: &str, most: usize) -> Result<Option<usize>, Failure> {
    if text == "-1" {
        return Ok(None);
    }
    text.parse().ok().filter(|length| *length <= most).map(Some).ok_or_else(unreadable)
}

fn unreadable() -> Failure {
    Failure::Unreachable("What Redis answers cannot be read.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(answer: &[u8], commands: &[Vec<Vec<u8>>]) -> (Result<Vec<RedisReply>, Failure>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (here, mut there) = tokio::io::duplex(1 << 20);
            there.write_all(answer).await.unwrap();
            let replies = redis_commands(here, commands).await;
            let mut heard = Vec::new();
            there.read_to_end(&mut heard).await.unwrap();
            (replies, heard)
        })
    }

    fn text(text: &str) -> RedisReply {
        RedisReply::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn commands_are_lists_and_replies_are_read() {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let commands = [words(&["SELECT", "2"]), words(&["LRANGE", "ä", "0"]), words(&["LPUSH"]), words(&["GET"])];
        let (replies, heard) = replied(b"+OK\r\n*3\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n:7\r\n$-1\r\n", &commands);
        let list = RedisReply::List(vec![text("a\r\n"), text(""), RedisReply::Nothing]);
        assert_eq!(replies.unwrap(), [text("OK"), list, RedisReply::Number(7), RedisReply::Nothing]);
        let sent = "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*3\r\n$6\r\nLRANGE\r\n$2\r\nä\r\n$1\r\n0\r\n*1\r\n$5\r\nLPUSH\r\n*1\r\n$3\r\nGET\r\n";
        assert_eq!(String::from_utf8(heard).unwrap(), sent);
    }

    #[test]
    fn lists_may_hold_lists() {
        let (replies, _) = replied(b"*3\r\n:1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n*0\r\n", &[vec![b"FT".to_vec()]]);
        let inner = RedisReply::List(vec![text("b"), RedisReply::List(Vec::new())]);
        assert_eq!(replies.unwrap(), [RedisReply::List(vec![RedisReply::Number(1), text("a"), inner])]);
        assert!(replied(&b"*1\r\n".repeat(9), &[vec![b"FT".to_vec()]]).0.is_err());
        let lists = [b"*30\r\n".to_vec(), [b"*8000\r\n".to_vec(), b":1\r\n".repeat(8000)].concat().repeat(30)].concat();
        assert!(replied(&lists, &[vec![b"FT".to_vec()]]).0.is_err());
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        let command = [vec![b"PING".to_vec()]];
        let failed = |answer: &[u8]| {
            // What is written before the other side has gone is nobody's.
            replied(answer, &command).0.unwrap_err().to_string()
        };
        assert_eq!(failed(b"-WRONGPASS no\r\n"), "Redis: WRONGPASS no");
        for answer in
            [&b"*99999\r\n"[..], b"$99999999999\r\n", b"!x\r\n", b"\r\n", b":x\r\n", b"*-2\r\n", &[b'+'; 5000]]
        {
            assert_eq!(failed(answer), "What Redis answers cannot be read.", "{answer:?}");
        }
    }
}
