//! The store that replicas share: a Valkey or Redis, reached from a thread of its own.
//!
//! | file | what it is |
//! |---|---|
//! | [`open`], [`settings`], [`link`] | connections: to one server, to the primary that Sentinels name, to a Cluster |
//! | [`error`] | what an error means, and how it is told |
//! | [`once`] | one look at it, for whoever is no gateway |
//! | [`sentinels`] | which server they name, as soon as it is another one |
//! | [`monitor`] | the thread: makes connections anew, tells the store that this replica lives, finds out whether it can be used |
//! | [`calls`], [`script`] | scripts that are run there, with the bounds of their time |
//! | [`channels`] | what replicas tell each other at once |
//! | [`tag`] | what names something there |
//! | [`clock`] | the store's clock, which alone counts |
//! | [`faults`] | calls that fail although it can be used |
//! | [`part`] | whether only one node of a Cluster is gone |
//! | [`health`] | whether it can be used; read by everybody |
//!
//! Nobody waits for the store longer than `timeout`: a call that takes longer, or fails, puts all of this replica into the
//! mode `lost` at once, in which nobody asks any more; in a Cluster, where other nodes may answer, only the caller. A connection of the library never recovers by itself, and its
//! manager neither notices a server that is silent nor asks Sentinels again; so the monitor makes new ones, and the mode ends
//! when the store has answered twice.

mod calls;
mod channels;
mod clock;
mod error;
mod faults;
mod health;
mod link;
mod monitor;
mod once;
mod open;
mod part;
mod script;
mod sentinels;
mod settings;
mod tag;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub(crate) use calls::{CallClass, CallFailed, Calls};
pub(crate) use error::reason;
pub(crate) use health::StoreHealth;
pub(crate) use link::Link;
pub(crate) use once::{TriedStore, connect, try_store};
pub(crate) use script::{ScriptCall, StoreScript};
pub(crate) use tag::StoreTag;

use crate::config::{Config, OnLoss, Secret, Valkey};
use crate::telemetry::metrics::StoreMetrics;
use channels::Inbox;
use monitor::StoreMonitor;

/// Work that waits for the thread. More means that it does not keep up, which is a kind of loss.
const LONGEST_QUEUE: usize = 4096;
/// What has begun may end so long after the store was closed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is done on the store's thread.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
type Job = Box<dyn FnOnce(Calls) -> Work + Send>;

/// What the thread is told.
enum Order {
    Do(Job),
    /// The connections are made anew, with this password.
    Password(Option<Secret>),
    /// Ends once what has begun is done.
    Close,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SharedStore {
    orders: mpsc::Sender<Order>,
    health: Arc<StoreHealth>,
    inbox: Arc<Inbox>,
    pub(crate) metrics: StoreMetrics,
    pub(crate) prefix: Arc<str>,
    /// Random, for as long as this process lives.
    pub(crate) replica: Arc<str>,
    pub(crate) timeout: Duration,
    pub(crate) on_loss: OnLoss,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SharedStore {
    /// Starts its thread, and waits until it is known whether the store can be used. It is no error that it cannot.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(settings: &Valkey, metrics: &StoreMetrics) -> io::Result<Arc<Self>> {
        let (orders, received) = mpsc::channel(LONGEST_QUEUE);
        let (settled, first) = oneshot::channel();
        let health = Arc::new(StoreHealth::new(metrics));
        let replica: Arc<str> = random_name()?.into();
        let inbox = Arc::default();
        let monitor = StoreMonitor::new(settings, &replica, &health, &inbox, metrics);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("store".into());
        let thread = thread.spawn(move || {
            runtime.block_on(monitor.run(received, settled));
            runtime.shutdown_background();
        })?;
        // The monitor has bounds for everything that it waits for.
        let _ = first.blocking_recv();
        Ok(Arc::new(Self {
            orders,
            health,
            inbox,
            metrics: metrics.clone(),
            prefix: settings.prefix.as_str().into(),
            replica,
            timeout: settings.timeout,
            on_loss: settings.on_loss,
            thread: Mutex::new(Some(thread)),
        }))
    }

    pub(crate) fn health(&self) -> &Arc<StoreHealth> {
        &self.health
    }

    /// Whether it can be asked.
    pub(crate) fn is_up(&self) -> bool {
        self.health.is_up()
    }

    /// Does something on the store's thread. `false`: it does not keep up, and is taken for lost.
    pub(crate) fn submit<F>(&self, job: impl FnOnce(Calls) -> F + Send + 'static) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let taken = self.orders.try_send(Order::Do(Box::new(|calls| Box::pin(job(calls)))));
        if taken.is_err() {
            self.health.lose("too much waits for it");
        }
        taken.is_ok()
    }

    /// Tells something to all replicas that listen; it may get lost.
    pub(crate) fn tell(&self, message: String) {
        if self.is_up() {
            let channel = channels::of_all(&self.prefix);
            self.submit(|calls| async move {
                // Who did not get it is no worse off than without a store.
                let _ = calls.publish(&channel, &message).await;
            });
        }
    }

    /// What is done, on the store's thread, with what replicas tell, this one among them. The first one stays.
    pub(crate) fn on_message(&self, handler: impl Fn(&[u8]) + Send + Sync + 'static) {
        self.inbox.set(Box::new(handler));
    }

    /// Takes over what a reload may change.
    pub(crate) fn follow(&self, before: &Config, now: &Config) {
        let password = |config: &Config| config.valkey.as_ref().and_then(|store| store.password.clone());
        if now.valkey.is_some() && password(before) != password(now) {
            // Full: the store is lost anyhow, and whoever reads the log sees a reload and no recovery.
            let _ = self.orders.try_send(Order::Password(password(now)));
        }
    }

    /// Ends the thread, once what was submitted before is done or has had its time. It may block.
    pub(crate) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && self.orders.try_send(Order::Close).is_ok()
        {
            let _ = thread.join();
        }
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
