//! What replicas tell each other at once, by publishing it. Nobody keeps it: who does not listen at that moment never
//! hears of it.
//!
//! All of them listen to one channel, and each to one of its own, by which the store can say whether it still has a
//! connection of that replica: `PUBSUB SHARDNUMSUB`, in scripts as well. They are sharded channels, in one slot with the key
//! of `heartbeat.lua`, so that a Cluster has them in one place too.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::calls::Calls;
use super::error::reason;
use super::health::StoreHealth;
use super::link::Link;
use super::open::{named, open_listening};
use super::sentinels::PrimaryNamed;
use crate::config::{Secret, Valkey};

/// Messages that have come and were not looked at.
const MOST_PUSHED: usize = 1024;
/// Between two looks whether what is published still comes here.
const LOOK: Duration = Duration::from_secs(1);
/// Before the next attempt to listen.
const AGAIN: Duration = Duration::from_millis(250);

/// The channel of all replicas.
pub(super) fn of_all(prefix: &str) -> String {
    format!("{prefix}v1:{{{prefix}v1:replicas}}:messages")
}

/// The channel to which that replica listens, and nobody else.
pub(super) fn of_replica(prefix: &str, replica: &str) -> String {
    format!("{prefix}v1:{{{prefix}v1:replicas}}:replica:{replica}")
}

/// What is done with a message.
type MessageHandler = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Who is told of messages of all replicas, this one's own among them.
#[derive(Default)]
pub(super) struct Inbox(OnceLock<MessageHandler>);

impl Inbox {
    /// The first one stays.
    pub(super) fn set(&self, handler: MessageHandler) {
        let _ = self.0.set(handler);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Inbox")
    }
}

/// Listens, over a connection for nothing else.
pub(super) struct Subscriber {
    pub(super) settings: Valkey,
    pub(super) password: watch::Receiver<Option<Secret>>,
    pub(super) primary: PrimaryNamed,
    pub(super) replica: Arc<str>,
    pub(super) calls: Calls,
    pub(super) health: Arc<StoreHealth>,
    pub(super) inbox: Arc<Inbox>,
}

impl Subscriber {
    /// As long as it is polled.
    pub(super) async fn run(mut self) {
        let mut is_told = false;
        loop {
            match self.subscribe().await {
                Ok((_link, pushed)) => {
                    if std::mem::take(&mut is_told) {
                        tracing::info!("what other replicas tell is heard again");
                    }
                    self.listen(pushed).await;
                }
                // If it is lost, that is said elsewhere, or will be: only what it answers is told here.
                Err(error) if self.health.is_up() && error.code().is_some() && !is_told => {
                    is_told = true;
                    let reason = reason(&error);
                    tracing::warn!(reason, "what other replicas tell is not heard: aborts do not reach this one");
                }
                Err(_) => {}
            }
            sleep(AGAIN).await;
        }
    }

    async fn subscribe(&mut self) -> RedisResult<(Link, mpsc::Receiver<PushInfo>)> {
        let (sender, pushed) = mpsc::channel(MOST_PUSHED);
        let password = self.password.borrow().clone();
        let primary = named(&self.settings, &mut self.primary).await?;
        let mut link = open_listening(&self.settings, password.as_ref(), primary.as_ref(), sender).await?;
        for channel in [of_all(&self.settings.prefix), self.own()] {
            redis::cmd("SSUBSCRIBE").arg(channel).exec_async(&mut link).await?;
        }
        Ok((link, pushed))
    }

    fn own(&self) -> String {
        of_replica(&self.settings.prefix, &self.replica)
    }

    /// Until nothing comes any more.
    async fn listen(&self, mut pushed: mpsc::Receiver<PushInfo>) {
        loop {
            tokio::select! {
                push = pushed.recv() => match push {
                    Some(PushInfo { kind: PushKind::SMessage, data }) => self.hear(&data),
                    None | Some(PushInfo { kind: PushKind::Disconnection | PushKind::SUnsubscribe, .. }) => return,
                    Some(_) => {}
                },
                // After a failover the old server may be connected still, and others publish elsewhere.
                () = sleep(LOOK) => if matches!(self.calls.publish(&self.own(), "").await, Ok(0)) {
                    return;
                },
            }
        }
    }

    fn hear(&self, data: &[Value]) {
        if let ([Value::BulkString(_), Value::BulkString(message)], Some(handler)) = (data, self.inbox.0.get())
            && !message.is_empty()
        {
            handler(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_lie_where_the_beat_does() {
        for channel in [of_all("p:"), of_replica("p:", "r")] {
            assert!(channel.starts_with("p:v1:{p:v1:replicas}:"), "{channel}");
        }
    }
}
