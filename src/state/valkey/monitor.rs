//! The store's thread: it keeps the connections, says that this replica lives, and finds out whether the store can be used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::RedisResult;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::calls::{CallClass, Calls, Links};
use super::channels::{Inbox, Subscriber, of_replica};
use super::error::{is_elsewhere, late, reason, reason_at_first};
use super::health::StoreHealth;
use super::open::{named, open};
use super::part::answers_in_part;
use super::script::StoreScript;
use super::sentinels::{PrimaryNamed, Sentinels};
use super::{LAST_WORDS, Order};
use crate::config::{Secret, Valkey, ValkeyServer};
use crate::telemetry::metrics::StoreMetrics;

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// Between two looks for a store that is lost, and up to as much again.
const LOOK: Duration = Duration::from_millis(250);
/// From the first answer of a store that was lost to its use.
const TELLING: Duration = Duration::from_secs(1);
/// A store that is back has answered so often in a row.
const ANSWERS: u32 = 2;

/// See the module.
pub(super) struct StoreMonitor {
    settings: Valkey,
    password: Option<Secret>,
    replica: Arc<str>,
    health: Arc<StoreHealth>,
    calls: Calls,
    inbox: Arc<Inbox>,
    beat: StoreScript,
    farewell: StoreScript,
    /// Answers since the last failure.
    answers: u32,
    /// Signs of life since it last took none, though it answered.
    beats: u32,
    /// The server that has the connections, behind Sentinels.
    at: Option<ValkeyServer>,
}

impl StoreMonitor {
    pub(super) fn new(
        settings: &Valkey,
        replica: &Arc<str>,
        health: &Arc<StoreHealth>,
        inbox: &Arc<Inbox>,
        metrics: &StoreMetrics,
    ) -> Self {
        Self {
            password: settings.password.clone(),
            settings: settings.clone(),
            replica: Arc::clone(replica),
            health: Arc::clone(health),
            calls: Calls::new(health, &metrics.seconds, settings.timeout),
            inbox: Arc::clone(inbox),
            beat: StoreScript::new(include_str!("heartbeat.lua")),
            farewell: StoreScript::new("return redis.call('ZREM', KEYS[1], ARGV[1])"),
            answers: 0,
            beats: 0,
            at: None,
        }
    }

    /// Until it is told to close. `settled`: told when it is first known whether the store can be used.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>, settled: oneshot::Sender<()>) {
        let health = Arc::clone(&self.health);
        let calls = self.calls.clone();
        let (passwords, mut password) = watch::channel(self.password.clone());
        let (sentinels, mut primary) = Sentinels::new(&self.settings, password.clone());
        let listen = self.subscriber(password.clone(), primary.clone()).run();
        let mut work = JoinSet::new();
        let keep = async {
            let mut settled = Some(settled);
            loop {
                self.look(&mut primary).await;
                if let Some(settled) = settled.take_if(|_| self.is_settled()) {
                    let _ = settled.send(());
                }
                tokio::select! {
                    () = self.pause() => {}
                    () = health.lost.notified() => {
                        self.answers = 0;
                        sleep(look_again()).await;
                    }
                    Ok(()) = password.changed() => {
                        let new = password.borrow_and_update().clone();
                        self.take_password(new);
                    }
                    Ok(()) = primary.changed() => self.follow(primary.borrow().as_ref()),
                }
            }
        };
        let serve = async {
            let mut closing = None;
            let mut is_open = true;
            loop {
                // Whoever is told to end may have something to tell the store first.
                if closing.is_some() && orders.is_empty() && work.is_empty() {
                    return;
                }
                let patience = async {
                    match closing {
                        Some(end) => tokio::time::sleep_until(end).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    order = orders.recv(), if is_open => match order {
                        Some(Order::Do(job)) => _ = work.spawn(job(calls.clone())),
                        Some(Order::Password(new)) => _ = passwords.send_replace(new),
                        end => {
                            is_open = end.is_some();
                            closing = Some(tokio::time::Instant::now() + LAST_WORDS);
                            calls.close();
                        }
                    },
                    Some(_) = work.join_next() => {}
                    () = patience => return,
                }
            }
        };
        tokio::select! {
            () = keep => {}
            () = listen => {}
            () = sentinels.run() => {}
            () = serve => {}
        }
        self.leave().await;
    }

    fn subscriber(&self, password: watch::Receiver<Option<Secret>>, primary: PrimaryNamed) -> Subscriber {
        Subscriber {
            settings: self.settings.clone(),
            password,
            primary,
            replica: Arc::clone(&self.replica),
            calls: self.calls.clone(),
            health: Arc::clone(&self.health),
            inbox: Arc::clone(&self.inbox),
        }
    }

    fn is_settled(&self) -> bool {
        self.health.is_up() || self.health.losses() > 0
    }

