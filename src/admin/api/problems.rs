//! What is wrong now, the worst first. Each is a sentence that says what to look at.

use jiff::Timestamp;
use serde::Serialize;

use super::super::overview::Overview;
use super::telling::{counted, days_left};
use super::{chatflows, upstreams};
use crate::server::Phase;
use crate::snapshot::Snapshot;
use crate::state::recent::{RequestOutcome, SPAN};

/// Days before its end from which a certificate, or a key, is told.
const CERTIFICATE_DAYS: i64 = 21;
const CERTIFICATE_URGENT_DAYS: i64 = 3;
const KEY_DAYS: i64 = 7;
/// Of one kind that are named.
const MOST_NAMED: usize = 3;
/// Failed requests of the last minutes from which a chatflow is told, and what part of them all they must be.
const FEW_FAILURES: u64 = 3;
const FAILING_PART: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Critical,
    Warning,
}

#[derive(Debug, Serialize)]
pub(super) struct ProblemInfo {
    pub(super) severity: Severity,
    /// Which part of the console tells more: `config`, `upstreams`, `certificates`, `keys`, `refusals`, `chatflows`,
    /// `connections`, `phase`.
    about: &'static str,
    pub(super) sentence: String,
}

pub(super) fn problems(overview: &Overview, snapshot: &Snapshot) -> Vec<ProblemInfo> {
    let mut found = Vec::new();
    let mut tell = |severity, about, sentence| found.push(ProblemInfo { severity, about, sentence });
    of_upstreams(overview, snapshot, &mut tell);
    of_store(overview, &mut tell);
    of_configuration(overview, &mut tell);
    of_certificates(snapshot, &mut tell);
    of_places(overview, &mut tell);
    of_chatflows(overview, snapshot, &mut tell);
    of_keys(snapshot, &mut tell);
    of_providers(snapshot, &mut tell);
    found.sort_by_key(|problem| problem.severity);
    found
}

