//! A worker: one thread, one single-threaded runtime, its own listeners, connections and upstream pool.
//!
//! Nothing moves between workers; what they share are atomics and the current snapshot. What computes for long is not
//! done here: flows of the built-in engine run on threads of their own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Share};
use super::connection::{Accepted, Acceptor};
use super::inside::{self, InsideCall};
use super::malformed::MalformedHeads;
use super::signal::{Phase, Signal};
use super::unserved::Unserved;
use super::watchdog::ThreadHeartbeat;
use crate::engine;
use crate::snapshot;
use crate::stack::{self, Environment, ListenerKind, Stack, StreamCuts};
use crate::state::chats::Chats;
use crate::state::ended_keys::EndedKeys;
use crate::state::recent::RecentState;
use crate::telemetry::access_log::{AccessLog, LogHandle};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::series::{Histograms, RequestCounters};
use crate::telemetry::traces::SpanQueue;
use crate::upstream::abort::Aborts;
use crate::upstream::forward::UpstreamClient;
use crate::wire::forwarded::is_trusted;

/// After a failed accept: the usual cause is running out of descriptors, which a pause may free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// For the last words of streams that are cut, and for telling Flowise.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A worker that has not begun; moved to its thread.
pub(crate) struct Worker {
    pub(crate) cleartext: Vec<TcpListener>,
    pub(crate) tls: Vec<TcpListener>,
    pub(crate) ext_auth: Vec<TcpListener>,
    pub(crate) snapshots: snapshot::SharedSnapshot,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) chats: Arc<Chats>,
    pub(crate) ended_keys: Arc<EndedKeys>,
    pub(crate) recent: Arc<RecentState>,
    /// Where flows of the built-in engine run.
    pub(crate) engine: Arc<engine::EngineThreads>,
    pub(crate) log: LogHandle,
    pub(crate) spans: SpanQueue,
    pub(crate) admission: Arc<Admission>,
    /// Of all workers, counted from 0.
    pub(crate) number: usize,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Requests of the process itself; one worker answers them.
    pub(crate) inside: Option<mpsc::Receiver<InsideCall>>,
    /// For whoever looks whether this worker still works; `None`: nobody does.
    pub(crate) watchdog: Option<ThreadHeartbeat>,
}

