//! What chats remember: turns by flow and session.

mod disk;
mod kept;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kept::Kept;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::telemetry::metrics::Metrics;

/// A memory node.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Exchanges that are told to the model; `None`: all that are stored.
    pub(crate) turns: Option<usize>,
    /// The node's label, which answers show as `memoryType`.
    pub(crate) label: String,
}

/// One stored turn.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Turn {
    pub(crate) by_user: bool,
    pub(crate) text: String,
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

/// The session's turns before this request, read once.
pub(crate) async fn recalled<'a>(run: &Run<'a>) -> Result<&'a [Turn], Failure> {
    let request = run.request;
    if request.recalled.get().is_none() {
        let turns = read(&run.services.memory, run.flow, &request.session_id).await?;
        let _ = request.recalled.set(turns.into());
    }
    Ok(request.recalled.get().map_or(&[], |turns| turns))
}

impl Memory {
    /// The turns before the question: those of the request, then those of the session.
    pub(crate) async fn turns(&self, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let turns = recalled(run).await?;
        let skipped = self.turns.map_or(0, |most| turns.len().saturating_sub(2 * most));
        Ok(run.request.history.iter().chain(turns.iter().skip(skipped)).map(Turn::message).collect())
    }
}

/// Stores an exchange: what the user asked, without its files, and what was answered in the end, whichever nodes it went
/// through. Of what is longer than a session may be, the beginning.
pub(crate) async fn remember(run: &Run<'_>, question: &str, answer: &str) -> Result<(), Failure> {
    let turn = |by_user, text| Turn { by_user, text: beginning(text, LONGEST_TEXT).to_owned() };
    let turns = vec![turn(true, question), turn(false, answer)];
    add(&run.services.memory, run.flow, &run.request.session_id, turns).await
}

/// As much of a text as takes at most so many bytes in a JSON string.
fn beginning(text: &str, most: usize) -> &str {
    let mut left = most;
    for (at, letter) in text.char_indices() {
        let bytes = match letter {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '\0'..' ' => 6,
            letter => letter.len_utf8(),
        };
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return text.get(..at).unwrap_or_default(),
        }
    }
    text
}

impl Turn {
    pub(crate) fn message(&self) -> Message {
        if self.by_user { Message::user(self.text.as_str()) } else { Message::assistant(self.text.as_str()) }
    }
}

/// Sessions kept of one chatflow; in memory, of all.
const MOST_SESSIONS: usize = 10_000;
/// Turns kept of one session.
const MOST_TURNS: usize = 200;
/// Bytes kept of one session, as JSON.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Of one text: an exchange of two is no larger than a session may be.
const LONGEST_TEXT: usize = MOST_BYTES / 2 - 64;
/// For how long a session is kept that nobody uses.
const AGE: Duration = Duration::from_hours(30 * 24);

/// Forgets with the process.
#[derive(Debug, Default)]
pub(crate) struct InProcess(Mutex<Sessions>);

/// By chatflow and session: when it was used last, and its turns.
type Sessions = HashMap<(Arc<str>, Arc<str>), (Instant, Vec<Turn>)>;

impl Store for InProcess {
    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.get(&(Arc::from(flow), Arc::from(session)));
        let found = found.filter(|(used, _)| used.elapsed() <= AGE);
        Ok(found.map(|(_, turns)| turns.clone()).unwrap_or_default())
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(flow), Arc::from(session));
        if sessions.len() >= MOST_SESSIONS && !sessions.contains_key(&key) {
            let oldest = sessions.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                sessions.remove(&oldest);
            }
        }
        let now = Instant::now();
        let (used, stored) = sessions.entry(key).or_insert_with(|| (now, Vec::new()));
        if used.elapsed() > AGE {
            stored.clear();
        }
        *used = now;
        stored.extend_from_slice(turns);
        let mut bytes: usize = stored.iter().map(|turn| turn.text.len()).sum();
        let mut superfluous = stored.len().saturating_sub(MOST_TURNS);
        for (at, turn) in stored.iter().take(stored.len().saturating_sub(turns.len())).enumerate() {
            if at >= superfluous && bytes <= MOST_BYTES {
                break;
            }
            superfluous = superfluous.max(at + 1);
            bytes -= turn.text.len();
        }
        stored.drain(..superfluous);
        Ok(())
    }
}

