//! The keys that identity providers publish, as they were last read: kept over reloads for as long as the same provider has
//! them in the same place, and over an outage.
//!
//! The control thread reads them ([`identity`](crate::identity)). A request whose token names a key that is not there
//! asks for another reading, seldom enough that nobody can make the gateway ask on and on, and waits for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use crate::config::{IdentityProvider, IssuerKeySource};
use crate::jwt::KeySet;

/// Between two readings that requests have asked for.
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// Longest wait of a request for a reading.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests that wait for one provider's keys at once; more are told at once what they would be told then.
const MOST_WAITING: usize = 1000;

/// All issuers whose keys are read from elsewhere. One for the process.
#[derive(Debug)]
pub(crate) struct IssuerKeyTable {
    known: Mutex<Vec<Weak<IssuerKeys>>>,
    in_force: watch::Sender<Arc<[Arc<IssuerKeys>]>>,
}

/// One issuer's.
#[derive(Debug)]
pub(crate) struct IssuerKeys {
    pub(crate) provider: Arc<IdentityProvider>,
    current: ArcSwapOption<KeySet>,
    /// Somebody needs another reading.
    pub(crate) wanted: Notify,
    /// A reading is under way, or about to begin.
    is_reading: AtomicBool,
    /// The last reading has failed.
    is_lost: AtomicBool,
    /// How many readings have ended.
    readings: watch::Sender<u64>,
    /// When a request was last granted one.
    asked: Mutex<Option<Instant>>,
    waiting: AtomicUsize,
}

impl Default for IssuerKeyTable {
    fn default() -> Self {
        Self { known: Mutex::default(), in_force: watch::Sender::new(Arc::default()) }
    }
}

impl IssuerKeyTable {
    /// Of the providers of a policy that comes into force, each at its index; `None`: its keys are in a file.
    pub(crate) fn bind(&self, providers: &[Arc<IdentityProvider>]) -> Vec<Option<Arc<IssuerKeys>>> {
        let mut known = lock(&self.known);
        known.retain(|issuer| issuer.strong_count() > 0);
        let mut find = |provider: &Arc<IdentityProvider>| {
            if let IssuerKeySource::File(..) = provider.keys {
                return None;
            }
            let same = known.iter().filter_map(Weak::upgrade).find(|issuer| issuer.provider.has_keys_of(provider));
            Some(same.unwrap_or_else(|| {
                let issuer = Arc::new(IssuerKeys::new(Arc::clone(provider)));
                known.push(Arc::downgrade(&issuer));
                issuer
            }))
        };
        let bound: Vec<_> = providers.iter().map(&mut find).collect();
        self.in_force.send_replace(bound.iter().flatten().map(Arc::clone).collect());
        bound
    }

    /// Whose keys are to be read.
    pub(crate) fn in_force(&self) -> watch::Receiver<Arc<[Arc<IssuerKeys>]>> {
        self.in_force.subscribe()
    }
}

impl IssuerKeys {
    fn new(provider: Arc<IdentityProvider>) -> Self {
        Self {
            provider,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            // It begins at once.
            is_reading: AtomicBool::new(true),
            is_lost: AtomicBool::new(false),
            readings: watch::Sender::new(0),
            asked: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// `None`: they could not be read yet.
    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Whether the last reading has failed, so that what is there may be outdated.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// A reading begins.
    pub(crate) fn begin(&self) {
        self.is_reading.store(true, Ordering::Relaxed);
    }

    /// A reading has ended; `None`: without success, and what was there stays. `true`: these are other keys.
    pub(crate) fn read(&self, keys: Option<KeySet>) -> bool {
        self.is_lost.store(keys.is_none(), Ordering::Relaxed);
        let is_new = keys.as_ref().is_some_and(|keys| self.current.load().as_deref() != Some(keys));
        if let (true, Some(keys)) = (is_new, keys) {
            self.current.store(Some(Arc::new(keys)));
        }
        self.is_reading.store(false, Ordering::Relaxed);
        self.readings.send_modify(|readings| *readings += 1);
        is_new
    }

    /// How many readings have ended; to be asked before [`current`](Self::current) by whoever may want
    /// [`another`](Self::another).
    pub(crate) fn readings(&self) -> u64 {
        *self.readings.borrow()
    }

    /// Waits for the end of the reading that is under way, or else of another one, if it is time for that; for none if one
    /// has ended since there were `seen`. `None`: there is none to be had.
    pub(crate) fn another(self: &Arc<Self>, seen: u64) -> Option<impl Future<Output = ()> + use<>> {
        let place = WaitingPlace::take(self)?;
        // Seen from here on: the reading may end before anybody waits.
        let mut readings = self.readings.subscribe();
        let has_ended = *readings.borrow() != seen;
        if !has_ended {
            let mut asked = lock(&self.asked);
            let now = Instant::now();
            match *asked {
                _ if self.is_reading.load(Ordering::Relaxed) => {}
                Some(before) if now.duration_since(before) < ASKED_EVERY => return None,
                _ => {
                    *asked = Some(now);
                    self.begin();
                    self.wanted.notify_one();
                }
            }
        }
        Some(async move {
            let _place = place;
            if !has_ended {
                let _ = tokio::time::timeout(PATIENCE, readings.changed()).await;
            }
        })
    }
}

struct WaitingPlace(Arc<IssuerKeys>);

impl WaitingPlace {
    fn take(issuer: &Arc<IssuerKeys>) -> Option<Self> {
        let more = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        issuer.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(issuer)))
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is under these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::config::{ChatflowGrant, ClaimPath, HttpUrl, PlanGrant};

    fn issuer() -> Arc<IssuerKeys> {
        Arc::new(IssuerKeys::new(Arc::new(IdentityProvider {
            name: "staff".into(),
            issuer: None,
            keys: IssuerKeySource::Url(HttpUrl::parse("http://127.0.0.1/keys").unwrap()),
            ca: None,
            audience: Vec::new(),
            algorithms: Vec::new(),
            chatflows: ChatflowGrant::Listed(Arc::default()),
            plan: PlanGrant::Fixed(0),
            subject: ClaimPath("sub".into()),
            vars: Vec::new(),
            require: Vec::new(),
        })))
    }

    #[tokio::test]
    async fn who_looked_before_a_reading_ended_looks_again_at_once() {
        let issuer = issuer();
        issuer.read(None);
        let seen = issuer.readings();
        let first = issuer.another(seen).expect("the first reading that is asked for");
        issuer.read(None);
        assert_eq!(first.now_or_never(), Some(()));
        let late = issuer.another(seen).expect("one has ended since");
        assert_eq!(late.now_or_never(), Some(()));
        assert!(issuer.another(issuer.readings()).is_none(), "the next is due in ten seconds");
    }
}
