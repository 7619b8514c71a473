//! Chats that are being answered, over all workers.
//!
//! Flowise keeps streams by chat: a second one of the same chat takes over what is left of the first, which then
//! never ends. So a chat has one stream at a time. What the built-in engine answers can be ended from any worker.
//! Bounded by the requests under way.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::later::MaybeLater;

const SHARDS: usize = 16;

/// A chat where it runs: the upstream's name, or the engine's flow, and the upstream's id of the chat.
type ChatKey = (Box<str>, Box<str>);
type ChatShard = HashMap<ChatKey, Vec<ChatEntry>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Chats {
    shards: [Mutex<ChatShard>; SHARDS],
    hasher: RandomState,
    begun: AtomicU64,
}

#[derive(Debug)]
struct ChatEntry {
    number: u64,
    streams: bool,
    abort: CancellationToken,
}

impl Chats {
    /// A stream of that chat. `None`: it has one already.
    pub(crate) fn begin(self: &Arc<Self>, upstream: &str, chat: &str) -> MaybeLater<Option<ChatLease>> {
        self.enter(upstream, chat, true)
    }

    /// Any prediction of that chat. `None`: it is a stream, and the chat has one already.
    pub(crate) fn enter(self: &Arc<Self>, upstream: &str, chat: &str, streams: bool) -> MaybeLater<Option<ChatLease>> {
        MaybeLater::Now(self.enter_here(upstream, chat, streams))
    }

    fn enter_here(self: &Arc<Self>, upstream: &str, chat: &str, streams: bool) -> Option<ChatLease> {
        let place = (upstream.into(), chat.into());
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let abort = CancellationToken::new();
        let mut shard = self.shard(&place)?;
        let entries = shard.entry(place.clone()).or_default();
        if streams && entries.iter().any(|entry| entry.streams) {
            return None;
        }
        entries.push(ChatEntry { number, streams, abort: abort.clone() });
        Some(ChatLease { chats: Arc::clone(self), place, number, abort })
    }

    /// Asks for the end of whatever runs in that chat.
    pub(crate) fn abort(&self, upstream: &str, chat: &str) {
        let place = (upstream.into(), chat.into());
        let Some(shard) = self.shard(&place) else { return };
        // Outside the lock: whoever is woken may end, and let go of its place, at once.
        let tokens: Vec<_> = shard.get(&place).into_iter().flatten().map(|entry| entry.abort.clone()).collect();
        drop(shard);
        tokens.iter().for_each(CancellationToken::cancel);
    }

    fn shard(&self, place: &ChatKey) -> Option<MutexGuard<'_, ChatShard>> {
        let number = self.hasher.hash_one(place) % SHARDS as u64;
        let shard = self.shards.get(usize::try_from(number).ok()?)?;
        // A map is whole between any two of its calls.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One prediction of a chat; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct ChatLease {
    chats: Arc<Chats>,
    place: ChatKey,
    number: u64,
    /// Fires when somebody asks for the end of the chat.
    pub(crate) abort: CancellationToken,
}

impl Drop for ChatLease {
    fn drop(&mut self) {
        let Some(mut shard) = self.chats.shard(&self.place) else { return };
        if let Some(entries) = shard.get_mut(&self.place) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                shard.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_has_one_stream_at_a_time_at_each_upstream() {
        let chats = Arc::new(Chats::default());
        let first = chats.begin("a", "chat").now().unwrap();
        assert!(chats.begin("a", "chat").now().is_none());
        assert!(chats.begin("b", "chat").now().is_some());
        drop(first);
        assert!(chats.begin("a", "chat").now().is_some());
        assert!(chats.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn whatever_runs_in_a_chat_is_ended() {
        let chats = Arc::new(Chats::default());
        let stream = chats.begin("a", "chat").now().unwrap();
        let whole = chats.enter("a", "chat", false).now().unwrap();
        let others = [chats.begin("b", "chat").now().unwrap(), chats.begin("a", "chat2").now().unwrap()];
        chats.abort("a", "chat");
        assert!(stream.abort.is_cancelled() && whole.abort.is_cancelled());
        assert!(others.iter().all(|run| !run.abort.is_cancelled()));
        drop(stream);
        // What comes later is another prediction.
        assert!(!chats.begin("a", "chat").now().unwrap().abort.is_cancelled());
        drop((whole, others));
        assert!(chats.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
