//! Chats that are being answered, over all workers.
//!
//! Flowise keeps streams by chat: a second one of the same chat takes over what is left of the first, which then
//! never ends. So a chat has one stream at a time, on whichever replica ([`shared`]). What the built-in engine answers can
//! be ended from any worker, and from any replica ([`aborts`]). Bounded by the requests under way.

mod aborts;
mod shared;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use self::shared::{HeldChat, SharedChats};
use super::maybe_future::MaybeFuture;
use super::valkey::{SharedStore, StoreTag};

const SHARDS: usize = 16;

/// A chat where it runs: the upstream's name, or the engine's flow, and the upstream's id of the chat.
type ChatKey = (Box<str>, Box<str>);
type ChatShard = HashMap<ChatKey, Vec<ChatEntry>>;

/// What a prediction is to its chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatUse {
    /// A stream, of which a chat has one at a time.
    Stream,
    /// The stream of a chat that begins, whose id nobody else knows yet.
    NewStream,
    /// An answer in one piece.
    Whole,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Chats {
    shards: [Mutex<ChatShard>; SHARDS],
    hasher: RandomState,
    begun: AtomicU64,
    /// Of which the store is told.
    sharing: AtomicUsize,
    /// `None`: this process is alone.
    shared: Option<SharedChats>,
}

#[derive(Debug)]
struct ChatEntry {
    number: u64,
    streams: bool,
    abort: CancellationToken,
    /// What it is called in the store, if that knows of it.
    tag: Option<StoreTag>,
    /// Tells whoever answers it, where that is not done here.
    forward: Option<ForwardAbort>,
}

/// Sends an abort on.
#[derive(Clone)]
struct ForwardAbort(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for ForwardAbort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ForwardAbort")
    }
}

impl Chats {
    /// As they are known by all replicas.
    pub(crate) fn shared_in(store: &Arc<SharedStore>) -> Arc<Self> {
        let chats = Arc::new(Self { shared: Some(SharedChats::new(store)), ..Self::default() });
        aborts::heed(&chats, store);
        shared::begin(&chats);
        chats
    }

    /// A prediction of that chat. `None`: it is a stream, and the chat has one already.
    pub(crate) fn enter(
        self: &Arc<Self>,
        upstream: &str,
        chat: &str,
        usage: ChatUse,
    ) -> MaybeFuture<Option<ChatLease>> {
        let shared = self.shared.as_ref().filter(|_| usage == ChatUse::Stream);
        let tag = shared.map(|_| StoreTag::of(&["chat", upstream, chat]));
        match (self.enter_here(upstream, chat, usage, tag), shared) {
            (Some(lease), Some(shared)) if shared.store.is_up() => MaybeFuture::Later(Box::pin(shared::agreed(lease))),
            (lease, _) => MaybeFuture::Now(lease),
        }
    }

    fn enter_here(
        self: &Arc<Self>,
        upstream: &str,
        chat: &str,
        usage: ChatUse,
        tag: Option<StoreTag>,
    ) -> Option<ChatLease> {
        let place = (upstream.into(), chat.into());
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let abort = CancellationToken::new();
        let streams = usage != ChatUse::Whole;
        let mut shard = self.shard(&place)?;
        let entries = shard.entry(place.clone()).or_default();
        if streams && entries.iter().any(|entry| entry.streams) {
            return None;
        }
        entries.push(ChatEntry { number, streams, abort: abort.clone(), tag, forward: None });
        drop(shard);
        if tag.is_some() {
            self.sharing.fetch_add(1, Ordering::Relaxed);
        }
        Some(ChatLease { chats: Arc::clone(self), place, number, tag, abort })
    }

    /// Asks for the end of whatever runs in that chat, on all replicas.
    pub(crate) fn abort(&self, upstream: &str, chat: &str) {
        self.abort_here(upstream, chat);
        self.abort_elsewhere(upstream, chat);
    }

