//! The old process's side.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::listeners::HeldListener;
use super::{HandOverStep, Opening, PredecessorEnd};
use crate::app::maintenance::CountsCommand;
use crate::engine::OnDisk;
use crate::service::channel::Channel;
use crate::service::notify;
use crate::service::successor::{StartCommand, SuccessorProcess};
use crate::telemetry::metrics::{Metrics, UpgradeMetrics};

/// For the new process to read its configuration, keys and flows, and to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// Who has what lies in `state_dir`.
#[derive(Debug)]
pub(in crate::app) struct StateOwners {
    pub(in crate::app) counts: mpsc::Sender<CountsCommand>,
    /// `None`: chats are remembered elsewhere.
    pub(in crate::app) chats: Option<Arc<OnDisk>>,
}

/// All that a successor is given.
#[derive(Debug)]
pub(in crate::app) struct Giving {
    pub(in crate::app) listeners: Arc<Vec<HeldListener>>,
    pub(in crate::app) owners: Arc<StateOwners>,
    pub(in crate::app) metrics: UpgradeMetrics,
    /// When the process has ended whose place this one took.
    pub(in crate::app) before: PredecessorEnd,
    /// The channel of a hand-over that can still be called off.
    under_way: Arc<Mutex<Option<Arc<Channel>>>>,
}

/// A hand-over that is under way.
#[derive(Debug)]
pub(crate) struct HandOver {
    under_way: Arc<Mutex<Option<Arc<Channel>>>>,
    outcome: oneshot::Receiver<Result<u32, HandOverError>>,
}

/// Why this process goes on.
#[derive(Debug)]
pub(crate) struct HandOverError {
    error: io::Error,
    status: Option<ExitStatus>,
}

impl fmt::Display for HandOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "the new process ended with {status}"),
            None if self.error.kind() == io::ErrorKind::WouldBlock => f.write_str("the new process does not get ready"),
            None => self.error.fmt(f),
        }
    }
}

impl From<io::Error> for HandOverError {
    fn from(error: io::Error) -> Self {
        Self { error, status: None }
    }
}

impl HandOver {
    /// Called off, unless it is done already.
    pub(crate) fn call_off(&self) {
        let channel = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(channel) = channel {
            channel.close();
        }
    }

    /// The number of the process that is the service now.
    pub(crate) async fn outcome(&mut self) -> Result<u32, HandOverError> {
        (&mut self.outcome)
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the thread of the hand-over has ended").into()))
    }
}

impl Giving {
    pub(in crate::app) fn new(listeners: Vec<HeldListener>, owners: StateOwners, metrics: &Metrics) -> Self {
        Self {
            listeners: Arc::new(listeners),
            owners: Arc::new(owners),
            metrics: metrics.upgrades.clone(),
            before: PredecessorEnd::default(),
            under_way: Arc::default(),
        }
    }

    /// Begins, on a thread of its own.
    pub(in crate::app) fn begin(&self, command: StartCommand) -> io::Result<HandOver> {
        let (tell, outcome) = oneshot::channel();
        let (listeners, owners) = (Arc::clone(&self.listeners), Arc::clone(&self.owners));
        let (under_way, failed) = (Arc::clone(&self.under_way), self.metrics.failed.clone());
        std::thread::Builder::new().name("hand-over".into()).spawn(move || {
            let outcome = hand_over(&command, &listeners, &owners, &under_way);
            if outcome.is_err() {
                failed.inc();
            }
            let _ = tell.send(outcome);
        })?;
        Ok(HandOver { under_way: Arc::clone(&self.under_way), outcome })
    }
}

fn hand_over(
    command: &StartCommand,
    listeners: &[HeldListener],
    owners: &StateOwners,
    under_way: &Mutex<Option<Arc<Channel>>>,
) -> Result<u32, HandOverError> {
    let (process, channel) = command.start()?;
    tracing::info!(pid = process.pid(), "handing over");
    let channel = Arc::new(channel);
    *under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&channel));
    let outcome = give(&process, &channel, listeners, owners, under_way);
    under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.map_err(|error| {
        // It sees that nobody is there any more.
        channel.close();
        let status = process.end();
        owners.take_back();
        HandOverError { error, status }
    })
}

fn give(
    process: &SuccessorProcess,
    channel: &Arc<Channel>,
    listeners: &[HeldListener],
    owners: &StateOwners,
    under_way: &Mutex<Option<Arc<Channel>>>,
) -> io::Result<u32> {
    let expect = |step: HandOverStep| match channel.receive::<HandOverStep>() {
        Ok(said) if said == step => Ok(()),
        Ok(said) => Err(io::Error::other(format!("the new process said {said:?} instead of {step:?}"))),
        Err(error) => Err(error),
    };
    channel.set_patience(Some(PATIENCE))?;
    let (chats, chats_of_the_new) = UnixStream::pair()?;
    channel.send(&Opening {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listeners: listeners.iter().map(|held| held.listener.clone()).collect(),
    })?;
    let sockets = listeners.iter().flat_map(|held| &held.copies).map(|socket| socket.as_fd());
    let sockets: Vec<BorrowedFd<'_>> = sockets.chain([chats_of_the_new.as_fd()]).collect();
    channel.send_sockets(&sockets)?;
    drop(sockets);
    drop(chats_of_the_new);
    expect(HandOverStep::Prepared)?;
    owners.release(chats)?;
    channel.send(&HandOverStep::Released)?;
    expect(HandOverStep::Ready)?;
    // From here on nobody calls it off.
    if under_way.lock().unwrap_or_else(PoisonError::into_inner).take().is_none() {
        return Err(io::Error::other("called off"));
    }
    // Before the new one says that it is ready: systemd hears the main process alone.
    notify::main_process(process.pid());
    if let Err(error) = channel.send(&HandOverStep::Go) {
        notify::main_process(std::process::id());
        return Err(error);
    }
    let _ = owners.counts.blocking_send(CountsCommand::Follow(Arc::clone(channel)));
    Ok(process.pid())
}

impl StateOwners {
    /// Everything is on disk, and the folder is free.
    fn release(&self, chats: UnixStream) -> io::Result<()> {
        let gone = |_| io::Error::other("the control thread has ended");
        let (done, released) = oneshot::channel();
        self.counts
            .blocking_send(CountsCommand::Release(done))
            .map_err(|_| io::Error::other("the control thread has ended"))?;
        released.blocking_recv().map_err(gone)??;
        match &self.chats {
            Some(store) => store.hand_over(chats),
            None => Ok(()),
        }
    }

    fn take_back(&self) {
        if let Some(store) = &self.chats {
            store.take_back();
        }
        let _ = self.counts.blocking_send(CountsCommand::TakeBack);
    }
}
