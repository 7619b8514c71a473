//! Chats that survive a restart.
//!
//! Whoever adds never waits for the disk: what is added waits in memory, where readers see it, for the one thread that
//! writes. It takes all that has come, writes it in one transaction and syncs it, at most every [`PACE`]. So a crash
//! loses what was said in the last quarter of a second or so, never half an exchange, and a clean stop loses nothing.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use redb::Database;

use super::disk::{self, LastRun, StoreBounds, StoredExchange};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{AGE, MOST_BYTES, MOST_SESSIONS, MOST_TURNS, Store, Turn};
use crate::telemetry::metrics::Metrics;

/// Between two writes.
const PACE: Duration = Duration::from_millis(200);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks for what is too old.
const TIDY: Duration = Duration::from_hours(1);
/// Sessions forgotten in one write.
const FORGET: usize = 500;
/// Bytes that may wait for a disk that does not take them, and of runs beside them.
const MOST_WAITING: usize = 32 << 20;
const MOST_WAITING_RUNS: usize = 16 << 20;

pub(super) const BOUNDS: StoreBounds = StoreBounds {
    turns: MOST_TURNS as u64,
    bytes: MOST_BYTES as u64,
    sessions: MOST_SESSIONS as u64,
    age: AGE.as_secs() * 1_000_000,
};

/// See the module. Dropping it writes what still waits.
#[derive(Debug)]
pub(super) struct WriteBehindStore {
    shared: Arc<StoreShared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct StoreShared {
    folder: PathBuf,
    /// `None` for a moment, while it is opened again.
    database: ArcSwapOption<Database>,
    waiting: Mutex<PendingWrites>,
    wake: Condvar,
    metrics: Arc<Metrics>,
}

/// A chatflow and a session.
type MemoryKey = (Box<str>, Box<str>);

#[derive(Debug, Default)]
struct PendingWrites {
    /// Oldest first.
    exchanges: HashMap<MemoryKey, Vec<Arc<StoredExchange>>>,
    bytes: usize,
    /// The last of each session.
    runs: HashMap<MemoryKey, Arc<LastRun>>,
    /// Batches with runs that are in the file.
    written: u64,
    /// The last number that was given.
    last: u64,
    is_closing: bool,
    is_full: bool,
}

impl WriteBehindStore {
    /// # Errors
    /// The folder cannot be used, or another process has the file.
    pub(super) fn open(folder: &Path, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let database = disk::open(folder)?;
        let last = disk::last_number(&database).map_err(io::Error::other)?;
        let shared = Arc::new(StoreShared {
            folder: folder.to_owned(),
            database: ArcSwapOption::from_pointee(database),
            waiting: Mutex::new(PendingWrites { last, ..PendingWrites::default() }),
            wake: Condvar::new(),
            metrics: Arc::clone(metrics),
        });
        let writer = std::thread::Builder::new().name("chats".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_on()
        })?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }
}

