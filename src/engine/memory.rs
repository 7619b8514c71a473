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

use super::failure::Failure;
use super::message::Message;
use super::run::Run;
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

/// Keeps turns. Bounded by count and age, whatever the kind.
pub(crate) trait Store: fmt::Debug + Send + Sync {
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
}

impl Memory {
    /// The turns before the question: those of the request, then those of the session.
    pub(crate) fn turns(&self, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let mut turns = run.services.memory.turns(run.flow, &run.request.session_id)?;
        if let Some(most) = self.turns {
            turns.drain(..turns.len().saturating_sub(2 * most));
        }
        Ok(run.request.history.iter().chain(&turns).map(Turn::message).collect())
    }
}

/// Stores an exchange: what the user asked, without its files, and what was answered in the end, whichever nodes it went
/// through.
pub(crate) fn remember(run: &Run<'_>, question: &str, answer: &str) -> Result<(), Failure> {
    let turn = |by_user, text: &str| Turn { by_user, text: text.to_owned() };
    run.services.memory.add(run.flow, &run.request.session_id, &[turn(true, question), turn(false, answer)])
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
        let superfluous = stored.len().saturating_sub(MOST_TURNS);
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
    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        self.in_use()?.turns(flow, session)
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        self.in_use()?.add(flow, session, turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
