//! What log and metrics say of what is in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::journal::ReloadJournal;
use crate::config::{ConfigPart, Problem};
use crate::keys::audit;
use crate::keys::changes::KeyChanges;
use crate::policy::Policy;
use crate::telemetry::metrics::Metrics;

pub(super) fn warn_of_unused(problem: &Problem) {
    tracing::warn!(%problem, "a flow cannot be run, and no chatflow needs it");
}

/// Tells of a gateway that starts.
pub(crate) fn show_start(policy: &Policy, metrics: &Metrics) {
    show_policy(policy, metrics);
    show_outcome(&BTreeSet::new(), metrics);
    policy.announce(None);
    policy.unused().for_each(warn_of_unused);
}

/// Sets the gauges that tell whether what is on disk is in force.
pub(super) fn show_outcome(rejected: &BTreeSet<ConfigPart>, metrics: &Metrics) {
    for part in ConfigPart::ALL {
        metrics.reloads.held_back.with_label_values(&[part.name()]).set(rejected.contains(&part).into());
    }
    metrics.reloads.last_successful.set(rejected.is_empty().into());
    if rejected.is_empty() {
        metrics.reloads.last_success.set(jiff::Timestamp::now().as_second());
    }
}

/// Tells which keys a load has changed: who runs the gateway sees when one was added or revoked.
pub(super) fn show_changed_keys(before: &Policy, after: &Policy, journal: &ReloadJournal) {
    let plans = |policy: &Policy| policy.config.plans.iter().map(|plan| Arc::clone(&plan.name)).collect::<Vec<_>>();
    let difference = KeyChanges::between((&before.keys, &plans(before)), (&after.keys, &plans(after)));
    if !difference.is_empty() {
        journal.note_keys(&difference);
        // Whose change it was, if `flowgate keys` made it.
        let by = audit::authors(&after.config.keys_file, difference.named());
        let KeyChanges { added, changed, revoked } = difference;
        let file = after.config.keys_file.display();
        let (added, changed, revoked) = (added.told(), changed.told(), revoked.told());
        tracing::info!(%file, added, changed, revoked, by, "keys changed");
    }
}

/// Sets the gauges that tell of what is in force.
pub(super) fn show_policy(policy: &Policy, metrics: &Metrics) {
    let counts = policy.keys.counts(jiff::Timestamp::now());
    for (state, count) in [("active", counts.active), ("expired", counts.expired), ("disabled", counts.disabled)] {
        metrics.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let (Some(identity), Some(tls)) = (&policy.tls, &policy.config.server.tls) {
        #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
        metrics
            .certificate_expiry
            .with_label_values(&[&tls.cert_file.to_string_lossy()])
            .set(identity.not_after as f64);
    }
}
