//! Which server is the primary, as the Sentinels say.
//!
//! All of them are asked, once a second and whenever one of them tells of a change; the answer of the newest epoch holds. So
//! one that cannot be reached, or was apart from the others, does not matter. A primary that was replaced may answer for
//! seconds as if nothing were: who stays with it counts beside those who have gone on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::error::{late, reason};
use super::link::Link;
use super::open::open_sentinel;
use crate::config::{Secret, Valkey, ValkeyMode, ValkeyServer};

/// Between two questions.
const LOOK: Duration = Duration::from_secs(1);
/// Before a Sentinel that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// What one said so long ago, and cannot be asked about, holds no more if others say something.
const STALE: Duration = Duration::from_secs(10);
/// Messages that have come and were not looked at.
const MOST_PUSHED: usize = 64;
/// What they tell by themselves: the first as soon as another server is the primary, the second when all is done.
const TOLD: [&str; 2] = ["+promoted-slave", "+switch-master"];

/// `None`: nobody has said yet.
pub(super) type PrimaryNamed = watch::Receiver<Option<ValkeyServer>>;

/// See the module.
pub(super) struct Sentinels {
    settings: Valkey,
    password: watch::Receiver<Option<Secret>>,
    /// What each of them said last.
    answers: Mutex<Vec<Option<SentinelAnswer>>>,
    named: watch::Sender<Option<ValkeyServer>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SentinelAnswer {
    /// Of the failover that made it the primary.
    epoch: u64,
    primary: ValkeyServer,
    at: Instant,
}

/// Where the primary is, and what else is known of it.
type SentinelFacts = (Option<(String, u16)>, HashMap<String, String>);

impl Sentinels {
    pub(super) fn new(settings: &Valkey, password: watch::Receiver<Option<Secret>>) -> (Self, PrimaryNamed) {
        let (named, primary) = watch::channel(None);
        let answers = Mutex::new(vec![None; settings.servers.len()]);
        (Self { settings: settings.clone(), password, answers, named }, primary)
    }

    /// As long as it is polled. Without Sentinels there is nothing to do.
    pub(super) async fn run(self) {
        if let ValkeyMode::Sentinel { master_name } = &self.settings.mode {
            let servers = self.settings.servers.iter().enumerate();
            join_all(servers.map(|(number, server)| self.attend(number, server, master_name))).await;
        }
        std::future::pending::<()>().await;
    }

    async fn attend(&self, number: usize, server: &ValkeyServer, master_name: &str) {
        let mut is_told = false;
        loop {
            if let Err(error) = self.listen(number, server, master_name, &mut is_told).await
                && !std::mem::replace(&mut is_told, true)
            {
                tracing::warn!(sentinel = %server, reason = reason(&error), "a Sentinel does not say which server is the primary");
            }
            sleep(AGAIN).await;
        }
    }

    /// Until it answers no more.
    async fn listen(
        &self,
        number: usize,
        server: &ValkeyServer,
        master_name: &str,
        is_told: &mut bool,
    ) -> RedisResult<()> {
        let (sender, mut pushed) = mpsc::channel(MOST_PUSHED);
        let password = self.password.borrow().clone();
        let mut link = open_sentinel(&self.settings, server, password.as_ref(), &sender).await?;
        drop(sender);
        for channel in TOLD {
            self.within(redis::cmd("SUBSCRIBE").arg(channel).exec_async(&mut link)).await?;
        }
        loop {
            let answer = self.within(ask(&mut link, master_name)).await?;
            if std::mem::take(is_told) {
                tracing::info!(sentinel = %server, "a Sentinel says again which server is the primary");
            }
            self.note(number, answer);
            let _ = timeout(LOOK, change(&mut pushed)).await;
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        timeout(self.settings.connect_timeout, answer).await.map_err(|_| late())?
    }

    fn note(&self, number: usize, answer: SentinelAnswer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = answer.at;
        if let Some(known) = answers.get_mut(number) {
            *known = Some(answer);
        }
        let fresh = answers.iter().flatten().filter(|answer| now.duration_since(answer.at) < STALE);
        let newest = fresh.max_by_key(|answer| answer.epoch).map(|answer| answer.primary.clone());
        self.named.send_if_modified(|named| {
            let is_new = *named != newest;
            *named = newest;
            is_new
        });
    }
}

/// Until something was told. Others may follow at once: one question answers them all.
async fn change(pushed: &mut mpsc::Receiver<PushInfo>) {
    while let Some(push) = pushed.recv().await {
        if push.kind == PushKind::Message {
            while pushed.try_recv().is_ok() {}
            return;
        }
    }
    // It is closed: the next question finds that out.
    std::future::pending::<()>().await;
}

/// Where it says that the primary is, and since which failover: while one is under way, only the first of the two commands
/// knows of the new server.
async fn ask(link: &mut Link, master_name: &str) -> RedisResult<SentinelAnswer> {
    let mut both = redis::pipe();
    both.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master_name);
    both.cmd("SENTINEL").arg("MASTER").arg(master_name);
    let unknown = || RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no such primary"));
    let is_unknown = |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError);
    let answers = both.query_async::<SentinelFacts>(link).await;
    let (address, facts) = answers.map_err(|error| if is_unknown(&error) { unknown() } else { error })?;
    let (host, port) = address.ok_or_else(unknown)?;
    let epoch = facts.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok(SentinelAnswer { epoch, primary: ValkeyServer::Tcp(host, port), at: Instant::now() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OnLoss, QuotasOnLoss, RatesOnLoss};
    fn settings(sentinels: u16) -> Valkey {
        let text = (0..sentinels).map(|number| ValkeyServer::Tcp("sentinel".to_owned(), number)).collect();
        Valkey {
            servers: text,
            mode: ValkeyMode::Sentinel { master_name: "main".to_owned() },
            tls: false,
            database: 0,
            username: None,
            password: None,
            ca: None,
            prefix: String::new(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            on_loss: OnLoss { rates: RatesOnLoss::Share, quotas: QuotasOnLoss::Refuse },
        }
    }

    #[test]
    fn the_newest_answer_holds_and_one_that_is_old_does_not_for_ever() {
        let (sentinels, primary) = Sentinels::new(&settings(2), watch::channel(None).1);
        let start = Instant::now();
        let server = |port| ValkeyServer::Tcp("server".to_owned(), port);
        for (number, epoch, port, seconds, expected) in [
            (0, 7, 1, 0, 1),
            (1, 6, 2, 1, 1),
            (1, 8, 2, 2, 2),
            (0, 7, 1, 3, 2),
            // Sentinels that were made anew count from the beginning.
            (0, 1, 3, 11, 2),
            (0, 1, 3, 12, 3),
        ] {
            let at = start + Duration::from_secs(seconds);
            sentinels.note(number, SentinelAnswer { epoch, primary: server(port), at });
            assert_eq!(*primary.borrow(), Some(server(expected)), "{number} {epoch} {seconds}");
        }
    }
}
