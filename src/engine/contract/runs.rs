//! The last run of each session, as whoever goes on from it wrote it. It is stored with what chats remember, so that it
//! outlives the process; those used last are at hand here as well, which is where it is told that a run goes on once only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use super::memory::{self, Store, Turn};

/// Runs at hand, and their bytes; what was unused for longest goes first.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<Key, Entry>,
    /// Counts uses, so that the one unused for longest can be told.
    now: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    /// As it is stored; `None`: the session has none.
    run: Option<Arc<str>>,
}

type Key = (Arc<str>, Arc<str>);

/// Where a session's run is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) memory: &'a Arc<dyn Store>,
    pub(crate) flow: &'a str,
    pub(crate) session: &'a str,
}

impl Place<'_> {
    fn key(&self) -> Key {
        (self.flow.into(), self.session.into())
    }

    /// Beside the chatflow's chats; no chatflow has such a name.
    fn shelf(&self) -> String {
        format!("{}#runs", self.flow)
    }

    async fn stored(&self) -> Result<Option<Arc<str>>, Failure> {
        let last = memory::read(self.memory, &self.shelf(), self.session).await?.pop();
        Ok(last.map(|turn| turn.text.into()))
    }

    async fn store(&self, run: Option<&str>) -> Result<(), Failure> {
        let text = run.unwrap_or("null").to_owned();
        memory::add(self.memory, &self.shelf(), self.session, vec![Turn { by_user: false, text }]).await
    }
}

impl Runs {
    /// The session's last run; `None`: it has none.
    pub(crate) async fn get(&self, place: Place<'_>) -> Result<Option<Arc<str>>, Failure> {
        let key = place.key();
        if let Some(entry) = self.kept().runs.get(&key) {
            return Ok(entry.run.clone());
        }
        let stored = place.stored().await?;
        let mut kept = self.kept();
        // What was put there in the meantime is newer.
        if !kept.runs.contains_key(&key) {
            kept.put(key.clone(), stored);
        }
        Ok(kept.runs.get(&key).and_then(|entry| entry.run.clone()))
    }

    /// `None`: the session has none any more.
    pub(crate) async fn put(&self, place: Place<'_>, run: Option<Arc<str>>) -> Result<(), Failure> {
        place.store(run.as_deref()).await?;
        self.kept().put(place.key(), run);
        Ok(())
    }

    /// Puts `next` in the place of `run`, unless somebody else did so before: of two who would go on with it, one does.
    pub(crate) async fn replace(&self, place: Place<'_>, run: &Arc<str>, next: &Arc<str>) -> Result<bool, Failure> {
        let is_replaced = self.kept().replace(&place.key(), run, next);
        if is_replaced {
            place.store(Some(next)).await?;
        }
        Ok(is_replaced)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Key, run: Option<Arc<str>>) {
        self.remove(&key);
        let bytes = length(run.as_ref());
        while self.runs.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            let oldest = self.runs.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.now += 1;
        self.bytes += bytes;
        self.runs.insert(key, Entry { used: self.now, run });
    }

    /// Puts `next` in the place of `run`, if that is there.
    fn replace(&mut self, key: &Key, run: &Arc<str>, next: &Arc<str>) -> bool {
        let is_there = self.runs.get(key).and_then(|entry| entry.run.as_ref()).is_some_and(|at| Arc::ptr_eq(at, run));
        if is_there {
            self.put(key.clone(), Some(Arc::clone(next)));
        }
        is_there
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Entry { run, .. }) = self.runs.remove(key) {
            self.bytes = self.bytes.saturating_sub(length(run.as_ref()));
        }
    }
}

fn length(run: Option<&Arc<str>>) -> usize {
    run.map_or(0, |run| run.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::InProcess;

    #[tokio::test]
    async fn of_those_at_hand_the_oldest_go() {
        let (runs, memory): (_, Arc<dyn Store>) = (Runs::default(), Arc::new(InProcess::default()));
        for session in 0..20 {
            let place = Place { memory: &memory, flow: "flow", session: &session.to_string() };
            runs.put(place, Some("x".repeat(1_000_000).into())).await.unwrap();
        }
        let kept = runs.kept();
        let has = |session: &str| kept.runs.contains_key(&("flow".into(), session.into()));
        assert_eq!((has("0"), has("10"), has("19")), (false, true, true));
        assert!(kept.bytes <= MOST_BYTES);
    }
}
