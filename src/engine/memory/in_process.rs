//! Chats that are forgotten with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::records::RecordFile;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{AGE, MOST_BYTES, MOST_SESSIONS, MOST_TURNS, Store, Turn};
use crate::engine::contract::records::RecordStore;

/// Forgets with the process.
#[derive(Debug)]
pub(crate) struct InProcess {
    sessions: Mutex<SessionTable>,
    records: Arc<dyn RecordStore>,
}

impl Default for InProcess {
    fn default() -> Self {
        Self { sessions: Mutex::default(), records: Arc::new(RecordFile::in_process()) }
    }
}

/// By chatflow and session.
type SessionTable = HashMap<(Arc<str>, Arc<str>), Remembered>;

/// What is kept of one.
#[derive(Debug)]
struct Remembered {
    used: Instant,
    turns: Vec<Turn>,
    run: Option<Arc<str>>,
}

impl InProcess {
    fn sessions(&self) -> MutexGuard<'_, SessionTable> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a session, if there is something of it.
    fn look<T: Default>(&self, flow: &str, session: &str, look: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut sessions = self.sessions();
        let found = sessions.get_mut(&(Arc::from(flow), Arc::from(session)));
        found.filter(|found| found.used.elapsed() <= AGE).map(look).unwrap_or_default()
    }

    /// Changes a session, which is made if it is not there.
    fn change(&self, flow: &str, session: &str, change: impl FnOnce(&mut Remembered)) {
        let mut sessions = self.sessions();
        let key = (Arc::from(flow), Arc::from(session));
        if sessions.len() >= MOST_SESSIONS && !sessions.contains_key(&key) {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                sessions.remove(&oldest);
            }
        }
        let new = || Remembered { used: Instant::now(), turns: Vec::new(), run: None };
        let session = sessions.entry(key).or_insert_with(new);
        if session.used.elapsed() > AGE {
            *session = new();
        }
        session.used = Instant::now();
        change(session);
    }
}

impl Store for InProcess {
    fn records(&self) -> Option<&Arc<dyn RecordStore>> {
        Some(&self.records)
    }

    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        Ok(self.look(flow, session, |session| session.turns.clone()))
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        self.change(flow, session, |session| {
            let stored = &mut session.turns;
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
        });
        Ok(())
    }

    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        Ok(self.look(flow, session, |session| session.run.clone()))
    }

    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure> {
        match run {
            Some(run) => self.change(flow, session, |session| session.run = Some(run)),
            None => self.look(flow, session, |session| session.run = None),
        }
        Ok(())
    }

    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure> {
        Ok(self.look(flow, session, |session| {
            let is_known = session.run.as_deref() == Some(known);
            if is_known {
                (session.used, session.run) = (Instant::now(), Some(next));
            }
            is_known
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::memory::LONGEST_TEXT;

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
        assert_eq!(store.sessions().len(), MOST_SESSIONS);
    }
}