/// Survives a restart: kept in a folder, which is made and taken hold of by whoever remembers first.
#[derive(Debug)]
pub(crate) struct OnDisk {
    folder: PathBuf,
    metrics: Arc<Metrics>,
    kept: OnceLock<Kept>,
    opening: Mutex<()>,
}

impl OnDisk {
    pub(crate) fn new(folder: PathBuf, metrics: &Arc<Metrics>) -> Self {
        Self { folder, metrics: Arc::clone(metrics), kept: OnceLock::new(), opening: Mutex::default() }
    }

    /// Takes hold of the folder.
    ///
    /// # Errors
    /// It cannot be used, or another process does.
    pub(crate) fn open(&self) -> io::Result<()> {
        self.kept().map(|_| ())
    }

    fn kept(&self) -> io::Result<&Kept> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let kept = Kept::open(&self.folder, &self.metrics)?;
        Ok(self.kept.get_or_init(|| kept))
    }

    fn in_use(&self) -> Result<&Kept, Failure> {
        self.kept().map_err(|error| {
            tracing::error!(folder = %self.folder.display(), %error, "chats cannot be remembered");
            Failure::flow("What the chat remembers cannot be read.")
        })
    }
}

impl Store for OnDisk {
    fn reads_wait(&self) -> bool {
        true
    }

    /// Until the folder is held.
    fn writes_wait(&self) -> bool {
        self.kept.get().is_none()
    }

    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        self.in_use()?.turns(flow, session)
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        self.in_use()?.add(flow, session, turns)
    }

    fn finish(&self) {
        if let Some(kept) = self.kept.get() {
            kept.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::testing::within;

    #[test]
    fn an_exchange_is_no_larger_than_a_session_may_be() {
        for (letter, kept) in
            [("a", LONGEST_TEXT), ("\"", LONGEST_TEXT / 2), ("\u{1}", LONGEST_TEXT / 6), ("ü", LONGEST_TEXT / 2)]
        {
            let long = letter.repeat(MOST_BYTES);
            let turns = within(&json!({ "question": "q" }), async |run| {
                remember(run, &long, &long).await.unwrap();
                recalled(run).await.unwrap().to_vec()
            });
            assert!(serde_json::to_vec(&turns).unwrap().len() <= MOST_BYTES);
            assert_eq!(turns.iter().map(|turn| turn.text.chars().count()).collect::<Vec<_>>(), [kept, kept]);
        }
        assert_eq!(beginning("as it is", 8), "as it is");
    }

    #[test]
    fn a_session_in_the_process_is_bounded_by_size_as_well() {
        let store = InProcess::default();
        for _ in 0..5 {
            store.add("flow", "s", &[Turn { by_user: true, text: "x".repeat(LONGEST_TEXT) }]).unwrap();
        }
        assert_eq!(store.turns("flow", "s").unwrap().len(), 2);
    }

    #[test]
    fn what_is_kept_in_the_process_is_bounded() {
        let store = InProcess::default();
        let turn = |text: String| Turn { by_user: true, text };
        for number in 0..MOST_TURNS + 5 {
            store.add("flow", "first", &[turn(number.to_string())]).unwrap();
        }
        let turns = store.turns("flow", "first").unwrap();
        assert_eq!((turns.len(), turns[0].text.as_str()), (MOST_TURNS, "5"));
        for number in 0..MOST_SESSIONS {
            store.add("flow", &number.to_string(), &[turn(String::new())]).unwrap();
        }
        assert!(store.turns("flow", "first").unwrap().is_empty(), "unused for longest");
        assert_eq!(store.turns("flow", "0").unwrap().len(), 1);
        assert_eq!(store.0.lock().unwrap().len(), MOST_SESSIONS);
    }
}
