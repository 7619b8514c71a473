//! Chats that survive a restart, from the first that is remembered on.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::write_behind::WriteBehindStore;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{Store, Turn};
use crate::telemetry::metrics::Metrics;

/// Survives a restart: kept in a folder, which is made and taken hold of by whoever remembers first.
#[derive(Debug)]
pub(crate) struct OnDisk {
    folder: PathBuf,
    metrics: Arc<Metrics>,
    kept: OnceLock<WriteBehindStore>,
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

    fn kept(&self) -> io::Result<&WriteBehindStore> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let kept = WriteBehindStore::open(&self.folder, &self.metrics)?;
        Ok(self.kept.get_or_init(|| kept))
    }

    fn in_use(&self) -> Result<&WriteBehindStore, Failure> {
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

    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        self.in_use()?.run(flow, session)
    }

    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure> {
        self.in_use()?.keep_run(flow, session, run)
    }

    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure> {
        self.in_use()?.replace_run(flow, session, known, next)
    }

    fn finish(&self) {
        if let Some(kept) = self.kept.get() {
            kept.finish();
        }
    }
}