impl Worker {
    /// Serves until the gateway has drained or is cut. Returns how many connections were cut.
    ///
    /// # Errors
    /// The runtime cannot be made, or a listener cannot be registered with it.
    pub(crate) fn run(self) -> io::Result<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> io::Result<usize> {
        let cut = CancellationToken::new();
        let signal = Signal::new();
        let (environment, aborted) = self.environment(cut.clone());
        let heads = MalformedHeads {
            log: environment.access_log.clone(),
            recent: Arc::clone(&self.recent),
            snapshots: Arc::clone(&self.snapshots),
        };
        let client = tokio::task::spawn_local(environment.upstreams.client.clone().run());
        let acceptor = Acceptor {
            stack: stack::build(environment),
            kind: ListenerKind::Public,
            metrics: Arc::clone(&self.metrics),
            signal: Rc::clone(&signal),
            admission: Arc::clone(&self.admission),
            heads: Rc::new(heads),
        };
        tokio::task::spawn_local(Rc::clone(&signal).let_rest());
        let asked = tokio::task::spawn_local(make_room(Arc::clone(&self.admission), self.number, Rc::clone(&signal)));
        if let Some(beat) = self.watchdog {
            tokio::task::spawn_local(beat.run());
        }
        let mut phase = self.phase.clone();
        let mut accepting = JoinSet::new();
        let connections = Connections::default();
        let enough = CancellationToken::new();
        let listeners = [
            (self.cleartext, false, ListenerKind::Public),
            (self.tls, true, ListenerKind::Public),
            (self.ext_auth, false, ListenerKind::ExtAuth),
        ];
        let each = listeners
            .into_iter()
            .flat_map(|(sockets, tls, kind)| sockets.into_iter().map(move |socket| (socket, tls, kind)));
        for (listener, tls, kind) in each {
            let listening = Listening {
                listener: tokio::net::TcpListener::from_std(listener)?,
                tls,
                acceptor: Rc::new(Acceptor { kind, ..acceptor.clone() }),
                snapshots: Arc::clone(&self.snapshots),
                connections: connections.clone(),
            };
            accepting.spawn_local(listening.accept(enough.clone()));
        }
        if let Some(calls) = self.inside {
            let served = inside::serve(acceptor.stack.clone(), calls, connections.clone());
            let enough = enough.clone();
            accepting.spawn_local(async move {
                tokio::select! {
                    () = served => {}
                    () = enough.cancelled() => {}
                }
            });
        }
        drop(acceptor);

        // A closed channel is the end of the gateway.
        let _ = phase.wait_for(|phase| *phase >= Phase::Leaving).await;
        enough.cancel();
        let is_handed_over = *phase.borrow() == Phase::Leaving;
        signal.set(if is_handed_over { Phase::Leaving } else { Phase::Draining });
        let ended = async {
            // Whoever has been accepted is served.
            while accepting.join_next().await.is_some() {}
            connections.all_ended().await;
        };
        tokio::select! {
            () = ended => {}
            _ = phase.wait_for(|phase| *phase >= Phase::Ending) => {}
        }
        accepting.shutdown().await;
        signal.set(Phase::Draining);
        let cut_off = connections.open();
        cut.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, connections.all_ended()).await;
        connections.cut().await;
        asked.abort();
        // The last holder of the queue is gone with the connections; what is in it is still sent.
        let _ = tokio::time::timeout(LAST_WORDS, aborted).await;
        client.abort();
        Ok(cut_off)
    }

    fn environment(&self, cut: CancellationToken) -> (Rc<Environment>, tokio::task::JoinHandle<()>) {
        let metrics = &self.metrics;
        let upstreams = Rc::new(UpstreamClient::new(metrics));
        let (aborts, aborted) = Aborts::start(Rc::clone(&upstreams));
        let cuts = StreamCuts::new(cut, Arc::clone(&self.ended_keys));
        tokio::task::spawn_local(Rc::clone(&cuts).run());
        let snapshots = Rc::new(snapshot::SnapshotReader::new(Arc::clone(&self.snapshots)));
        tokio::task::spawn_local(Rc::clone(&snapshots).follow());
        let environment = Environment {
            snapshots,
            metrics: Arc::clone(metrics),
            requests: RequestCounters::new(metrics.requests.clone()),
            durations: Histograms::new(metrics.request_duration.clone()),
            access_log: AccessLog::new(self.log.clone(), metrics.log_lines_dropped.clone()),
            spans: self.spans.clone(),
            engine: Arc::clone(&self.engine),
            wakes: engine::WakeQueue::start(),
            upstreams,
            aborts,
            chats: Arc::clone(&self.chats),
            cuts,
            recent: Arc::clone(&self.recent),
        };
        (Rc::new(environment), aborted)
    }
}

/// Wakes an idle connection whenever a new one finds no place.
async fn make_room(admission: Arc<Admission>, worker: usize, signal: Rc<Signal>) {
    loop {
        admission.asked(worker).await;
        signal.wake_idle();
    }
}

/// One listener of one worker.
struct Listening<S> {
    listener: tokio::net::TcpListener,
    tls: bool,
    acceptor: Rc<Acceptor<S>>,
    snapshots: snapshot::SharedSnapshot,
    connections: Connections,
}

