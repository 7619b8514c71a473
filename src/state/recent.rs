//! What has happened in the last minutes, for people who look: what became of requests by chatflow, when keys were used,
//! and the last requests that were refused or failed. In bounded memory, and gone with the process.
//!
//! | file | what it is |
//! |---|---|
//! | [`window`] | one chatflow's last minutes |
//! | [`key_use`] | when each key was last used, and each identity provider's tokens |
//! | [`refusals`] | the last requests that got a no |

mod key_use;
mod refusals;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

pub(crate) use key_use::KeyUse;
pub(crate) use refusals::{RefusalEntry, RefusalRing};
pub(crate) use window::{FlowWindow, RequestOutcome, SPAN, WindowTotals};

use crate::keys::KeyStore;

/// See the module. One for the process.
#[derive(Debug)]
pub(crate) struct RecentState {
    started: Instant,
    started_at: Timestamp,
    pub(crate) refusals: RefusalRing,
    known: Mutex<KnownRecent>,
}

#[derive(Debug, Default)]
struct KnownRecent {
    windows: HashMap<Arc<str>, Arc<FlowWindow>>,
    keys: Arc<KeyUse>,
}

/// The part of one policy, indexed as its chatflows and its keys are.
#[derive(Debug)]
pub(crate) struct BoundRecent {
    windows: Box<[Arc<FlowWindow>]>,
    keys: Arc<KeyUse>,
}

impl Default for RecentState {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            started_at: Timestamp::now(),
            refusals: RefusalRing::default(),
            known: Mutex::default(),
        }
    }
}

impl RecentState {
    /// Of a policy that comes into force. What it no longer has is forgotten.
    pub(crate) fn bind(
        &self,
        keys: &Arc<KeyStore>,
        providers: Vec<Arc<str>>,
        chatflows: impl Iterator<Item = Arc<str>>,
    ) -> BoundRecent {
        let mut known = self.known();
        let mut windows = HashMap::new();
        let mut bound = Vec::new();
        for name in chatflows {
            let window = known.windows.get(&name).cloned().unwrap_or_default();
            windows.insert(name, Arc::clone(&window));
            bound.push(window);
        }
        known.windows = windows;
        known.keys = KeyUse::after(&known.keys, keys, providers);
        BoundRecent { windows: bound.into(), keys: Arc::clone(&known.keys) }
    }

    /// Seconds that the process has run, at that moment.
    pub(crate) fn seconds(&self, moment: Instant) -> u32 {
        let elapsed = moment.saturating_duration_since(self.started);
        u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the process began.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The time of that second of the process.
    pub(crate) fn time_of(&self, seconds: u32) -> Timestamp {
        let after = SignedDuration::from_secs(seconds.into());
        self.started_at.checked_add(after).unwrap_or(self.started_at)
    }

    fn known(&self) -> MutexGuard<'_, KnownRecent> {
        // A panic under the lock leaves tables that are as good as before.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoundRecent {
    /// Of the chatflow with that index.
    pub(crate) fn window(&self, chatflow: u32) -> Option<&FlowWindow> {
        self.windows.get(chatflow as usize).map(|window| &**window)
    }

    pub(crate) fn keys(&self) -> &KeyUse {
        &self.keys
    }
}
