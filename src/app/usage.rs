//! Keeps what keys use, where there is a folder for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::Config;
use crate::state::SharedState;
use crate::state::usage::{UsageDay, UsageFile, UsageHistory};
use crate::telemetry::metrics::Metrics;

/// A large history is written less often: writing is to take one part in so many of the time.
const SHARE: u32 = 20;

/// Whether there is another time to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteTime {
    WhenDue,
    Now,
}

/// See the module.
pub(super) struct UsageMaintenance {
    state: Arc<SharedState>,
    metrics: Arc<Metrics>,
    file: Option<UsageFile>,
    /// What is not in the file's history yet.
    unwritten: UsageHistory,
    /// There was a folder for it, and what was in it has been taken up.
    is_begun: bool,
    /// The last attempt to write failed: it is logged once, and repeated.
    failing: bool,
    /// When it is written again, at the earliest.
    due: Instant,
}

/// What came of an attempt.
struct KeepOutcome {
    file: Option<UsageFile>,
    /// What was there already, if it was opened.
    found: Option<UsageHistory>,
    unwritten: UsageHistory,
    took: Duration,
    written: io::Result<()>,
}

impl UsageMaintenance {
    /// Takes up what was kept. Whatever is wrong with it stops nothing.
    pub(super) fn begin(config: &Config, state: &Arc<SharedState>, metrics: &Arc<Metrics>) -> Self {
        let (state, metrics) = (Arc::clone(state), Arc::clone(metrics));
        let (file, unwritten) = (None, UsageHistory::default());
        let due = Instant::now();
        let mut this = Self { state, metrics, file, unwritten, is_begun: false, failing: false, due };
        if is_wanted(config) {
            match UsageFile::open(&config.state_dir) {
                Ok(file) => {
                    this.begin_with(file.history());
                    this.file = Some(file);
                }
                Err(error) => this.tell(&config.state_dir, Err(error)),
            }
        }
        this
    }

    fn begin_with(&mut self, found: &UsageHistory) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.state.usage.restore(found, &UsageDay::of(Timestamp::now()));
        }
    }

    /// The folder is another process's from now on.
    pub(super) fn let_go(&mut self) {
        self.file = None;
    }

    /// What was used since the last time, for whoever keeps it.
    pub(super) fn drained(&mut self) -> UsageHistory {
        let day = UsageDay::of(Timestamp::now());
        self.state.usage.drain(&day, |key, chatflow, used| self.unwritten.add(&day, key, chatflow, used));
        std::mem::take(&mut self.unwritten)
    }

    /// Adds what another process has counted.
    pub(super) fn take_up(&mut self, used: UsageHistory) {
        self.state.usage.restore(&used, &UsageDay::of(Timestamp::now()));
        self.unwritten.merge(used);
    }

    /// Adds what was used since the last time to what is kept.
    pub(super) async fn run(&mut self, config: &Config, time: WriteTime) {
        let day = UsageDay::of(Timestamp::now());
        self.state.usage.drain(&day, |key, chatflow, used| self.unwritten.add(&day, key, chatflow, used));
        if self.unwritten.is_empty() && !self.failing {
            return;
        }
        if time == WriteTime::WhenDue && Instant::now() < self.due {
            return;
        }
        let (file, unwritten) = (self.file.take(), std::mem::take(&mut self.unwritten));
        if !self.is_begun && !is_wanted(config) {
            return;
        }
        // The disk may take its time; metrics and health go on meanwhile.
        let folder = config.state_dir.clone();
        match tokio::task::spawn_blocking(move || keep(file, &folder, unwritten)).await {
            Ok(KeepOutcome { file, found, unwritten, took, written }) => {
                (self.file, self.unwritten) = (file, unwritten);
                if let Some(found) = found {
                    self.begin_with(&found);
                }
                self.due = Instant::now() + took * SHARE;
                self.tell(&config.state_dir, written);
            }
            Err(error) => tracing::error!(%error, "what keys use was not written"),
        }
    }

    fn tell(&mut self, folder: &Path, written: io::Result<()>) {
        match written {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("what keys use is kept again");
                }
            }
            Err(error) => {
                self.metrics.usage_write_failures.inc();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(folder = %folder.display(), %error, "what keys use cannot be kept");
                }
            }
        }
    }
}

/// Where there is no folder, nobody has asked for anything to be kept, and none is made.
fn is_wanted(config: &Config) -> bool {
    !config.is_demo() && config.state_dir.is_dir()
}

/// Adds to the history, in a folder that a reload may have named since the last time.
fn keep(file: Option<UsageFile>, folder: &Path, mut unwritten: UsageHistory) -> KeepOutcome {
    let begun = Instant::now();
    let same = file.filter(|file| file.is_of(folder));
    let is_open = same.is_some();
    match same.map_or_else(|| UsageFile::open(folder), Ok) {
        Ok(mut file) => {
            let found = (!is_open).then(|| file.history().clone());
            let written = file.add(unwritten);
            KeepOutcome { file: Some(file), found, unwritten: UsageHistory::default(), took: begun.elapsed(), written }
        }
        Err(error) => {
            unwritten.trim();
            KeepOutcome { file: None, found: None, unwritten, took: begun.elapsed(), written: Err(error) }
        }
    }
}
