//! All that can be wrong with files, addresses and what lies in the folder, before anything is served.

use std::net::SocketAddr;
use std::sync::Arc;

use super::handover::{HeldListener, InheritedListeners, Predecessor};
use super::maintenance;
use super::usage::UsageMaintenance;
use super::{KeySource, StartError};
use crate::config::{Config, Problems};
use crate::engine;
use crate::policy::{Policy, Sources};
use crate::reload;
use crate::server;
use crate::snapshot::Snapshot;
use crate::state::SharedState;
use crate::state::ledger::Ledger;
use crate::telemetry::metrics::Metrics;

/// What workers and the control thread are made of.
pub(super) struct Prepared {
    pub(super) metrics: Arc<Metrics>,
    /// `None`: nothing is watched.
    pub(super) watched: Option<reload::Files>,
    pub(super) state: Arc<SharedState>,
    pub(super) snapshot: Snapshot,
    pub(super) listeners: Listeners,
    pub(super) ledger: Option<Ledger>,
    pub(super) usage: UsageMaintenance,
    pub(super) memory: Arc<dyn engine::Store>,
    pub(super) on_disk: Option<Arc<engine::OnDisk>>,
    pub(super) engine: Arc<engine::EngineThreads>,
}

impl Prepared {
    pub(super) fn read(
        config: Config,
        keys: KeySource,
        inherited: InheritedListeners,
        predecessor: Option<&Predecessor>,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new()?);
        let is_from_file = matches!(keys, KeySource::File);
        let watched = is_from_file.then(|| reload::Files::of(&config));
        let state = Arc::new(SharedState::start(&config, &metrics)?);
        let config = Arc::new(config);
        let mut sources = Sources::new(&config, &state.endpoints);
        let policy = match keys {
            KeySource::File => sources.read()?.0,
            KeySource::Fixed(keys) => sources.with_keys(Arc::new(keys))?,
        };
        reload::show_start(&policy, &metrics);
        let snapshot = Snapshot::bind(policy, &state);
        let listeners = Listeners::bind(&snapshot.config, inherited)?;
        // Everything that can be wrong with files is right; what lies in the folder is still the old process's.
        predecessor.map_or(Ok(()), Predecessor::wait_for_release).map_err(StartError::TakeOver)?;

        let ledger = maintenance::restore(&snapshot, &state)?;
        let usage = UsageMaintenance::begin(&snapshot.config, &state, &metrics);
        let ChatsMemory { memory, on_disk } = ChatsMemory::of(&snapshot, &state, &metrics, is_from_file)?;
        let engine = Arc::new(engine::EngineThreads::new(&metrics, Arc::clone(&memory)));
        if snapshot.has_engine() {
            engine.start(|| snapshot.config.engine_threads())?;
        }
        Ok(Self { metrics, watched, state, snapshot, listeners, ledger, usage, memory, on_disk, engine })
    }
}

/// What chats of the built-in engine remember.
struct ChatsMemory {
    memory: Arc<dyn engine::Store>,
    /// The same, if it lies in the folder.
    on_disk: Option<Arc<engine::OnDisk>>,
}

impl ChatsMemory {
    /// The folder is held from the start if a chat may need it, so that whatever is wrong with it is found then.
    fn of(policy: &Policy, state: &SharedState, metrics: &Arc<Metrics>, is_from_file: bool) -> Result<Self, Problems> {
        if let Some(store) = &state.store {
            return Ok(Self { memory: Arc::new(engine::InStore::new(store, &policy.config.state_dir)), on_disk: None });
        }
        if !is_from_file {
            return Ok(Self { memory: Arc::new(engine::InProcess::default()), on_disk: None });
        }
        let on_disk = Arc::new(engine::OnDisk::new(policy.config.state_dir.clone(), metrics));
        if policy.remembers() {
            on_disk.open().map_err(|error| policy.memory_problem(&error))?;
        }
        Ok(Self { memory: Arc::clone(&on_disk) as Arc<dyn engine::Store>, on_disk: Some(on_disk) })
    }
}

/// The sockets of all listeners, and the same once more for a successor.
pub(super) struct Listeners {
    pub(super) http: Option<server::Bound>,
    pub(super) https: Option<server::Bound>,
    pub(super) ext_auth: Option<server::Bound>,
    pub(super) admin: server::Bound,
    pub(super) held: Vec<HeldListener>,
}

impl Listeners {
    fn bind(config: &Config, mut inherited: InheritedListeners) -> Result<Self, StartError> {
        let (server, workers) = (&config.server, config.server.workers.get());
        let mut held = Vec::new();
        let mut take = |name, address, count| {
            let (bound, copies) = inherited.bind(name, address, count, bind)?;
            held.push(copies);
            Ok::<_, StartError>(bound)
        };
        let http = server.listen.map(|address| take("http", address, workers)).transpose()?;
        let https = server.tls.as_ref().map(|tls| take("https", tls.listen, workers)).transpose()?;
        let ext_auth = server.ext_auth.map(|ext_auth| take("ext_auth", ext_auth.listen, workers)).transpose()?;
        let admin = take("admin", config.admin.listen, 1)?;
        inherited.finish()?;
        Ok(Self { http, https, ext_auth, admin, held })
    }

    /// In the order of the fields.
    pub(super) fn addresses(&self) -> ([Option<SocketAddr>; 3], SocketAddr) {
        let bound = [&self.http, &self.https, &self.ext_auth];
        (bound.map(|bound| bound.as_ref().map(|bound| bound.address)), self.admin.address)
    }
}

fn bind(address: SocketAddr, count: usize) -> Result<server::Bound, StartError> {
    server::bind(address, count).map_err(|source| StartError::Listen { address, source })
}