fn of_upstreams(overview: &Overview, snapshot: &Snapshot, tell: &mut impl FnMut(Severity, &'static str, String)) {
    for upstream in &snapshot.config.upstreams {
        let servers = upstreams::servers(overview, snapshot, &upstream.name);
        let down: Vec<_> = servers.iter().filter(|server| !server.healthy).map(|server| &*server.url).collect();
        if down.is_empty() {
            continue;
        }
        let (name, urls) = (&upstream.name, named(&down));
        if down.len() == servers.len() {
            tell(Severity::Critical, "upstreams", format!("The upstream {name} cannot be reached: {urls}."));
        } else {
            tell(Severity::Warning, "upstreams", format!("Part of the upstream {name} cannot be reached: {urls}."));
        }
    }
}

fn of_store(overview: &Overview, tell: &mut impl FnMut(Severity, &'static str, String)) {
    if let Some(health) = overview.store().filter(|health| !health.is_up()) {
        let says = health.line();
        let says = says.trim().trim_start_matches("store: ");
        tell(Severity::Critical, "upstreams", format!("The store that replicas share is not there: {says}."));
    }
}

fn of_configuration(overview: &Overview, tell: &mut impl FnMut(Severity, &'static str, String)) {
    let held = overview.journal.held();
    let Some(first) = held.first() else { return };
    let more = if held.len() > 1 { format!(" (and {} more)", held.len() - 1) } else { String::new() };
    let sentence = format!("What is on disk is not in force: {}{more}.", first.problem.trim_end_matches('.'));
    tell(Severity::Critical, "config", sentence);
}

fn of_certificates(snapshot: &Snapshot, tell: &mut impl FnMut(Severity, &'static str, String)) {
    let certificate = snapshot.tls.as_ref().zip(snapshot.config.server.tls.as_ref());
    let Some((identity, tls)) = certificate else { return };
    let file = tls.cert_file.display();
    match days_left(identity.not_after, Timestamp::now()) {
        ..0 => tell(Severity::Critical, "certificates", format!("The certificate {file} has ended.")),
        days @ 0..CERTIFICATE_DAYS => {
            let severity = if days < CERTIFICATE_URGENT_DAYS { Severity::Critical } else { Severity::Warning };
            tell(severity, "certificates", format!("The certificate {file} ends in {}.", days_told(days)));
        }
        _ => {}
    }
}

fn of_places(overview: &Overview, tell: &mut impl FnMut(Severity, &'static str, String)) {
    if *overview.phase.borrow() != Phase::Running {
        tell(Severity::Critical, "phase", "The gateway is draining: it takes no new connections.".to_owned());
    }
    let connections = &overview.metrics.connections;
    let (open, limit) = (connections.open.get(), connections.limit.get());
    if overview.admission.is_full() {
        let sentence = format!("All {limit} connections are taken, and others wait: see server.max_connections.");
        tell(Severity::Critical, "connections", sentence);
    } else if limit > 0 && open.saturating_mul(10) >= limit.saturating_mul(9) && limit > 10 {
        tell(Severity::Warning, "connections", format!("{open} of {limit} connections are taken."));
    }
    let since = Timestamp::now().as_second() - 60;
    let is_fresh = |time: &str| time.parse::<Timestamp>().is_ok_and(|time| time.as_second() >= since);
    let refusals = overview.state.recent.refusals.all();
    let busy = refusals.iter().filter(|entry| entry.rule == Some("engine_busy") && is_fresh(&entry.time)).count();
    if busy > 0 {
        let sentence =
            format!("The engine's queue is full: it turned {} away in the last minute.", counted(busy, "run"));
        tell(Severity::Critical, "refusals", sentence);
    }
}

fn of_chatflows(overview: &Overview, snapshot: &Snapshot, tell: &mut impl FnMut(Severity, &'static str, String)) {
    for (chatflow, totals) in chatflows::windows(overview, snapshot) {
        let (failed, all) = (totals.of(RequestOutcome::Failed), totals.requests());
        if failed < FEW_FAILURES || failed * FAILING_PART < all {
            continue;
        }
        let minutes = SPAN.as_secs() / 60;
        let name = &chatflow.name;
        let sentence = format!("The chatflow {name} fails: {failed} of {all} requests of the last {minutes} minutes.");
        tell(if failed * 2 >= all { Severity::Critical } else { Severity::Warning }, "chatflows", sentence);
    }
}

fn of_keys(snapshot: &Snapshot, tell: &mut impl FnMut(Severity, &'static str, String)) {
    let now = Timestamp::now();
    let days = |end: Timestamp| days_left(end.as_second(), now);
    let ending = snapshot.keys.keys().iter().filter_map(|key| {
        let days = days(key.expires_at.filter(|_| key.enabled)?);
        (0..KEY_DAYS).contains(&days).then_some((days, &*key.id))
    });
    let mut ending: Vec<_> = ending.collect();
    ending.sort_unstable();
    let Some((soonest, _)) = ending.first() else { return };
    let (soonest, ids) = (days_told(*soonest), ending.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    let sentence = match ids.as_slice() {
        [only] => format!("The key {only} ends in {soonest}."),
        _ => format!("{} end soon, the first in {soonest}: {}.", counted(ids.len(), "key"), named(&ids)),
    };
    tell(Severity::Warning, "keys", sentence);
}

fn of_providers(snapshot: &Snapshot, tell: &mut impl FnMut(Severity, &'static str, String)) {
    for (index, provider) in (0..).zip(&snapshot.config.identity) {
        let Some(issuer) = snapshot.issuer(index).filter(|issuer| issuer.is_lost()) else { continue };
        let name = &provider.name;
        if issuer.current().is_none() {
            let sentence = format!("The keys of the identity provider {name} cannot be read: its people get 503.");
            tell(Severity::Critical, "keys", sentence);
        } else {
            let sentence =
                format!("The keys of the identity provider {name} cannot be read: those that were read last count on.");
            tell(Severity::Warning, "keys", sentence);
        }
    }
}

fn days_told(days: i64) -> String {
    match days {
        ..=0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

/// A few names, and how many more there are.
fn named(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