    /// The same on all other replicas, for a chat whose end was asked for by this one.
    pub(crate) fn abort_elsewhere(&self, upstream: &str, chat: &str) {
        if let Some(shared) = &self.shared {
            aborts::tell(&shared.store, upstream, chat);
        }
    }

    fn abort_here(&self, upstream: &str, chat: &str) {
        let place = (upstream.into(), chat.into());
        let Some(shard) = self.shard(&place) else { return };
        // Outside the lock: whoever is woken may end, and let go of its place, at once.
        let entries = shard.get(&place).into_iter().flatten();
        let found: Vec<_> = entries.map(|entry| (entry.abort.clone(), entry.forward.clone())).collect();
        drop(shard);
        for (abort, forward) in found {
            abort.cancel();
            if let Some(ForwardAbort(forward)) = forward {
                forward();
            }
        }
    }

    /// Whether a prediction goes on.
    fn has(&self, place: &ChatKey, number: u64) -> bool {
        let shard = self.shard(place);
        shard.is_some_and(|shard| shard.get(place).into_iter().flatten().any(|entry| entry.number == number))
    }

    /// Whether there are streams of which the store is told.
    fn shares_any(&self) -> bool {
        self.sharing.load(Ordering::Relaxed) > 0
    }

    /// All of these.
    fn shared_ones(&self) -> Vec<HeldChat> {
        let mut held = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            held.extend(shard.values().flatten().filter_map(|entry| Some((entry.tag?, entry.number))));
        }
        held
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
    tag: Option<StoreTag>,
    /// Fires when somebody asks for the end of the chat.
    pub(crate) abort: CancellationToken,
}

impl ChatLease {
    /// For whoever does not answer it here: `forward` is called when another replica is asked for its end.
    pub(crate) fn forward_aborts(&self, forward: impl FnOnce() -> Arc<dyn Fn() + Send + Sync>) {
        if self.chats.shared.is_some()
            && let Some(mut shard) = self.chats.shard(&self.place)
            && let Some(entry) = shard.get_mut(&self.place).into_iter().flatten().find(|one| one.number == self.number)
        {
            entry.forward = Some(ForwardAbort(forward()));
        }
    }

    /// It is another replica's.
    fn disown(&mut self) {
        if self.tag.take().is_some() {
            self.chats.sharing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for ChatLease {
    fn drop(&mut self) {
        let tag = self.tag;
        if let Some(mut shard) = self.chats.shard(&self.place)
            && let Some(entries) = shard.get_mut(&self.place)
        {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                shard.remove(&self.place);
            }
        }
        // Only now: what the store grants to one that is gone is given back.
        self.disown();
        if let (Some(tag), Some(shared)) = (tag, &self.chats.shared) {
            shared.release((tag, self.number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_has_one_stream_at_a_time_at_each_upstream() {
        let chats = Arc::new(Chats::default());
        let first = chats.enter("a", "chat", ChatUse::Stream).now().unwrap();
        assert!(chats.enter("a", "chat", ChatUse::Stream).now().is_none());
        assert!(chats.enter("b", "chat", ChatUse::NewStream).now().is_some());
        drop(first);
        assert!(chats.enter("a", "chat", ChatUse::Stream).now().is_some());
        assert!(chats.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn whatever_runs_in_a_chat_is_ended() {
        let chats = Arc::new(Chats::default());
        let stream = chats.enter("a", "chat", ChatUse::Stream).now().unwrap();
        let whole = chats.enter("a", "chat", ChatUse::Whole).now().unwrap();
        let others = [
            chats.enter("b", "chat", ChatUse::NewStream).now().unwrap(),
            chats.enter("a", "chat2", ChatUse::Stream).now().unwrap(),
        ];
        chats.abort("a", "chat");
        assert!(stream.abort.is_cancelled() && whole.abort.is_cancelled());
        assert!(others.iter().all(|run| !run.abort.is_cancelled()));
        drop(stream);
        // What comes later is another prediction.
        assert!(!chats.enter("a", "chat", ChatUse::Stream).now().unwrap().abort.is_cancelled());
        drop((whole, others));
        assert!(chats.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
