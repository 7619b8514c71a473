//! Puts the parts together: workers, the control thread, and the way down.

mod control;
pub(crate) mod descriptors;
mod handover;
mod maintenance;
mod prepared;
mod traces;
mod usage;

pub(crate) use crate::server::Watchdog;
pub(crate) use handover::{HandOver, HandOverError, InheritedListeners, Predecessor, PredecessorEnd};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{self, Config, Problems};
use crate::engine;
use crate::keys::KeyStore;
use crate::reload::{self, ReloadJournal, Reloader};
use crate::server::{self, Admission, InsideCall, Phase, ThreadHeartbeat, Worker};
use crate::service::notify;
use crate::service::successor::StartCommand;
use crate::snapshot::{SharedSnapshot, SnapshotInForce};
use crate::state::valkey::SharedStore;
use crate::telemetry::access_log::LogWriter;
use crate::telemetry::logging::LogReload;
use crate::telemetry::metrics::Metrics;
use control::Control;
use handover::{Giving, StateOwners, UnfitSocket};
use prepared::{Listeners, Prepared};
use traces::TraceExport;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] Problems),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    /// Sockets that were handed over cannot be used.
    #[error(transparent)]
    Socket(Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot take over from the old process")]
    TakeOver(#[source] io::Error),
    #[error("cannot start a thread or its runtime")]
    Thread(#[from] io::Error),
    #[error("cannot declare the metrics")]
    Metrics(#[from] prometheus::Error),
}

impl From<UnfitSocket> for StartError {
    fn from(unfit: UnfitSocket) -> Self {
        Self::Socket(Box::new(unfit))
    }
}

/// Where keys come from.
pub(crate) enum KeySource {
    /// The keys file of the configuration, watched like the configuration itself.
    File,
    /// These, for good; nothing is watched.
    Fixed(KeyStore),
}

/// Who has started this process, and what it was given.
#[derive(Debug, Default)]
pub(crate) struct StartOrigin {
    pub(crate) listeners: InheritedListeners,
    /// `None`: it takes nobody's place.
    pub(crate) predecessor: Option<Predecessor>,
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
    reload: mpsc::Sender<reload::ReloadNow>,
    workers: Vec<JoinHandle<io::Result<usize>>>,
    workers_done: mpsc::Receiver<()>,
    control: JoinHandle<()>,
    log: LogWriter,
    snapshots: SharedSnapshot,
    engine: Arc<engine::EngineThreads>,
    memory: Arc<dyn engine::Store>,
    store: Option<Arc<SharedStore>>,
    giving: Giving,
    predecessor: Option<Predecessor>,
    watchdog: Option<Watchdog>,
}

/// Starts a gateway on a configuration read from a file, which is watched from then on.
///
/// # Errors
/// Keys or certificates are wrong, an address is taken, or the system refuses threads.
pub fn start(config: Config) -> Result<Gateway, StartError> {
    start_with(config, KeySource::File, None, StartOrigin::default())
}

pub(crate) fn start_with(
    config: Config,
    keys: KeySource,
    logging: Option<LogReload>,
    StartOrigin { listeners, predecessor }: StartOrigin,
) -> Result<Gateway, StartError> {
    let prepared = Prepared::read(config, keys, listeners, predecessor.as_ref())?;
    let Prepared { metrics, watched, state, snapshot, listeners, ledger, usage, memory, on_disk, engine } = prepared;
    let (workers, addresses) = (snapshot.config.server.workers.get(), listeners.addresses());
    let admission = admission(&snapshot.config.server, &metrics);
    let snapshots: SharedSnapshot = SnapshotInForce::new(snapshot);
    let (phase, phase_seen) = watch::channel(Phase::Running);
    let log = LogWriter::start()?;
    let (worker_alive, workers_done) = mpsc::channel(1);
    let (spans, traces) = TraceExport::new(&snapshots, &metrics);
    let Listeners { http, https, ext_auth, admin, held } = listeners;
    let share = |bound: Option<server::Bound>| bound.map_or(Ok(Vec::new()), |bound| bound.among(workers));
    let (mut cleartext, mut tls, mut ext_auth) = (share(http)?, share(https)?, share(ext_auth)?);
    let (watchdog, mut beats) = watchdog(workers);
    let (inside, mut calls) = inside_calls();
    let mut threads = Vec::with_capacity(workers);
    for number in 0..workers {
        let worker = Worker {
            cleartext: cleartext.pop().unwrap_or_default(),
            tls: tls.pop().unwrap_or_default(),
            ext_auth: ext_auth.pop().unwrap_or_default(),
            snapshots: Arc::clone(&snapshots),
            metrics: Arc::clone(&metrics),
            chats: Arc::clone(&state.chats),
            ended_keys: Arc::clone(&state.ended_keys),
            recent: Arc::clone(&state.recent),
            engine: Arc::clone(&engine),
            log: log.handle(),
            spans: spans.clone(),
            admission: Arc::clone(&admission),
            number,
            phase: phase_seen.clone(),
            inside: calls.take(),
            watchdog: beats.next(),
        };
        threads.push(begin(worker, worker_alive.clone())?);
    }
    let ((reload, reload_wanted), (counts, commands)) = (mpsc::channel(1), mpsc::channel(COMMANDS));
    let giving = Giving::new(held, StateOwners { counts, chats: on_disk }, &metrics);
    let (journal, store) = (Arc::new(ReloadJournal::default()), state.store.clone());
    let reloader = watched.map(|files| {
        let (snapshots, state, metrics) = (Arc::clone(&snapshots), Arc::clone(&state), Arc::clone(&metrics));
        Reloader::new(files, snapshots, state, metrics, logging, Arc::clone(&journal))
    });
    let control = Control {
        admin: admin.among(1)?.into_iter().flatten().collect(),
        admission,
        inside,
        journal,
        metrics,
        snapshots: Arc::clone(&snapshots),
        state,
        ledger,
        usage,
        traces,
        phase: phase_seen,
        beat: beats.next(),
    };
    let control = control.start(reloader, reload_wanted, commands)?;
    let ([http, https, ext_auth], admin) = addresses;
    Ok(Gateway {
        http,
        https,
        ext_auth,
        admin,
        phase,
        reload,
        workers: threads,
        workers_done,
        control,
        log,
        snapshots,
        engine,
        memory,
        store,
        giving,
        predecessor,
        watchdog,
    })
}

/// Who gets a connection.
fn admission(server: &config::Server, metrics: &Metrics) -> Arc<Admission> {
    metrics.connections.limit.set(i64::try_from(server.max_connections).unwrap_or(i64::MAX));
    Admission::new(server.max_connections, server.workers.get(), metrics.connections.waiting.clone())
}

/// Runs a worker on a thread of its own, which holds `alive` until it has ended.
fn begin(worker: Worker, alive: mpsc::Sender<()>) -> io::Result<JoinHandle<io::Result<usize>>> {
    let thread = std::thread::Builder::new().name(format!("worker-{}", worker.number));
    thread.spawn(move || {
        let _alive = alive;
        worker.run()
    })
}

/// Requests of the console itself: who sends them, and the one worker that answers. A few wait.
fn inside_calls() -> (mpsc::Sender<InsideCall>, Option<mpsc::Receiver<InsideCall>>) {
    let (inside, calls) = mpsc::channel(8);
    (inside, Some(calls))
}

/// For the control thread to obey; more wait.
const COMMANDS: usize = 16;
/// A thread that must not stand still beats so often within the time that systemd waits.
const BEATS: u32 = 6;

/// If systemd watches: who looks whether threads still work, and a part for each worker, then for the control thread.
fn watchdog(workers: usize) -> (Option<Watchdog>, impl Iterator<Item = ThreadHeartbeat>) {
    let names = (0..workers).map(|number| format!("worker-{number}")).chain(["control".to_owned()]);
    let (watchdog, beats) = notify::watchdog().map(|time| Watchdog::new(names.collect(), time / BEATS)).unzip();
    (watchdog, beats.unwrap_or_default().into_iter())
}

impl Gateway {
    /// Reads all files again, as SIGHUP does, and waits until that is done. `false`: the old set stays in force.
    pub async fn reload(&self) -> bool {
        let (done, outcome) = oneshot::channel();
        self.reload.send(reload::ReloadNow(Some(done))).await.is_ok() && outcome.await.unwrap_or(false)
    }

    /// The same without waiting: whoever heeds signals must go on heeding them. `None`: one is due already.
    pub(crate) fn reload_soon(&self) -> Option<oneshot::Receiver<bool>> {
        let (done, outcome) = oneshot::channel();
        self.reload.try_send(reload::ReloadNow(Some(done))).ok().map(|()| outcome)
    }

    /// Who looks whether threads still work, if systemd wants to know. To be called once.
    pub(crate) fn take_watchdog(&mut self) -> Option<Watchdog> {
        self.watchdog.take()
    }

    /// If this process takes another's place: waits until that accepts nothing more, and hears what it has to tell.
    ///
    /// # Errors
    /// It went on, or has gone.
    pub(crate) fn take_over(&mut self) -> Result<(), StartError> {
        let Some(predecessor) = self.predecessor.take() else { return Ok(()) };
        predecessor.wait_for_go().map_err(StartError::TakeOver)?;
        self.giving.metrics.done.inc();
        self.giving.before = predecessor.hear(self.giving.owners.counts.clone(), Arc::clone(&self.memory))?;
        Ok(())
    }

    /// The process whose place this one took.
    pub(crate) fn before(&self) -> PredecessorEnd {
        self.giving.before.clone()
    }

    /// Begins to give everything to the program as it is on disk now.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn hand_over(&self, command: StartCommand) -> io::Result<HandOver> {
        self.giving.begin(command)
    }

    /// After a hand-over: accepts nothing, and ends with the last request or stream, as [`drain`](Self::drain) does.
    pub(crate) async fn leave(self) -> usize {
        self.end(Phase::Leaving).await
    }

    /// Stops accepting, lets requests and streams finish for `server.shutdown_grace`, then ends the rest. Returns how
    /// many connections were cut.
    pub async fn drain(self) -> usize {
        self.end(Phase::Draining).await
    }

    async fn end(mut self, phase: Phase) -> usize {
        let grace = self.snapshots.load().config.server.shutdown_grace;
        self.phase.send_replace(phase);
        // A queue that nobody accepts from would keep its clients waiting.
        drop(self.giving);
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
