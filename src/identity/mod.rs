//! Reads the keys that identity providers publish: beside the requests, on the control thread.
//!
//! At once when a provider comes into force, then every hour, soon after a failure, and when a request needs it
//! ([`state::issuer_keys`](crate::state::issuer_keys)). What was read last stays while a provider cannot be reached.

mod reading;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet, LocalSet};

use crate::client::Client;
use crate::config::IdentityProvider;
use crate::jwt::KeySet;
use crate::state::issuer_keys::{IssuerKeyTable, IssuerKeys};
use crate::telemetry::metrics::IdentityMetrics;

pub(crate) use reading::ReadFailure;
use reading::read_keys;

/// Between two readings of an issuer that answers.
const USUALLY: Duration = Duration::from_hours(1);
/// Between two readings of one that does not, at first and at last.
const SOON: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);
/// For a reading, all in all.
const READ_TIME: Duration = Duration::from_secs(10);

/// For as long as it is polled: reads the keys of the providers in force.
pub(crate) async fn run(table: &IssuerKeyTable, metrics: &IdentityMetrics) {
    LocalSet::new().run_until(follow(table, metrics)).await;
}

/// Looks after each issuer for as long as it is in force.
async fn follow(table: &IssuerKeyTable, metrics: &IdentityMetrics) {
    let mut in_force = table.in_force();
    let mut tended: Vec<(Arc<IssuerKeys>, AbortHandle)> = Vec::new();
    let mut tasks = JoinSet::new();
    loop {
        let wanted = Arc::clone(&in_force.borrow_and_update());
        tended.retain(|(issuer, task)| {
            let stays = wanted.iter().any(|wanted| Arc::ptr_eq(wanted, issuer));
            if !stays {
                task.abort();
                metrics.forget(&issuer.provider.name);
            }
            stays
        });
        for issuer in &*wanted {
            if !tended.iter().any(|(known, _)| Arc::ptr_eq(known, issuer)) {
                let task = tasks.spawn_local(tend(Arc::clone(issuer), metrics.clone()));
                tended.push((Arc::clone(issuer), task));
            }
        }
        while tasks.try_join_next().is_some() {}
        if in_force.changed().await.is_err() {
            return;
        }
    }
}

/// One reading, for whoever wants to know whether it would work: how many keys there are.
pub(crate) async fn try_provider(provider: &IdentityProvider) -> Result<usize, ReadFailure> {
    let read = tokio::time::timeout(READ_TIME, read_keys(&Client::new(|_| false), provider)).await;
    read.unwrap_or(Err(ReadFailure::Late(READ_TIME))).map(|keys| keys.len())
}

async fn tend(issuer: Arc<IssuerKeys>, metrics: IdentityMetrics) {
    let client = Client::new(|_| false);
    let mut pause = USUALLY;
    let mut was_lost = false;
    if reading::is_open_to_others(&issuer.provider) {
        tracing::warn!(
            identity = &*issuer.provider.name,
            "keys are read over http: whoever is on the way can put others in their place"
        );
    }
    loop {
        issuer.begin();
        let outcome = tokio::time::timeout(READ_TIME, read_keys(&client, &issuer.provider)).await;
        let outcome = outcome.unwrap_or(Err(ReadFailure::Late(READ_TIME)));
        tell(&issuer, &outcome, was_lost);
        was_lost = outcome.is_err();
        metrics.read(&issuer.provider.name, outcome.as_ref().ok().map(KeySet::len));
        pause = match outcome {
            Ok(_) => USUALLY,
            Err(_) if pause == USUALLY => SOON,
            Err(_) => (pause * 2).min(LATEST),
        };
        if issuer.read(outcome.ok()) {
            tracing::info!(
                identity = &*issuer.provider.name,
                keys = issuer.current().map(|keys| keys.len()),
                "keys of an identity provider"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = issuer.wanted.notified() => {}
        }
    }
}

/// Says once that keys cannot be read, and once that they can be again.
fn tell(issuer: &IssuerKeys, outcome: &Result<KeySet, ReadFailure>, was_lost: bool) {
    let identity = &*issuer.provider.name;
    match outcome {
        Err(error) if !was_lost => {
            let (cause, advice) = error.reason();
            let kept = issuer.current().is_some();
            tracing::warn!(identity, %error, cause, advice, kept, "the keys of an identity provider cannot be read");
        }
        Ok(_) if was_lost => tracing::info!(identity, "the keys of an identity provider can be read again"),
        _ => {}
    }
}
