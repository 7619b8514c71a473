//! What one request runs on: a policy, with the state that its requests need, as one value.
//!
//! A reload binds a new policy to the process's state and swaps the two in. Each worker keeps an `Rc` of the current
//! snapshot, so a request takes it without a lock or a shared counter, and sees one set from start to end.

mod people;

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::IssuerKeySource;
use crate::jwt::KeySet;
use crate::policy::{Authorized, Flow, Policy};
use crate::state::SharedState;
use crate::state::issuer_keys::IssuerKeys;
use crate::state::limits::{Allowance, BoundLimits, LimitPolicy, Penalties, Visitors};
use crate::state::recent::BoundRecent;
use crate::state::usage::BoundUsage;
use crate::telemetry::warn_once::WarnOnce;
use crate::upstream::target::Target;
pub(crate) use people::KnownPeople;

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Grows with every snapshot; tells indices of one from those of another.
    pub(crate) generation: u64,
    policy: Policy,
    limits: BoundLimits,
    /// How much its keys use its chatflows.
    pub(crate) usage: BoundUsage,
    /// What has happened in the last minutes, for people who look.
    pub(crate) recent: BoundRecent,
    /// The Flowise upstreams, each at its index in the configuration.
    targets: Vec<Option<Arc<Target>>>,
    /// Keys of the identity providers that are not in a file, each at its index.
    issuers: Vec<Option<Arc<IssuerKeys>>>,
    /// Pages that are not listed, ids that Flowise does not know, and proxies that do not say who the client is, as far
    /// as the log has told.
    pub(crate) told_origins: WarnOnce,
    pub(crate) told_ids: WarnOnce,
    pub(crate) told_addresses: WarnOnce,
}

impl Deref for Snapshot {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Snapshot {
    /// Of a policy that comes into force: what it no longer has is forgotten.
    pub(crate) fn bind(policy: Policy, state: &SharedState) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let limits = state.limits.bind(&LimitPolicy {
            plans: &policy.config.plans,
            anonymous: &policy.anonymous,
            for_visitors: policy.plans_for_visitors(),
            keys: &policy.keys,
            auth_failures: policy.config.auth_failures,
        });
        state.ended_keys.set(policy.keys.cut_off());
        let people = || policy.config.identity.iter().map(|provider| Arc::clone(&provider.name));
        let usage = state.usage.bind(&policy.keys, people(), policy.chatflow_names());
        let recent = state.recent.bind(&policy.keys, people().collect(), policy.chatflow_names());
        let target = |upstream| Arc::new(Target::new(upstream, &state.endpoints));
        let targets: Vec<_> = policy.flowise().map(|upstream| upstream.map(target)).collect();
        state.endpoints.watch(targets.iter().flatten().flat_map(|target| target.watched()).collect());
        let issuers = state.issuer_keys.bind(&policy.config.identity);
        Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            targets,
            issuers,
            limits,
            usage,
            recent,
            policy,
            told_origins: WarnOnce::default(),
            told_ids: WarnOnce::default(),
            told_addresses: WarnOnce::default(),
        }
    }

    /// The Flowise that answers a chatflow, if one does.
    pub(crate) fn target(&self, flow: &Authorized<&Arc<Flow>>) -> Option<&Arc<Target>> {
        self.targets.get(flow.flow().config.upstream)?.as_ref()
    }

    /// The Flowise upstreams, each at its index in the configuration.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter().flatten()
    }

    /// Limits of the key with that index.
    pub(crate) fn allowance(&self, key: u32) -> Option<&Allowance> {
        self.limits.key(key)
    }

    /// Limits by visitor on that chatflow.
    pub(crate) fn visitors(&self, flow: Option<&Flow>) -> &Visitors {
        self.limits.visitors(flow.map(|flow| flow.config.plan))
    }

    /// Limits by visitor on the plan with that index.
    pub(crate) fn visitors_on(&self, plan: usize) -> &Visitors {
        self.limits.visitors(Some(plan))
    }

    /// Whose keys are read from elsewhere: of the identity provider with that index.
    pub(crate) fn issuer(&self, identity: u32) -> Option<&Arc<IssuerKeys>> {
        self.issuers.get(identity as usize)?.as_ref()
    }

    /// The keys of that identity provider; `None`: they could not be read yet.
    pub(crate) fn issuer_keys(&self, identity: u32) -> Option<Arc<KeySet>> {
        match &self.policy.config.identity.get(identity as usize)?.keys {
            IssuerKeySource::File(_, keys) => Some(Arc::clone(keys)),
            IssuerKeySource::Discovery(_) | IssuerKeySource::Url(_) => self.issuer(identity)?.current(),
        }
    }

    /// `None`: wrong keys are not counted.
    pub(crate) fn penalties(&self) -> Option<&Penalties> {
        self.limits.penalties()
    }
}

/// The current snapshot, for all threads.
pub(crate) type SharedSnapshot = Arc<SnapshotInForce>;

/// See [`SharedSnapshot`].
#[derive(Debug)]
pub(crate) struct SnapshotInForce {
    current: ArcSwap<Snapshot>,
    /// Former ones that somebody may hold.
    former: Mutex<Vec<Arc<Snapshot>>>,
    changed: watch::Sender<()>,
}

