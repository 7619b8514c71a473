//! Records of what was put into databases: in a file, `records.redb`, which is open while it is asked, so that two processes
//! of which one takes the other's place have it in turns; or in the process.

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::{MOST_RECORDS, PassageRecord, RecordStore};

pub(super) const FILE: &str = "records.redb";
/// Bytes of it that are kept in memory.
const CACHE: usize = 4 << 20;
/// For the other process to be done with it.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(20);

/// By table, namespace and key: when it was noted, its group and its loader; an empty one is none.
type RecordRow = (u64, &'static str, &'static str);
const RECORDS: TableDefinition<'_, (&str, &str, &str), RecordRow> = TableDefinition::new("records");
/// By table and namespace: how many, and when the last was noted.
const SPACES: TableDefinition<'_, (&str, &str), (u64, u64)> = TableDefinition::new("spaces");

/// See the module.
#[derive(Debug)]
pub(crate) struct RecordFile {
    /// `None`: in the process.
    path: Option<PathBuf>,
    /// One asks at a time; what is in the process stays open.
    open: Mutex<Option<Database>>,
}

impl RecordFile {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { path: Some(folder.join(FILE)), open: Mutex::default() }
    }

    pub(crate) fn in_process() -> Self {
        Self { path: None, open: Mutex::default() }
    }

    fn ask<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.opened(&mut open).and_then(|database| work(database).map_err(io::Error::other));
        if self.path.is_some() {
            *open = None;
        }
        done.map_err(|error| {
            tracing::error!(file = FILE, %error, "records of what was put in cannot be kept");
            Failure::flow("The records of what was put in cannot be read.")
        })
    }

    fn opened<'o>(&self, open: &'o mut MutexGuard<'_, Option<Database>>) -> io::Result<&'o Database> {
        let database = match (open.take(), &self.path) {
            (Some(database), _) => database,
            (None, Some(path)) => open_file(path)?,
            (None, None) => {
                let made = Database::builder().create_with_backend(InMemoryBackend::new());
                let database = made.map_err(io::Error::other)?;
                with_tables(&database).map_err(io::Error::other)?;
                database
            }
        };
        Ok(open.insert(database))
    }
}

fn open_file(path: &Path) -> io::Result<Database> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Made beforehand, for its owner alone.
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let since = Instant::now();
    loop {
        match Database::builder().set_cache_size(CACHE).create(path) {
            Ok(database) => {
                with_tables(&database).map_err(io::Error::other)?;
                return Ok(database);
            }
            Err(DatabaseError::DatabaseAlreadyOpen) if since.elapsed() < PATIENCE => rest(),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "redb's lock of a file can be tried, not waited for")]
fn rest() {
    std::thread::sleep(AGAIN);
}

/// Readers find every table.
fn with_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    if transaction.open_table(SPACES).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(SPACES)?;
    Ok(transaction.commit()?)
}

/// Microseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl RecordStore for RecordFile {
    fn begin(&self, space: (&str, &str)) -> Result<u64, Failure> {
        self.ask(|database| {
            let spaces = database.begin_read()?.open_table(SPACES)?;
            let last = spaces.get(space)?.map_or(0, |row| row.value().1);
            Ok(now().max(last.saturating_add(1)))
        })
    }

    fn known(&self, (table, name): (&str, &str), keys: &[String]) -> Result<HashSet<String>, Failure> {
        self.ask(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut known = HashSet::new();
            for key in keys {
                if records.get((table, name, key.as_str()))?.is_some() {
                    known.insert(key.clone());
                }
            }
            Ok(known)
        })
    }

    fn note(&self, space: (&str, &str), records: &[PassageRecord], time: u64) -> Result<(), Failure> {
        let (table, name) = space;
        let is_full = self.ask(|database| {
            let transaction = database.begin_write()?;
            let mut count;
            {
                let (mut rows, mut spaces) = (transaction.open_table(RECORDS)?, transaction.open_table(SPACES)?);
                let last;
                (count, last) = spaces.get(space)?.map_or((0, 0), |row| row.value());
                for PassageRecord { key, group, loader } in records {
                    let before = rows.get((table, name, key.as_str()))?.map(|row| row.value().1.to_owned());
                    count += u64::from(before.is_none());
                    let group = before.as_deref().or(group.as_deref()).unwrap_or_default();
                    let row = (time, group, loader.as_deref().unwrap_or_default());
                    rows.insert((table, name, key.as_str()), row)?;
                }
                spaces.insert(space, (count, last.max(time)))?;
            }
            if count > MOST_RECORDS {
                transaction.abort()?;
                return Ok(true);
            }
            transaction.commit()?;
            Ok(false)
        })?;
        if is_full {
            return Err(Failure::flow(format!("A record manager keeps at most {MOST_RECORDS} records.")));
        }
        Ok(())
    }

    fn outdated(
        &self,
        (table, name): (&str, &str),
        before: u64,
        groups: Option<&HashSet<String>>,
        most: usize,
    ) -> Result<Vec<String>, Failure> {
        self.ask(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut found = Vec::new();
            for row in records.range((table, name, "")..)? {
                let (key, row) = row?;
                let ((of_table, of_name, key), (time, group, _)) = (key.value(), row.value());
                if (of_table, of_name) != (table, name) || found.len() == most {
                    break;
                }
                if time < before && groups.is_none_or(|groups| groups.contains(group)) {
                    found.push(key.to_owned());
                }
            }
            Ok(found)
        })
    }

    fn forget(&self, space: (&str, &str), keys: &[String]) -> Result<(), Failure> {
        let (table, name) = space;
        self.ask(|database| {
            let transaction = database.begin_write()?;
            {
                let (mut rows, mut spaces) = (transaction.open_table(RECORDS)?, transaction.open_table(SPACES)?);
                let (mut count, last) = spaces.get(space)?.map_or((0, 0), |row| row.value());
                for key in keys {
                    let was_there = rows.remove((table, name, key.as_str()))?.is_some();
                    count = count.saturating_sub(u64::from(was_there));
                }
                spaces.insert(space, (count, last))?;
            }
            Ok(transaction.commit()?)
        })
    }

    fn count(&self, space: (&str, &str)) -> Result<u64, Failure> {
        self.ask(|database| {
            let spaces = database.begin_read()?.open_table(SPACES)?;
            Ok(spaces.get(space)?.map_or(0, |row| row.value().0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, group: &str) -> PassageRecord {
        PassageRecord { key: key.to_owned(), group: Some(group.to_owned()), loader: None }
    }

    fn of(keys: &[&str]) -> HashSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn what_was_noted_before_is_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for store in [RecordFile::in_process(), RecordFile::in_folder(folder.path())] {
            let (space, other) = (("records", "a"), ("records", "ab"));
            let first = store.begin(space).unwrap();
            store.note(space, &[record("1", "x"), record("2", "y")], first).unwrap();
            store.note(other, &[record("1", "x")], first).unwrap();
            let second = store.begin(space).unwrap();
            assert!(second > first);
            let keys = ["1", "2", "3"].map(str::to_owned);
            assert_eq!(store.known(space, &keys).unwrap(), of(&["1", "2"]));
            // Its group stays what it was, as in Flowise.
            store.note(space, &[record("2", "z")], second).unwrap();
            assert_eq!(store.outdated(space, second, None, 10).unwrap(), ["1"]);
            assert!(store.outdated(space, second, Some(&of(&["y"])), 10).unwrap().is_empty());
            assert_eq!(store.outdated(space, second + 1, Some(&of(&["y"])), 10).unwrap(), ["2"]);
            assert_eq!(store.outdated(space, second + 1, None, 1).unwrap().len(), 1);
            store.forget(space, &["1".to_owned(), "3".to_owned()]).unwrap();
            assert_eq!((store.count(space).unwrap(), store.count(other).unwrap()), (1, 1));
        }
        assert_eq!(RecordFile::in_folder(folder.path()).count(("records", "a")).unwrap(), 1);
    }
}
