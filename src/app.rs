//! Puts the parts together: workers, the control thread, and the way down.

mod maintenance;
mod usage;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::config::{Config, Problems};
use crate::engine;
use crate::keys::KeyStore;
use crate::policy::{Policy, Sources};
use crate::reload::{self, Reloader};
use crate::server::{self, Admission, Phase, Worker};
use crate::snapshot::{SharedSnapshot, Snapshot};
use crate::state::SharedState;
use crate::state::ledger::Ledger;
use crate::state::valkey::SharedStore;
use crate::telemetry::access_log::LogWriter;
use crate::telemetry::logging::LogReload;
use crate::telemetry::metrics::Metrics;
use crate::upstream::checks;
use maintenance::Maintenance;
use usage::UsageMaintenance;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] Problems),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start a thread or its runtime")]
    Thread(#[from] io::Error),
    #[error("cannot declare the metrics")]
    Metrics(#[from] prometheus::Error),
}

/// Where keys come from.
pub(crate) enum KeySource {
    /// The keys file of the configuration, watched like the configuration itself.
    File,
    /// These, for good; nothing is watched.
    Fixed(KeyStore),
}

/// A running gateway. Dropping it does not stop it; [`drain`](Self::drain) does.
#[derive(Debug)]
pub struct Gateway {
    /// The cleartext listener, if any.
    pub http: Option<SocketAddr>,
    /// The TLS listener, if any.
    pub https: Option<SocketAddr>,
    /// The listener for external authorisation, if any.
    pub ext_auth: Option<SocketAddr>,
    pub admin: SocketAddr,
    phase: watch::Sender<Phase>,
    reload: mpsc::Sender<reload::Now>,
    workers: Vec<JoinHandle<io::Result<usize>>>,
    workers_done: mpsc::Receiver<()>,
    control: JoinHandle<()>,
    log: LogWriter,
    snapshots: SharedSnapshot,
    engine: Arc<engine::EngineThreads>,
    store: Option<Arc<SharedStore>>,
}

/// Starts a gateway on a configuration read from a file, which is watched from then on.
///
/// # Errors
/// Keys or certificates are wrong, an address is taken, or the system refuses threads.
pub fn start(config: Config) -> Result<Gateway, StartError> {
    start_with(config, KeySource::File, None)
}

pub(crate) fn start_with(config: Config, keys: KeySource, logging: Option<LogReload>) -> Result<Gateway, StartError> {
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
    let server = snapshot.config.server.clone();
    let workers = server.workers.get();
    let cleartext = server.listen.map(|address| bind(address, workers)).transpose()?;
    let tls = server.tls.as_ref().map(|tls| bind(tls.listen, workers)).transpose()?;
    let ext_auth = server.ext_auth.map(|ext_auth| bind(ext_auth.listen, workers)).transpose()?;
    let admin_socket = bind(snapshot.config.admin.listen, 1)?;

    let ledger = maintenance::restore(&snapshot, &state)?;
    let usage = UsageMaintenance::begin(&snapshot.config, &state, &metrics);
    let memory: Arc<dyn engine::Store> = match &state.store {
        Some(store) => Arc::new(engine::InStore::new(store)),
        None if is_from_file => kept(&snapshot, &metrics)?,
        None => Arc::new(engine::InProcess::default()),
    };
    let engine = Arc::new(engine::EngineThreads::new(&metrics, memory));
    if snapshot.has_engine() {
        engine.start(|| snapshot.config.engine_threads())?;
    }

    let snapshots: SharedSnapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let (phase, phase_seen) = watch::channel(Phase::Running);
    let log = LogWriter::start()?;
    let (worker_alive, workers_done) = mpsc::channel(1);
    let [(http, mut cleartext), (https, mut tls), (ext_auth_address, mut ext_auth)] = [cleartext, tls, ext_auth]
        .map(|bound| bound.map_or_else(Default::default, |bound| (Some(bound.address), bound.sockets)));
    let admin = admin_socket.address;
    metrics.connections.limit.set(i64::try_from(server.max_connections).unwrap_or(i64::MAX));
    let admission = Admission::new(server.max_connections, workers, metrics.connections.waiting.clone());
    let mut threads = Vec::with_capacity(workers);
    for number in 0..workers {
        let worker = Worker {
            cleartext: cleartext.pop(),
            tls: tls.pop(),
            ext_auth: ext_auth.pop(),
            snapshots: Arc::clone(&snapshots),
            metrics: Arc::clone(&metrics),
            chats: Arc::clone(&state.chats),
            engine: Arc::clone(&engine),
            log: log.handle(),
            admission: Arc::clone(&admission),
            number,
            phase: phase_seen.clone(),
        };
        let alive = worker_alive.clone();
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || {
            let _alive = alive;
            worker.run()
        })?);
    }
    let (reload, reload_wanted) = mpsc::channel(1);
    let reloader = watched
        .map(|files| Reloader::new(files, Arc::clone(&snapshots), Arc::clone(&state), Arc::clone(&metrics), logging));
    let store = state.store.clone();
    let control = Control {
        admin: admin_socket.sockets,
        admission,
        metrics,
        snapshots: Arc::clone(&snapshots),
        state,
        ledger,
        usage,
        phase: phase_seen,
    };
    let control = std::thread::Builder::new().name("control".into()).spawn({
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        move || run_to_end(runtime, control.run(reloader, reload_wanted))
    })?;
    Ok(Gateway {
        http,
        https,
        ext_auth: ext_auth_address,
        admin,
        phase,
        reload,
        workers: threads,
        workers_done,
        control,
        log,
        snapshots,
        engine,
        store,
    })
}

