//! What chats remember, and whoever keeps it, the session store: turns by flow and session, and each session's last run,
//! as far as a later request goes on from it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::message::Message;
use super::records::RecordStore;

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

/// Keeps turns and runs. Bounded by count, size and age, whatever the kind.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Whether reading may wait, for the disk or for the network.
    fn reads_wait(&self) -> bool {
        false
    }

    /// Whether adding may wait.
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

    /// The session's last run, as whoever goes on from it wrote it; `None`: it has none.
    ///
    /// # Errors
    /// The store cannot be read.
    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure>;

    /// Keeps a run as the session's last; `None`: it has none any more.
    ///
    /// # Errors
    /// The store cannot be written.
    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure>;

    /// Keeps a run in the place of another; `false`: that is not the session's last any more. So of two who would go on
    /// with a run, one does.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure>;

    /// What was put into databases, which is kept beside what chats remember; `None`: not here.
    fn records(&self) -> Option<&Arc<dyn RecordStore>> {
        None
    }

    /// Writes what still waits, when nothing more comes.
    fn finish(&self) {}
}

/// A session of a flow in its store. Where that waits, it keeps no other run of the thread from going on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) flow: &'a str,
    pub(crate) id: &'a str,
}

impl Session<'_> {
    /// See [`Store::turns`].
    pub(crate) async fn turns(self) -> Result<Vec<Turn>, Failure> {
        self.ask(self.store.reads_wait(), |store, flow, session| store.turns(flow, session)).await
    }

    /// See [`Store::add`].
    pub(crate) async fn add(self, turns: Vec<Turn>) -> Result<(), Failure> {
        self.ask(self.store.writes_wait(), move |store, flow, session| store.add(flow, session, &turns)).await
    }

    /// See [`Store::run`].
    pub(crate) async fn run(self) -> Result<Option<Arc<str>>, Failure> {
        self.ask(self.store.reads_wait(), |store, flow, session| store.run(flow, session)).await
    }

    /// See [`Store::keep_run`].
    pub(crate) async fn keep_run(self, run: Option<Arc<str>>) -> Result<(), Failure> {
        self.ask(self.store.writes_wait(), move |store, flow, session| store.keep_run(flow, session, run)).await
    }

    /// See [`Store::replace_run`].
    pub(crate) async fn replace_run(self, known: Arc<str>, next: Arc<str>) -> Result<bool, Failure> {
        let waits = self.store.reads_wait() || self.store.writes_wait();
        self.ask(waits, move |store, flow, session| store.replace_run(flow, session, &known, next)).await
    }

    async fn ask<T: Send + 'static>(
        self,
        waits: bool,
        work: impl FnOnce(&dyn Store, &str, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if !waits {
            return work(&**self.store, self.flow, self.id);
        }
        let (store, flow, session) = (Arc::clone(self.store), self.flow.to_owned(), self.id.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&*store, &flow, &session)).await;
        done.unwrap_or_else(|_| Err(Failure::flow("What the chat remembers cannot be read.")))
    }
}
