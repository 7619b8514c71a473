//! Chats that are forgotten with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{AGE, MOST_BYTES, MOST_SESSIONS, MOST_TURNS, Store, Turn};

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
        assert_eq!(store.0.lock().unwrap().len(), MOST_SESSIONS);
    }
}
