//! Where chats were answered last, so that they go on there.
//!
//! A table of fixed size, of which a request reads one word and seldom writes it. A chat that finds its place taken by
//! another one pushes it out; who is not in the table goes where the hash of its id says. Most upstreams have one server, and
//! then no table.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Chats that are remembered at most, each with 8 bytes.
const PLACES: usize = 1 << 15;
/// Bits of a word that name the peer; the others are the chat's.
const PEER_BITS: u32 = 16;

/// See the module.
#[derive(Default)]
pub(crate) struct StickTable {
    /// 0: free. Made for the first chat that is remembered.
    words: OnceLock<Box<[AtomicU64]>>,
}

impl std::fmt::Debug for StickTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StickTable")
    }
}

impl StickTable {
    /// Whether that chat was last sent to that peer.
    pub(crate) fn is_at(&self, chat: u64, peer: u64) -> bool {
        self.words
            .get()
            .and_then(|words| place(words, chat))
            .is_some_and(|place| place.load(Ordering::Relaxed) == word(chat, peer))
    }

    pub(crate) fn remember(&self, chat: u64, peer: u64) {
        let word = word(chat, peer);
        let words = self.words.get_or_init(|| std::iter::repeat_with(AtomicU64::default).take(PLACES).collect());
        if let Some(place) = place(words, chat)
            && place.load(Ordering::Relaxed) != word
        {
            place.store(word, Ordering::Relaxed);
        }
    }
}

fn place(words: &[AtomicU64], chat: u64) -> Option<&AtomicU64> {
    words.get(usize::try_from(chat % PLACES as u64).ok()?)
}

/// Of the chat, the bits that its place does not tell.
fn word(chat: u64, peer: u64) -> u64 {
    let peers = (1 << PEER_BITS) - 1;
    (chat & !peers) | (peer & peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_found_where_they_were_and_never_too_many() {
        let table = StickTable::default();
        let chat = 0xdead_beef_dead_beef;
        assert!((0..9).all(|peer| !table.is_at(chat, peer)));
        table.remember(chat, 7);
        assert!(table.is_at(chat, 7) && !table.is_at(chat, 8) && !table.is_at(chat ^ (1 << 60), 7));
        table.remember(chat, 8);
        assert!(table.is_at(chat, 8) && !table.is_at(chat, 7));
        // The same place, another chat.
        table.remember(chat ^ (1 << 60), 7);
        assert!(!table.is_at(chat, 8));
    }
}