impl Drop for WriteBehindStore {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Store for WriteBehindStore {
    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        // First what waits: once it is written it is in the file, and is told from what waits by its number.
        let waiting = self.shared.waiting().exchanges.get(&(flow.into(), session.into())).cloned().unwrap_or_default();
        let database = self.shared.database.load_full();
        let stored = match &database {
            Some(database) => disk::read(database, flow, session, now().saturating_sub(BOUNDS.age)),
            None => Err(redb::Error::DatabaseClosed),
        };
        let stored = stored.map_err(|error| unreadable(&error))?;
        let last = stored.last().map_or(0, |(number, _)| *number);
        let newer =
            waiting.iter().filter(|exchange| exchange.number > last).flat_map(|exchange| exchange.turns.clone());
        let mut turns: Vec<Turn> = stored.into_iter().flat_map(|(_, turns)| turns).chain(newer).collect();
        turns.drain(..turns.len().saturating_sub(MOST_TURNS));
        Ok(turns)
    }

    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        let waiting = self.shared.waiting().runs.get(&(flow.into(), session.into())).cloned();
        waiting.map_or_else(|| self.shared.stored_run(flow, session), |waiting| Ok(waiting.run.clone()))
    }

    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure> {
        let waiting = self.shared.waiting();
        let bytes: usize = waiting.runs.values().map(|waiting| length(waiting)).sum();
        if run.as_ref().is_some_and(|run| bytes + run.len() > MOST_WAITING_RUNS) {
            self.shared.lose(waiting);
        } else {
            self.shared.keep_run(waiting, flow, session, run);
        }
        Ok(())
    }

    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure> {
        let place: MemoryKey = (flow.into(), session.into());
        loop {
            let waiting = self.shared.waiting();
            if let Some(last) = waiting.runs.get(&place) {
                let is_known = last.run.as_deref() == Some(known);
                if is_known {
                    self.shared.keep_run(waiting, flow, session, Some(next));
                }
                return Ok(is_known);
            }
            let written = waiting.written;
            drop(waiting);
            if self.shared.stored_run(flow, session)?.as_deref() != Some(known) {
                return Ok(false);
            }
            let waiting = self.shared.waiting();
            // What was read is still so if no other run was written since, and none waits.
            if waiting.written == written && !waiting.runs.contains_key(&place) {
                self.shared.keep_run(waiting, flow, session, Some(next));
                return Ok(true);
            }
        }
    }

    fn finish(&self) {
        self.shared.waiting().is_closing = true;
        self.shared.wake.notify_all();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        let mut waiting = self.shared.waiting();
        let bytes: usize = size(turns);
        if waiting.bytes + bytes > MOST_WAITING {
            self.shared.lose(waiting);
            return Ok(());
        }
        let number = waiting.number();
        waiting.bytes += bytes;
        let exchange = StoredExchange { flow: flow.into(), session: session.into(), number, turns: turns.to_vec() };
        // With something there already the writer is at work, or rests, and will look again.
        let is_asleep = waiting.is_empty();
        waiting.exchanges.entry((flow.into(), session.into())).or_default().push(Arc::new(exchange));
        drop(waiting);
        if is_asleep {
            self.shared.wake.notify_all();
        }
        Ok(())
    }
}

impl PendingWrites {
    /// The next.
    fn number(&mut self) -> u64 {
        self.last = now().max(self.last + 1);
        self.last
    }

    fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.runs.is_empty()
    }
}

impl StoreShared {
    /// The client has its answer: better a chat that forgets than one that fails.
    fn lose(&self, mut waiting: MutexGuard<'_, PendingWrites>) {
        self.metrics.engine.memory_lost.inc();
        if !std::mem::replace(&mut waiting.is_full, true) {
            tracing::error!("chats forget what is said: the disk does not take it");
        }
    }

    fn keep_run(&self, mut waiting: MutexGuard<'_, PendingWrites>, flow: &str, session: &str, run: Option<Arc<str>>) {
        let number = waiting.number();
        let is_asleep = waiting.is_empty();
        let last = LastRun { flow: flow.into(), session: session.into(), number, run };
        waiting.runs.insert((flow.into(), session.into()), Arc::new(last));
        drop(waiting);
        if is_asleep {
            self.wake.notify_all();
        }
    }

