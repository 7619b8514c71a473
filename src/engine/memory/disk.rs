//! Exchanges in a file, `chats.redb`: what is in it, and what is let go.
//!
//! One row an exchange, by chatflow, session and number; numbers are microseconds since the epoch, so that a row's key
//! says when it was. Two further tables say how much each session holds and which one was used when. A session's last
//! run is one row of a table of its own; it goes with its session.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError, Table, TableDefinition,
    WriteTransaction,
};

use crate::engine::contract::memory::Turn;

pub(super) const FILE: &str = "chats.redb";
/// Where a file goes that nobody can read.
const ASIDE: &str = "chats.redb.bad";
/// Bytes of the file that are kept in memory.
const CACHE: usize = 4 << 20;

/// Bounds on what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoreBounds {
    /// Turns of a session; the oldest go first.
    pub(super) turns: u64,
    /// Bytes of a session, its last exchange aside.
    pub(super) bytes: u64,
    /// Sessions of a chatflow; the one unused for longest goes first.
    pub(super) sessions: u64,
    /// Microseconds that a session or an exchange may be old.
    pub(super) age: u64,
}

/// What was said in one go.
#[derive(Debug)]
pub(super) struct StoredExchange {
    pub(super) flow: Box<str>,
    pub(super) session: Box<str>,
    pub(super) number: u64,
    pub(super) turns: Vec<Turn>,
}

/// A session's last run.
#[derive(Debug)]
pub(super) struct LastRun {
    pub(super) flow: Box<str>,
    pub(super) session: Box<str>,
    pub(super) number: u64,
    /// `None`: it has none any more.
    pub(super) run: Option<Arc<str>>,
}

/// By chatflow, session and number: turns, as JSON.
const EXCHANGES: TableDefinition<'_, (&str, &str, u64), &[u8]> = TableDefinition::new("exchanges");
/// By chatflow and session: number of the last exchange, turns, bytes.
const SESSIONS: TableDefinition<'_, (&str, &str), (u64, u64, u64)> = TableDefinition::new("sessions");
/// By chatflow, number of the last exchange, and session.
const USES: TableDefinition<'_, (&str, u64, &str), ()> = TableDefinition::new("uses");
/// By chatflow and session: the last run's number, and what was written of it.
const RUNS: TableDefinition<'_, (&str, &str), (u64, &str)> = TableDefinition::new("runs");
/// By chatflow: sessions.
const FLOWS: TableDefinition<'_, &str, u64> = TableDefinition::new("flows");

/// Opens the file in that folder, both made if they are not there. What is no such file, or damaged, is kept aside, and
/// its loss logged.
pub(super) fn open(folder: &Path) -> io::Result<Database> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(FILE);
    match open_file(&path) {
        Err(DatabaseError::Storage(error)) if is_damage(&error) => {
            let aside = folder.join(ASIDE);
            fs::rename(&path, &aside)?;
            tracing::error!(
                file = %path.display(), kept_as = %aside.display(), %error,
                "what chats remember is damaged: all of them start anew"
            );
            open_file(&path)
        }
        opened => opened,
    }
    .map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => {
            io::Error::new(io::ErrorKind::WouldBlock, format!("another process has {FILE} open"))
        }
        error => io::Error::other(error),
    })
}

fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    // Made beforehand, for its owner alone.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
    let database = Database::builder().set_cache_size(CACHE).create(path)?;
    // Readers find every table.
    let made = || -> Result<(), redb::Error> {
        let transaction = begin(&database)?;
        Tables::open(&transaction)?;
        Ok(transaction.commit()?)
    };
    made().map_err(|error| DatabaseError::Storage(StorageError::Corrupted(error.to_string())))?;
    Ok(database)
}

