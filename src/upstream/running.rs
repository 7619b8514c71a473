//! Chats with a stream under way, over all workers.
//!
//! Flowise keeps streams by chat: a second one of the same chat takes over what is left of the first, which then
//! never ends. Bounded by the requests under way.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A chat where it runs: the upstream's name and Flowise's id of the chat.
type Place = (Box<str>, Box<str>);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Running {
    shards: [Mutex<HashSet<Place>>; SHARDS],
    hasher: RandomState,
}

impl Running {
    /// `None`: the chat has a stream already.
    pub(crate) fn begin(self: &Arc<Self>, upstream: &str, chat: &str) -> Option<Run> {
        let place = (upstream.into(), chat.into());
        let begun = self.shard(&place)?.insert(place.clone());
        begun.then(|| Run { running: Arc::clone(self), place })
    }

    fn shard(&self, place: &Place) -> Option<MutexGuard<'_, HashSet<Place>>> {
        let number = self.hasher.hash_one(place) % SHARDS as u64;
        let shard = self.shards.get(usize::try_from(number).ok()?)?;
        // A set is whole between any two of its calls.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One chat's stream; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    running: Arc<Running>,
    place: Place,
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(mut shard) = self.running.shard(&self.place) {
            shard.remove(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_has_one_stream_at_a_time_at_each_upstream() {
        let running = Arc::new(Running::default());
        let first = running.begin("a", "chat").unwrap();
        assert!(running.begin("a", "chat").is_none());
        assert!(running.begin("b", "chat").is_some());
        drop(first);
        assert!(running.begin("a", "chat").is_some());
        assert!(running.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
