//! An abort that reaches one replica, told to the others.

use std::sync::Arc;

use super::Chats;
use crate::state::valkey::SharedStore;

/// What is told: kind, the replica that tells it, and where the chat runs. Whatever looks otherwise is another release's.
type AbortMessage = (String, String, String, String);

const KIND: &str = "abort";

pub(super) fn tell(store: &SharedStore, upstream: &str, chat: &str) {
    if let Ok(message) = serde_json::to_string(&(KIND, &*store.replica, upstream, chat)) {
        store.tell(message);
    }
}

/// Ends what runs here when another replica is asked to.
pub(super) fn heed(chats: &Arc<Chats>, store: &SharedStore) {
    let (chats, own) = (Arc::downgrade(chats), Arc::clone(&store.replica));
    store.on_message(move |message| {
        if let Ok((kind, replica, upstream, chat)) = serde_json::from_slice::<AbortMessage>(message)
            && kind == KIND
            && *replica != *own
            && let Some(chats) = chats.upgrade()
        {
            chats.abort_here(&upstream, &chat);
        }
    });
}