fn is_damage(error: &StorageError) -> bool {
    match error {
        StorageError::Corrupted(_) => true,
        StorageError::Io(error) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// Every commit is synced, and a crash costs no look through the whole file.
fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Exchanges of a session that are not older than `since`, oldest first, with their numbers.
pub(super) fn read(
    database: &Database,
    flow: &str,
    session: &str,
    since: u64,
) -> Result<Vec<(u64, Vec<Turn>)>, redb::Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(EXCHANGES)?;
    let mut exchanges = Vec::new();
    for row in table.range((flow, session, since)..=(flow, session, u64::MAX))? {
        let (key, value) = row?;
        // What cannot be read is as good as forgotten.
        let turns = serde_json::from_slice(value.value()).unwrap_or_default();
        exchanges.push((key.value().2, turns));
    }
    Ok(exchanges)
}

/// A session's last run, unless it is older than `since`.
pub(super) fn run(database: &Database, flow: &str, session: &str, since: u64) -> Result<Option<Arc<str>>, redb::Error> {
    let transaction = database.begin_read()?;
    if let Some(row) = transaction.open_table(RUNS)?.get((flow, session))? {
        let (number, run) = row.value();
        return Ok((number >= since).then(|| run.into()));
    }
    drop(transaction);
    let last = read(database, &former(flow), session, since)?.pop();
    Ok(last.and_then(|(_, mut turns)| turns.pop()).map(|turn| turn.text.into()))
}

/// Where runs were kept before they had a table, as what was said in a chatflow of that name. Nothing is written there
/// any more, and what nobody uses is forgotten, so that this can go when the last such file is older than a session may
/// be.
fn former(flow: &str) -> String {
    format!("{flow}#runs")
}

/// The highest number in the file.
pub(super) fn last_number(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    let uses = transaction.open_table(USES)?;
    let mut last = 0;
    for row in transaction.open_table(FLOWS)?.iter()? {
        let (flow, _) = row?;
        if let Some(used) = uses.range((flow.value(), 0, "")..(flow.value(), u64::MAX, ""))?.next_back() {
            last = last.max(used?.0.value().1);
        }
    }
    Ok(last)
}

/// Writes exchanges and runs, all or none, and lets go of what is too much.
pub(super) fn write<'a>(
    database: &Database,
    exchanges: impl IntoIterator<Item = &'a StoredExchange>,
    runs: impl IntoIterator<Item = &'a LastRun>,
    bounds: &StoreBounds,
) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    {
        let mut tables = Tables::open(&transaction)?;
        for exchange in exchanges {
            tables.add(exchange, bounds)?;
        }
        for run in runs {
            tables.keep(run, bounds)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Lets go of at most `most` sessions unused since `since`; `true`: there may be more.
pub(super) fn forget(database: &Database, since: u64, most: usize) -> Result<bool, redb::Error> {
    let transaction = begin(database)?;
    let mut forgotten = 0;
    {
        let mut tables = Tables::open(&transaction)?;
        let flows = tables.flows.iter()?.map(|row| row.map(|(flow, _)| flow.value().to_owned()));
        let flows: Vec<String> = flows.collect::<Result<_, _>>()?;
        for flow in flows {
            while forgotten < most {
                match tables.oldest(&flow)? {
                    Some((used, session)) if used < since => tables.forget(&flow, &session)?,
                    _ => break,
                }
                forgotten += 1;
            }
        }
    }
    if forgotten == 0 {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(forgotten == most)
}

struct Tables<'t> {
    exchanges: Table<'t, (&'static str, &'static str, u64), &'static [u8]>,
    sessions: Table<'t, (&'static str, &'static str), (u64, u64, u64)>,
    runs: Table<'t, (&'static str, &'static str), (u64, &'static str)>,
    uses: Table<'t, (&'static str, u64, &'static str), ()>,
    flows: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            exchanges: transaction.open_table(EXCHANGES)?,
            sessions: transaction.open_table(SESSIONS)?,
            runs: transaction.open_table(RUNS)?,
            uses: transaction.open_table(USES)?,
            flows: transaction.open_table(FLOWS)?,
        })
    }

    fn add(&mut self, exchange: &StoredExchange, bounds: &StoreBounds) -> Result<(), redb::Error> {
        let StoredExchange { flow, session, number, turns } = exchange;
        let value = serde_json::to_vec(turns).unwrap_or_default();
        let before = self.sessions.get((&**flow, &**session))?.map(|held| held.value());
        match before {
            Some((used, ..)) => {
                self.uses.remove((&**flow, used, &**session))?;
            }
            None => self.make_room(flow, bounds)?,
        }
        let (_, mut count, mut bytes) = before.unwrap_or_default();
        self.exchanges.insert((&**flow, &**session, *number), &*value)?;
        count += turns.len() as u64;
        bytes += value.len() as u64;
        let since = number.saturating_sub(bounds.age);
        while let Some((oldest, held, size)) = self.first(flow, session)? {
            let is_too_much = count > bounds.turns || bytes > bounds.bytes || oldest < since;
            if oldest == *number || !is_too_much {
                break;
            }
            self.exchanges.remove((&**flow, &**session, oldest))?;
            count = count.saturating_sub(held);
            bytes = bytes.saturating_sub(size);
        }
        self.sessions.insert((&**flow, &**session), (*number, count, bytes))?;
        self.uses.insert((&**flow, *number, &**session), ())?;
        Ok(())
    }

    fn keep(&mut self, run: &LastRun, bounds: &StoreBounds) -> Result<(), redb::Error> {
        let LastRun { flow, session, number, run } = run;
        let former = former(flow);
        if self.sessions.get((&*former, &**session))?.is_some() {
            self.forget(&former, session)?;
        }
        let Some(run) = run else {
            self.runs.remove((&**flow, &**session))?;
            return Ok(());
        };
        let before = self.sessions.get((&**flow, &**session))?.map(|held| held.value());
        match before {
            Some((used, ..)) => {
                self.uses.remove((&**flow, used, &**session))?;
            }
            None => self.make_room(flow, bounds)?,
        }
        let (used, count, bytes) = before.unwrap_or_default();
        let used = used.max(*number);
        self.runs.insert((&**flow, &**session), (*number, &**run))?;
        self.sessions.insert((&**flow, &**session), (used, count, bytes))?;
        self.uses.insert((&**flow, used, &**session), ())?;
        Ok(())
    }

    /// Counts one session more.
    fn make_room(&mut self, flow: &str, bounds: &StoreBounds) -> Result<(), redb::Error> {
        while self.flows.get(flow)?.is_some_and(|count| count.value() >= bounds.sessions) {
            let Some((_, session)) = self.oldest(flow)? else { break };
            self.forget(flow, &session)?;
        }
        let count = self.flows.get(flow)?.map_or(0, |count| count.value());
        self.flows.insert(flow, count + 1)?;
        Ok(())
    }

    /// The session's first exchange: its number, turns and bytes.
    fn first(&self, flow: &str, session: &str) -> Result<Option<(u64, u64, u64)>, redb::Error> {
        let mut rows = self.exchanges.range((flow, session, 0)..=(flow, session, u64::MAX))?;
        let Some(row) = rows.next() else { return Ok(None) };
        let (key, value) = row?;
        let turns: Vec<Turn> = serde_json::from_slice(value.value()).unwrap_or_default();
        Ok(Some((key.value().2, turns.len() as u64, value.value().len() as u64)))
    }

    /// The chatflow's session that was unused for longest, and its last number.
    fn oldest(&self, flow: &str) -> Result<Option<(u64, String)>, redb::Error> {
        let Some(row) = self.uses.range((flow, 0, "")..)?.next() else { return Ok(None) };
        let (key, ()) = row.map(|(key, value)| (key, value.value()))?;
        let (found, used, session) = key.value();
        Ok((found == flow).then(|| (used, session.to_owned())))
    }

    fn forget(&mut self, flow: &str, session: &str) -> Result<(), redb::Error> {
        let held = self.sessions.remove((flow, session))?.map(|held| held.value().0);
        if let Some(used) = held {
            self.uses.remove((flow, used, session))?;
        }
        self.exchanges.retain_in((flow, session, 0)..=(flow, session, u64::MAX), |_, _| false)?;
        self.runs.remove((flow, session))?;
        let count = self.flows.get(flow)?.map_or(0, |count| count.value()).saturating_sub(1);
        if count == 0 {
            self.flows.remove(flow)?;
        } else {
            self.flows.insert(flow, count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
