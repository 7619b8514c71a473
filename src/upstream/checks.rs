//! Whether servers work, whoever asks them, and at which addresses they are: found out beside the requests, on the control
//! thread.

mod once;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, StatusCode};
use tokio::task::{AbortHandle, JoinSet, LocalSet};

use crate::client::{self, Client, Origin, Peer, Request, RequestBody, RequestHead};
use crate::config::HealthCheck;
use crate::state::endpoints::{CheckResult, Endpoints, UrlMember, WatchedUrl};
use crate::telemetry::calls::CallReason;

pub(crate) use once::{TriedUrl, try_all};

/// Between two checks of a server that is not healthy, or has just failed one; less if the interval is less.
const IN_DOUBT: Duration = Duration::from_secs(1);
/// Between two checks whatever happens.
const AT_LEAST: Duration = Duration::from_millis(100);
/// For one look-up of a name.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckFailure {
    #[error(transparent)]
    Call(#[from] client::Error),
    #[error("the check was answered with {0}")]
    Status(StatusCode),
    #[error("no answer within the check's time-out of {limit:?}")]
    Late { limit: Duration, was_connected: bool },
}

impl CheckFailure {
    fn result(&self) -> CheckResult {
        let was_connected = match self {
            Self::Call(error) => !error.is_connect(),
            Self::Status(_) => true,
            Self::Late { was_connected, .. } => *was_connected,
        };
        if was_connected { CheckResult::Failed } else { CheckResult::Refused }
    }

    /// For whoever runs the gateway.
    pub(crate) fn reason(&self) -> CallReason {
        match self {
            Self::Call(error) => CallReason::of(error),
            Self::Status(_) | Self::Late { .. } => CallReason::default(),
        }
    }
}

/// For as long as it is polled: checks what is in force, and looks its names up.
pub(crate) async fn run(endpoints: &Endpoints) {
    LocalSet::new().run_until(follow(endpoints)).await;
}

/// Looks after each URL for as long as it is in force.
async fn follow(endpoints: &Endpoints) {
    let mut in_force = endpoints.watched();
    let mut tended: Vec<(WatchedUrl, AbortHandle)> = Vec::new();
    let mut tasks = JoinSet::new();
    loop {
        let wanted = Arc::clone(&in_force.borrow_and_update());
        tended.retain(|(watched, task)| {
            let stays = wanted.iter().any(|wanted| wanted.is_like(watched));
            if !stays {
                task.abort();
            }
            stays
        });
        for watched in &*wanted {
            if !tended.iter().any(|(known, _)| known.is_like(watched)) {
                let task = tasks.spawn_local(tend(watched.clone()));
                tended.push((watched.clone(), task));
            }
        }
        while tasks.try_join_next().is_some() {}
        if in_force.changed().await.is_err() {
            return;
        }
    }
}

async fn tend(watched: WatchedUrl) {
    if !watched.origin.is_named() {
        return check(&watched).await;
    }
    // Who is to be checked is known then.
    let first = refresh(&watched).await;
    tokio::join!(look_up(&watched, first), check(&watched));
}

/// Tells once of a name that can no longer be looked up, and once that it can.
async fn look_up(watched: &WatchedUrl, first: Result<(), client::Error>) {
    let WatchedUrl { upstream, origin, .. } = watched;
    let mut last = first;
    let mut was_lost = false;
    loop {
        match (&last, was_lost) {
            (Err(error), false) => {
                let CallReason { cause, .. } = CallReason::of(error);
                tracing::warn!(upstream = &**upstream, url = %origin, %error, cause, "cannot look up the name");
            }
            (Ok(()), true) => tracing::info!(upstream = &**upstream, url = %origin, "the name can be looked up again"),
            _ => {}
        }
        was_lost = last.is_err();
        tokio::time::sleep(watched.dns_refresh).await;
        last = refresh(watched).await;
    }
}

/// A name that cannot be looked up stands for what it stood for.
async fn refresh(watched: &WatchedUrl) -> Result<(), client::Error> {
    let WatchedUrl { upstream, origin, url, .. } = watched;
    let addresses = resolve(origin).await?;
    if url.resolved(&addresses) {
        tracing::info!(upstream = &**upstream, url = %origin, ?addresses, "the name stands for these addresses");
    }
    Ok(())
}

async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, client::Error> {
    let found = tokio::time::timeout(LOOK_UP, client::look_up(origin)).await;
    found.unwrap_or_else(|_| Err(client::Error::Resolve(io::ErrorKind::TimedOut.into())))
}

async fn check(watched: &WatchedUrl) {
    let Some(check) = &watched.check else { return };
    let client = Client::new(|_| false);
    loop {
        let members: Vec<_> = watched.url.members().iter().cloned().collect();
        let mut round = JoinSet::new();
        for member in &members {
            let (watched, client, check) = (watched.clone(), client.clone(), Arc::clone(check));
            let member = Arc::clone(member);
            round.spawn_local(async move { check_one(&watched, &member, &client, &check).await });
        }
        while round.join_next().await.is_some() {}
        let is_in_doubt = members.iter().any(|member| member.health.is_in_doubt());
        let pause = if is_in_doubt { check.interval.min(IN_DOUBT) } else { check.interval };
        tokio::time::sleep(AT_LEAST).await;
        let _ = tokio::time::timeout(pause.saturating_sub(AT_LEAST), watched.url.doubt.notified()).await;
    }
}

async fn check_one(watched: &WatchedUrl, member: &UrlMember, client: &Client, check: &HealthCheck) {
    let WatchedUrl { upstream, origin, url, .. } = watched;
    let outcome = ask(client, origin, &member.peer, check).await;
    let result = outcome.as_ref().map_or_else(CheckFailure::result, |()| CheckResult::Passed);
    let news = url.checked(member, result, check);
    let address = member.peer.address().map(tracing::field::display);
    match (news, outcome) {
        (Some(true), _) => tracing::info!(upstream = &**upstream, url = %origin, address, "a server is healthy"),
        (Some(false), Err(error)) => {
            let CallReason { cause, advice } = error.reason();
            tracing::warn!(upstream = &**upstream, url = %origin, address, %error, cause, advice, "a server is not healthy");
        }
        _ => {}
    }
}

/// One check, over a connection of its own: whether a server takes new ones is part of it. It shows no key.
///
/// # Errors
/// Why the server is not to be asked.
async fn ask(client: &Client, origin: &Origin, peer: &Peer, check: &HealthCheck) -> Result<(), CheckFailure> {
    let mut head = RequestHead::new(Method::GET, &[&check.path]);
    head.field("user-agent", &HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION"))));
    head.lines(b"accept: */*\r\nconnection: close\r\n");
    let mut request = Request::new(head, RequestBody::Empty);
    let was_connected = Cell::new(false);
    let connected = || was_connected.set(true);
    match tokio::time::timeout(check.timeout, client.send(origin, peer, &mut request, &connected)).await {
        Ok(Ok(response)) if response.status.is_success() => Ok(()),
        Ok(Ok(response)) => Err(CheckFailure::Status(response.status)),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(CheckFailure::Late { limit: check.timeout, was_connected: was_connected.get() }),
    }
}

#[cfg(test)]
mod tests;
