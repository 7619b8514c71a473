//! What chats remember, and whoever keeps it: turns by flow and session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::message::Message;

/// Sessions kept of one chatflow; in memory, of all.
pub(crate) const MOST_SESSIONS: usize = 10_000;
/// Turns kept of one session.
pub(crate) const MOST_TURNS: usize = 200;
/// Bytes kept of one session, as JSON.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Of one text: an exchange of two is no larger than a session may be.
pub(crate) const LONGEST_TEXT: usize = MOST_BYTES / 2 - 64;
/// For how long a session is kept that nobody uses.
pub(crate) const AGE: Duration = Duration::from_hours(30 * 24);

/// One stored turn.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Turn {
    pub(crate) by_user: bool,
    pub(crate) text: String,
}

impl Turn {
    pub(crate) fn message(&self) -> Message {
        if self.by_user { Message::user(self.text.as_str()) } else { Message::assistant(self.text.as_str()) }
    }
}

/// Keeps turns. Bounded by count, size and age, whatever the kind.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Whether reading may wait for the disk.
    fn reads_wait(&self) -> bool {
        false
    }

    /// Whether adding may wait for the disk.
    fn writes_wait(&self) -> bool {
        false
    }

    /// The session's turns, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure>;

    /// Adds turns, all or none.
    ///
    /// # Errors
    /// The store cannot be written.
    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure>;

    /// Writes what still waits, when nothing more comes.
    fn finish(&self) {}
}

/// A session's turns. Where that waits for the disk, it keeps no run from going on.
pub(crate) async fn read(store: &Arc<dyn Store>, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
    if !store.reads_wait() {
        return store.turns(flow, session);
    }
    let (store, flow, session) = (Arc::clone(store), flow.to_owned(), session.to_owned());
    off_thread(move || store.turns(&flow, &session)).await
}

/// Adds turns, as [`read`] reads them.
pub(crate) async fn add(store: &Arc<dyn Store>, flow: &str, session: &str, turns: Vec<Turn>) -> Result<(), Failure> {
    if !store.writes_wait() {
        return store.add(flow, session, &turns);
    }
    let (store, flow, session) = (Arc::clone(store), flow.to_owned(), session.to_owned());
    off_thread(move || store.add(&flow, &session, &turns)).await
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Failure::flow("What the chat remembers cannot be read.")))
}