impl<S: Stack> Listening<S> {
    /// Until `enough`; whoever has been accepted by then is served nevertheless.
    async fn accept(self, enough: CancellationToken) {
        let mut enough = pin!(enough.cancelled());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut enough => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let share = match self.share(peer) {
                        Ok(share) => share,
                        Err(reason) => {
                            self.acceptor.admission.closed.tell(reason, peer, &self.acceptor.metrics.connections);
                            continue;
                        }
                    };
                    // Above the cap this connection waits here, and those behind it in the kernel's queue. A permit
                    // taken before would be held while there is nobody to serve.
                    let Some(permit) = self.acceptor.admission.place().await else { return };
                    // Every write is a whole piece; waiting for more would only delay it.
                    if stream.set_nodelay(true).is_ok() {
                        self.serve(stream, peer, (permit, share));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The address's share of all connections, if it has one; an error if that is used up, or it may have none at all.
    fn share(&self, peer: SocketAddr) -> Result<Option<Share>, Unserved> {
        let snapshot = self.snapshots.load();
        let server = &snapshot.config.server;
        let address = peer.ip().to_canonical();
        let is_proxy = is_trusted(address, &server.trusted_proxies);
        if self.acceptor.kind == ListenerKind::Public && server.proxy_protocol.is_some() && !is_proxy {
            return Err(Unserved::ProxyProtocolPeer);
        }
        if !may_connect(self.acceptor.kind, address, is_proxy) {
            return Err(Unserved::ExtAuthPeer);
        }
        match server.connections_per_address {
            // Many clients come through a proxy.
            Some(most) if !is_proxy => {
                self.acceptor.admission.enter(peer, most.get()).map(Some).ok_or(Unserved::Address)
            }
            _ => Ok(None),
        }
    }

    fn serve(&self, stream: tokio::net::TcpStream, peer: SocketAddr, places: ConnectionPermits) {
        let snapshot = self.snapshots.load_full();
        let tls = match (self.tls, &snapshot.tls) {
            (true, Some(identity)) => Some(Arc::clone(&identity.server)),
            (true, None) => return,
            (false, _) => None,
        };
        let open = Open::new(&self.acceptor.metrics, places);
        let accepted = Accepted { acceptor: Rc::clone(&self.acceptor), stream, peer, tls };
        self.connections.spawn(accepted.serve(snapshot, open));
    }
}

/// Whether a listener answers that address. A decision holds what is for a proxy's eyes: Flowise's key, and whether a guess
/// was right.
fn may_connect(kind: ListenerKind, address: IpAddr, is_proxy: bool) -> bool {
    match kind {
        ListenerKind::Public => true,
        ListenerKind::ExtAuth => is_proxy || address.is_loopback(),
    }
}

/// Among all connections, and among those of its address.
type ConnectionPermits = (OwnedSemaphorePermit, Option<Share>);

/// Counted as an open connection until dropped.
struct Open {
    metrics: Arc<Metrics>,
    _places: ConnectionPermits,
}

impl Open {
    fn new(metrics: &Arc<Metrics>, places: ConnectionPermits) -> Self {
        metrics.connections.open.inc();
        Self { metrics: Arc::clone(metrics), _places: places }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections.open.dec();
    }
}

/// The connections of one worker.
#[derive(Clone, Default)]
pub(super) struct Connections(Rc<RefCell<JoinSet<()>>>);

impl Connections {
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + 'static) {
        let mut tasks = self.0.borrow_mut();
        // Those that have ended are let go here, where new ones come.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(connection);
    }

    fn open(&self) -> usize {
        let mut tasks = self.0.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    async fn all_ended(&self) {
        while poll_fn(|cx| self.0.borrow_mut().poll_join_next(cx)).await.is_some() {}
    }

    async fn cut(&self) {
        self.0.borrow_mut().abort_all();
        self.all_ended().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_for_this_machine_and_trusted_proxies() {
        let may = |kind, address: &str, is_proxy| may_connect(kind, address.parse().unwrap(), is_proxy);
        assert!(may(ListenerKind::Public, "203.0.113.7", false));
        assert!(may(ListenerKind::ExtAuth, "127.0.0.1", false) && may(ListenerKind::ExtAuth, "::1", false));
        assert!(may(ListenerKind::ExtAuth, "10.0.0.7", true));
        assert!(!may(ListenerKind::ExtAuth, "10.0.0.7", false) && !may(ListenerKind::ExtAuth, "203.0.113.7", false));
    }
}
