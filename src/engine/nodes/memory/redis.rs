//! A memory in a Redis, as Flowise keeps it: a list for each session, with the newest turn in front.

use super::kept;
use super::stored::{MOST_READ, exchange, message};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::nodes::redis::{Redis, command};
use crate::engine::provider::RedisReply;
use crate::wire::json;

/// The node `RedisBackedChatMemory`.
pub(super) struct RedisBackedChatMemory;

impl NodeKind for RedisBackedChatMemory {
    fn names(&self) -> &'static [&'static str] {
        &["RedisBackedChatMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        let seconds = inputs.integer("sessionTTL").filter(|seconds| *seconds > 0);
        let window = inputs.integer("windowSize").filter(|turns| *turns > 0);
        let window = window.and_then(|turns| usize::try_from(turns).ok()).unwrap_or(MOST_READ).min(MOST_READ);
        let redis = Redis::read(inputs)?;
        Some(kept::kept_by(inputs, RedisMemory { redis, seconds, window }))
    }
}

#[derive(Debug)]
struct RedisMemory {
    redis: Redis,
    /// Until a session is forgotten that nobody uses.
    seconds: Option<u64>,
    /// Turns that are told.
    window: usize,
}

impl HistoryStrategy for RedisMemory {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let last = self.window.saturating_sub(1).to_string();
            let listed = self.redis.asked(vec![command(&["LRANGE", &run.request.session_id, "0", &last])], run).await?;
            let RedisReply::List(listed) = listed else { return Err(Failure::flow("Redis answers with no list")) };
            let mut turns = messages_of(run, &[]);
            let own = listed.iter().rev().filter_map(|stored| match stored {
                RedisReply::Text(text) => message(&json::read(text).ok()?),
                _ => None,
            });
            turns.extend(own);
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let session = run.request.session_id.as_str();
            let mut commands = Vec::new();
            for turn in exchange(question, answer) {
                commands.push(command(&["LPUSH", session, &turn.to_string()]));
                if let Some(seconds) = self.seconds {
                    commands.push(command(&["EXPIRE", session, &seconds.to_string()]));
                }
            }
            self.redis.asked(commands, run).await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests;