    fn stored_run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        let stored = match &self.database.load_full() {
            Some(database) => disk::run(database, flow, session, now().saturating_sub(BOUNDS.age)),
            None => Err(redb::Error::DatabaseClosed),
        };
        stored.map_err(|error| unreadable(&error))
    }

    fn waiting(&self) -> MutexGuard<'_, PendingWrites> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's life.
    fn write_on(&self) {
        let mut tidied: Option<Instant> = None;
        let mut is_failing = false;
        loop {
            let (batch, runs, is_closing) = self.next();
            let mut outcome = if batch.is_empty() && runs.is_empty() { Ok(()) } else { self.write(&batch, &runs) };
            if outcome.is_ok() && !is_closing && tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
                outcome = self.tidy();
                tidied = Some(Instant::now());
            }
            match outcome {
                Ok(()) if std::mem::take(&mut is_failing) => tracing::info!("what chats remember is written again"),
                Ok(()) => {}
                Err(error) if is_closing => {
                    let waiting = self.waiting();
                    let lost = waiting.exchanges.values().map(Vec::len).sum::<usize>() + waiting.runs.len();
                    drop(waiting);
                    self.metrics.engine.memory_lost.inc_by(lost as u64);
                    tracing::error!(%error, lost, "what chats should remember was not written");
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let folder = self.folder.display();
                        tracing::error!(%folder, %error, "what chats should remember cannot be written");
                    }
                    self.reopen();
                }
            }
            if is_closing {
                return;
            }
            self.rest(if is_failing { RETRY } else { PACE });
        }
    }

    /// Waits for something to write, or until it is time to look at the old. `true`: this is the last of it.
    fn next(&self) -> (Vec<Arc<StoredExchange>>, Vec<Arc<LastRun>>, bool) {
        let waiting = self.waiting();
        let is_idle = |waiting: &mut PendingWrites| waiting.is_empty() && !waiting.is_closing;
        let waited = self.wake.wait_timeout_while(waiting, TIDY, is_idle);
        let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut batch: Vec<_> = waiting.exchanges.values().flatten().map(Arc::clone).collect();
        let runs = waiting.runs.values().map(Arc::clone).collect();
        let is_closing = waiting.is_closing;
        drop(waiting);
        batch.sort_unstable_by_key(|exchange| exchange.number);
        (batch, runs, is_closing)
    }

    fn write(&self, batch: &[Arc<StoredExchange>], runs: &[Arc<LastRun>]) -> Result<(), redb::Error> {
        let database = self.database.load_full().ok_or(redb::Error::DatabaseClosed)?;
        disk::write(&database, batch.iter().map(|exchange| &**exchange), runs.iter().map(|run| &**run), &BOUNDS)?;
        let numbers = batch.last().map(|exchange| exchange.number).into_iter().chain(runs.iter().map(|run| run.number));
        let last = numbers.max().unwrap_or_default();
        let mut waiting = self.waiting();
        waiting.exchanges.retain(|_, exchanges| {
            exchanges.retain(|exchange| exchange.number > last);
            !exchanges.is_empty()
        });
        waiting.bytes = waiting.exchanges.values().flatten().map(|exchange| size(&exchange.turns)).sum();
        waiting.runs.retain(|_, run| run.number > last);
        waiting.written += u64::from(!runs.is_empty());
        waiting.is_full = false;
        Ok(())
    }

    fn tidy(&self) -> Result<(), redb::Error> {
        let database = self.database.load_full().ok_or(redb::Error::DatabaseClosed)?;
        while disk::forget(&database, now().saturating_sub(BOUNDS.age), FORGET)? {}
        Ok(())
    }

    /// After a failed write the file must be opened anew.
    fn reopen(&self) {
        drop(self.database.swap(None));
        match disk::open(&self.folder) {
            Ok(database) => self.database.store(Some(Arc::new(database))),
            Err(error) => tracing::debug!(%error, "the file of what chats remember cannot be opened"),
        }
    }

    fn rest(&self, pause: Duration) {
        let rested = self.wake.wait_timeout_while(self.waiting(), pause, |waiting| !waiting.is_closing);
        drop(rested.unwrap_or_else(PoisonError::into_inner));
    }
}

fn unreadable(error: &redb::Error) -> Failure {
    tracing::error!(%error, "what a chat remembers cannot be read");
    Failure::flow("What the chat remembers cannot be read.")
}

fn length(run: &LastRun) -> usize {
    run.run.as_ref().map_or(0, |run| run.len())
}

/// Bytes in memory, about.
fn size(turns: &[Turn]) -> usize {
    turns.iter().map(|turn| turn.text.len() + 64).sum()
}

/// Microseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