    async fn pause(&self) {
        let is_heard = (1..ANSWERS).contains(&self.answers);
        match self.health.is_up() {
            true => sleep(BEAT).await,
            // At the start the next answer decides, and somebody waits for it.
            false if is_heard && !self.is_settled() => {}
            // All replicas tell it what they know before any of them asks for more.
            false if is_heard => sleep(TELLING).await,
            false => sleep(look_again()).await,
        }
    }

    fn take_password(&mut self, password: Option<Secret>) {
        self.password = password;
        // Whoever has a connection goes on with it.
        *self.calls.links() = Links::default();
    }

    /// Sentinels name that server. One that was replaced may still answer as if nothing were.
    fn follow(&mut self, primary: Option<&ValkeyServer>) {
        if self.at.is_some() && self.at.as_ref() != primary {
            *self.calls.links() = Links::default();
            self.answers = 0;
            self.health.lose("Sentinels name another primary");
        }
    }

    /// Asks the store whether it can be used.
    async fn look(&mut self, primary: &mut PrimaryNamed) {
        let outcome = match self.connect(primary).await {
            Ok(()) => self.beat().await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(replicas) => {
                // One that began anew has not seen everybody yet.
                let is_complete = self.health.is_up() && self.beats >= ANSWERS;
                let known = if is_complete { 1 } else { self.health.replicas() };
                self.beats = self.beats.saturating_add(1);
                Ok(replicas.max(known))
            }
            Err(error) if self.answers_in_part().await => {
                self.health.faults().lose_part(&reason(&error));
                self.beats = 0;
                Ok(self.health.replicas())
            }
            Err(error) => Err(error),
        };
        self.health.faults().look();
        match outcome {
            Ok(replicas) => {
                self.answers = self.answers.saturating_add(1);
                self.health.see_replicas(replicas);
                self.health.hear();
                if self.answers >= ANSWERS {
                    self.health.rise();
                }
            }
            Err(error) => {
                // One that is only slow answers late, over the connection that there is.
                if self.answers == 0 || is_elsewhere(&error) {
                    *self.calls.links() = Links::default();
                }
                let reason = if self.answers == 0 { reason_at_first(&error) } else { reason(&error) };
                self.answers = 0;
                self.health.lose(&reason);
                self.health.explain(reason);
            }
        }
    }

    async fn connect(&mut self, primary: &mut PrimaryNamed) -> RedisResult<()> {
        let server = named(&self.settings, primary).await?;
        if self.at != server {
            *self.calls.links() = Links::default();
            self.at = server;
        }
        for lane in [CallClass::Front, CallClass::Background, CallClass::Bulk] {
            if self.calls.link(lane).is_none() {
                let link = open(&self.settings, self.password.as_ref(), self.at.as_ref()).await?;
                *self.calls.links().of(lane) = Some(link);
            }
        }
        Ok(())
    }

    /// Says that this replica lives, which shows that the store can be written to, and counts those that do.
    async fn beat(&self) -> RedisResult<u32> {
        let mut replicas = 0;
        let channels = of_replica(&self.settings.prefix, "");
        for lane in [CallClass::Front, CallClass::Background] {
            let mut link = self.calls.link(lane).ok_or_else(late)?;
            let mut beat = self.beat.key(self.key());
            let beat = beat.arg(&*self.replica).arg(&channels).arg(self.health.clock().expected());
            let beat = beat.send::<(u32, i64, Vec<String>)>(&mut link);
            let (count, time, cut_off) = timeout(self.settings.timeout, beat).await.map_err(|_| late())??;
            self.health.clock().see(time, Instant::now());
            self.health.see_cut_off(&cut_off);
            replicas = count;
        }
        Ok(replicas)
    }

    /// Whether only the node of a Cluster is gone that counts the replicas. What others have is shared as ever, by as many as
    /// were seen last.
    async fn answers_in_part(&self) -> bool {
        for lane in [CallClass::Front, CallClass::Background] {
            let Some(link) = self.calls.link(lane) else { return false };
            if !answers_in_part(&link, &self.settings.prefix, self.settings.timeout).await {
                return false;
            }
        }
        true
    }

    /// Others share what there is without this one from now on.
    async fn leave(&self) {
        if let Some(mut link) = self.calls.link(CallClass::Background).filter(|_| self.health.is_up()) {
            let mut farewell = self.farewell.key(self.key());
            let farewell = farewell.arg(&*self.replica).send::<u32>(&mut link);
            let _ = timeout(self.settings.timeout, farewell).await;
        }
    }

    fn key(&self) -> String {
        format!("{}v1:replicas", self.settings.prefix)
    }
}

/// Not all replicas at once.
fn look_again() -> Duration {
    LOOK + LOOK.mul_f64(random_share())
}

/// From 0 to 1.
fn random_share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness all look at once, which is no harm.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}
