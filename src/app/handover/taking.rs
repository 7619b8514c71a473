//! The new process's side.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::listeners::InheritedListeners;
use super::{HandOverStep, Opening};
use crate::app::maintenance::CountsCommand;
use crate::engine;
use crate::service::channel::Channel;

/// For the old process to write its counts, and to say Go.
const PATIENCE: Duration = Duration::from_mins(1);

/// The process whose place this one takes.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Channel,
    /// Over which it asks what chats remember.
    chats: UnixStream,
}

/// When the process before has ended; `None`: there was none.
#[derive(Debug, Clone, Default)]
pub(crate) struct PredecessorEnd(Option<watch::Receiver<()>>);

impl Predecessor {
    /// Takes what it gives.
    ///
    /// # Errors
    /// It gives something else, or has gone.
    pub(crate) fn meet(channel: Channel) -> io::Result<(Self, InheritedListeners)> {
        channel.set_patience(Some(PATIENCE))?;
        let Opening { version, listeners } = channel.receive()?;
        let count = listeners.iter().map(|listener| listener.sockets).sum::<usize>();
        let mut sockets = channel.receive_sockets(count + 1)?;
        let chats = sockets.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        tracing::info!(from = version, to = env!("CARGO_PKG_VERSION"), "taking over");
        Ok((Self { channel, chats: chats.into() }, InheritedListeners::handed_over(listeners, sockets)))
    }

    /// Everything that can be wrong is right: waits until the folder is free.
    pub(in crate::app) fn wait_for_release(&self) -> io::Result<()> {
        self.channel.send(&HandOverStep::Prepared)?;
        self.expect(HandOverStep::Released)
    }

    /// Connections are taken: waits until the old process takes none any more.
    pub(in crate::app) fn wait_for_go(&self) -> io::Result<()> {
        self.channel.send(&HandOverStep::Ready)?;
        self.expect(HandOverStep::Go)
    }

    fn expect(&self, step: HandOverStep) -> io::Result<()> {
        let said: HandOverStep = self.channel.receive()?;
        if said != step {
            return Err(io::Error::other(format!("the old process said {said:?} instead of {step:?}")));
        }
        Ok(())
    }

    /// Hears what comes late, on threads of its own, until the old process has ended.
    pub(in crate::app) fn hear(
        self,
        counts: mpsc::Sender<CountsCommand>,
        memory: Arc<dyn engine::Store>,
    ) -> io::Result<PredecessorEnd> {
        let Self { channel, chats } = self;
        let (alive, ended) = watch::channel(());
        channel.set_patience(None)?;
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        thread("late-chats").spawn(move || engine::serve_predecessor(&chats, &*memory))?;
        thread("late-counts").spawn(move || {
            // Dropped with the thread.
            let _alive = alive;
            loop {
                match channel.receive() {
                    Ok(late) => {
                        if counts.blocking_send(CountsCommand::TakeUp(late)).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        tracing::info!("the old process has ended");
                        return;
                    }
                    Err(error) => {
                        tracing::error!(%error, "what the old process counted last is lost");
                        return;
                    }
                }
            }
        })?;
        Ok(PredecessorEnd(Some(ended)))
    }
}

impl PredecessorEnd {
    /// Whether everything that it had to tell is here.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|ended| ended.has_changed().is_err())
    }

    /// Waits for that.
    pub(crate) async fn wait(mut self) {
        if let Some(ended) = &mut self.0 {
            while ended.changed().await.is_ok() {}
        }
    }
}