impl SnapshotInForce {
    pub(crate) fn new(snapshot: Snapshot) -> SharedSnapshot {
        let (former, changed) = (Mutex::default(), watch::Sender::default());
        Arc::new(Self { current: ArcSwap::from_pointee(snapshot), former, changed })
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    pub(crate) fn load_full(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts another one in force; returns the one before.
    pub(crate) fn replace(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let old = self.current.swap(snapshot);
        self.former().push(Arc::clone(&old));
        self.changed.send_replace(());
        old
    }

    /// Lets go of those that nobody holds any more: to free very many keys takes milliseconds, which a worker has not. To be
    /// called about once a second.
    pub(crate) fn let_go(&self) {
        let gone: Vec<_> = self.former().extract_if(.., |former| Arc::strong_count(former) == 1).collect();
        drop(gone);
    }

    /// A panic under the lock leaves a list that is as good as before.
    fn former(&self) -> MutexGuard<'_, Vec<Arc<Snapshot>>> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's share of a snapshot: cloned without touching a counter that other workers touch.
#[derive(Debug, Clone)]
pub(crate) struct Local(Rc<SnapshotRef>);

#[derive(Debug)]
struct SnapshotRef {
    snapshot: Arc<Snapshot>,
    people: KnownPeople,
}

impl Local {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Rc::new(SnapshotRef { snapshot, people: KnownPeople::default() }))
    }

    /// For another thread.
    pub(crate) fn shared(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.snapshot)
    }

    /// Whose tokens this worker has checked.
    pub(crate) fn people(&self) -> &KnownPeople {
        &self.0.people
    }
}

impl Deref for Local {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0.snapshot
    }
}

/// One worker's view of the current snapshot.
pub(crate) struct SnapshotReader {
    shared: SharedSnapshot,
    mine: RefCell<Local>,
}

impl SnapshotReader {
    pub(crate) fn new(shared: SharedSnapshot) -> Self {
        let mine = RefCell::new(Local::new(shared.load_full()));
        Self { shared, mine }
    }

    /// Takes over each new one, whether or not somebody asks; as long as the worker. One that nobody uses would keep its
    /// keys in memory beside those in force.
    pub(crate) async fn follow(self: Rc<Self>) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            drop(self.current());
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// To be called once per request, by the outermost layer.
    pub(crate) fn current(&self) -> Local {
        let now = self.shared.load();
        let mut mine = self.mine.borrow_mut();
        if !Arc::ptr_eq(&now, &mine.0.snapshot) {
            *mine = Local::new(Arc::clone(&now));
        }
        mine.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::policy::Sources;
    use crate::telemetry::metrics::Metrics;

    const CONFIG: &str = "server: { listen: '127.0.0.1:0' }
admin: { listen: '127.0.0.1:0' }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:3000'] } } }
plans: { default: { requests: 60/min, burst: 9 } }
chatflows: { support: { upstream: flowise, id: 5f3a1c52-7a47-4d3c-9f38-6f2f3c1f8a10 } }
";

    fn bind(folder: &Path, ids: &[char], state: &SharedState) -> Snapshot {
        let keys = ids.iter().map(|id| format!("  - {{ id: {id}, sha256: {} }}\n", id.to_string().repeat(64)));
        fs::write(folder.join("keys.yaml"), format!("keys:\n{}", keys.collect::<String>())).unwrap();
        let config = Arc::new(crate::config::Config::load(&folder.join("flowgate.yaml")).unwrap());
        Snapshot::bind(Sources::new(&config, &state.endpoints).read().unwrap().0, state)
    }

    #[test]
    fn state_goes_on_under_the_next_policy_wherever_things_stand_in_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("flowgate.yaml"), CONFIG).unwrap();
        let state = SharedState::new(&Metrics::new().unwrap());
        let first = bind(folder.path(), &['a', 'b'], &state);
        let second = bind(folder.path(), &['b', 'a'], &state);
        assert!(first.generation < second.generation);
        let left = |snapshot: &Snapshot, key| snapshot.allowance(key).unwrap().admit().now().decided().1;
        assert_eq!(left(&first, 0), "\"default\";r=8;t=1");
        assert_eq!(left(&second, 1), "\"default\";r=7;t=2");
        assert_eq!(left(&first, 0), "\"default\";r=6;t=3", "a request on the snapshot before counts as well");
        assert_eq!(left(&second, 0), "\"default\";r=8;t=1");
        let url = |snapshot: &Snapshot| snapshot.targets[0].as_ref().unwrap().watched().next().unwrap().url;
        assert!(Arc::ptr_eq(&url(&first), &url(&second)));
    }

    #[tokio::test]
    async fn one_that_is_over_is_freed_though_nobody_asks_anything() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("flowgate.yaml"), CONFIG).unwrap();
        let state = SharedState::new(&Metrics::new().unwrap());
        let snapshots = SnapshotInForce::new(bind(folder.path(), &['a'], &state));
        let reader = Rc::new(SnapshotReader::new(Arc::clone(&snapshots)));
        let request = reader.current();
        let old = Arc::downgrade(&snapshots.replace(Arc::new(bind(folder.path(), &['b'], &state))));
        let following = async {
            while reader.mine.borrow().generation == request.generation {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = Rc::clone(&reader).follow() => panic!("it goes on"),
            () = following => {}
        }
        snapshots.let_go();
        assert!(old.upgrade().is_some(), "a request has it");
        drop(request);
        snapshots.let_go();
        assert!(old.upgrade().is_none());
    }
}