/// What chats of the built-in engine remember. The folder is held from the start if a chat may need it, so that
/// whatever is wrong with it is found then.
fn kept(policy: &Policy, metrics: &Arc<Metrics>) -> Result<Arc<dyn engine::Store>, Problems> {
    let memory = engine::OnDisk::new(policy.config.state_dir.clone(), metrics);
    if policy.remembers() {
        memory.open().map_err(|error| policy.memory_problem(&error))?;
    }
    Ok(Arc::new(memory))
}

/// Without waiting for what is read on threads of its own: a disk that does not answer must not keep the process.
fn run_to_end<T>(runtime: tokio::runtime::Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

fn bind(address: SocketAddr, count: usize) -> Result<server::Bound, StartError> {
    server::bind(address, count).map_err(|source| StartError::Listen { address, source })
}

/// Everything that is not on the request path, on one thread of its own.
struct Control {
    admin: Vec<std::net::TcpListener>,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    snapshots: SharedSnapshot,
    state: Arc<SharedState>,
    ledger: Option<Ledger>,
    usage: UsageMaintenance,
    phase: watch::Receiver<Phase>,
}

impl Control {
    async fn run(self, reloader: Option<Reloader>, wanted: mpsc::Receiver<reload::Now>) {
        for socket in self.admin {
            tokio::spawn(admin::serve(
                socket,
                Arc::clone(&self.metrics),
                Arc::clone(&self.admission),
                self.phase.clone(),
                self.state.store.as_ref().map(|store| Arc::clone(store.health())),
            ));
        }
        if let Some(reloader) = reloader {
            tokio::spawn(reload::watch(reloader, wanted));
        }
        // The provider gathers entropy for some 30 ms when it is first asked for randomness: neither while a client waits,
        // nor while the workers start.
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            aws_lc_rs::rand::fill(&mut [0])
        });
        let mut phase = self.phase;
        let endpoints = Arc::clone(&self.state.endpoints);
        let mut maintenance = Maintenance::new(self.snapshots, self.state, self.metrics, self.ledger, self.usage);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Metrics and health are served until the last worker has ended and the gateway is dropped.
        let until_dropped = async {
            loop {
                tokio::select! {
                    changed = phase.changed() => if changed.is_err() { break },
                    _ = tick.tick() => maintenance.run().await,
                }
            }
        };
        tokio::select! {
            () = until_dropped => {}
            () = checks::run(&endpoints) => {}
        }
        maintenance.finish().await;
    }
}

impl Gateway {
    /// Reads all files again, as SIGHUP does, and waits until that is done. `false`: the old set stays in force.
    pub async fn reload(&self) -> bool {
        let (done, outcome) = tokio::sync::oneshot::channel();
        self.reload.send(reload::Now(Some(done))).await.is_ok() && outcome.await.unwrap_or(false)
    }

    /// The same without waiting: whoever heeds signals must go on heeding them.
    pub fn reload_soon(&self) {
        // Full: one is due already.
        let _ = self.reload.try_send(reload::Now(None));
    }

    /// Stops accepting, lets requests and streams finish for `server.shutdown_grace`, then ends the rest. Returns how
    /// many connections were cut.
    pub async fn drain(mut self) -> usize {
        let grace = self.snapshots.load().config.server.shutdown_grace;
        self.phase.send_replace(Phase::Draining);
        // Closed once every worker has ended.
        if tokio::time::timeout(grace, self.workers_done.recv()).await.is_err() {
            self.phase.send_replace(Phase::Ending);
            self.workers_done.recv().await;
        }
        let mut cut = 0;
        for worker in self.workers {
            match worker.join() {
                Ok(Ok(connections)) => cut += connections,
                Ok(Err(error)) => tracing::error!(%error, "a worker failed"),
                Err(_) => tracing::error!("a worker panicked"),
            }
        }
        self.engine.stop().await;
        drop(self.phase);
        drop(self.reload);
        let _ = self.control.join();
        // Last: what is still to be told is told by then.
        if let Some(store) = self.store {
            store.close();
        }
        self.log.finish();
        cut
    }

    /// Completes when a worker has ended although nobody asked for it.
    pub async fn failed(&mut self) {
        self.workers_done.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_waits_for_no_read_that_does_not_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, read) = mpsc::channel::<()>();
        let (began, reading) = mpsc::channel();
        run_to_end(runtime, async move {
            tokio::task::spawn_blocking(move || {
                began.send(()).unwrap();
                read.recv()
            });
            tokio::task::spawn_blocking(move || reading.recv()).await.unwrap().unwrap();
        });
        // Only now.
        drop(answer);
    }
}
