//! `flowgate check`: everything that `serve` would read, without serving; with `--online`, whether upstreams, identity
//! providers and the store work.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::found;
use super::print::{print, tell};
use crate::config::IssuerKeySource;
use crate::counted::counted;
use crate::engine::{Want, wanting, wants};
use crate::identity;
use crate::keys::command::printable;
use crate::policy::{Policy, Sources};
use crate::state::endpoints::Endpoints;
use crate::state::valkey::{self, TriedStore};
use crate::telemetry::calls::CallReason;
use crate::upstream::checks::{self, TriedUrl};

pub(super) fn run(path: &Path, online: bool) -> ExitCode {
    let (config, metrics) = match found::load(path).and_then(|config| Ok((config, found::metrics()?))) {
        Ok(both) => both,
        Err(code) => return code,
    };
    match Sources::new(&Arc::new(config), &Arc::new(Endpoints::new(&metrics))).read() {
        Ok((policy, _)) => {
            for problem in policy.unused() {
                tell(format_args!("warning: {problem}; no chatflow needs this flow"));
            }
            note_missing(&policy);
            if online && let Err(code) = try_others(&policy) {
                return code;
            }
            let flows = policy.config.chatflows.len() + usize::from(policy.config.wildcard.is_some());
            let (keys, flows) = (counted(policy.keys.keys().len(), "key"), counted(flows, "chatflow"));
            let printed = print(format_args!("{}: ok, {keys}, {flows}\n", path.display()));
            printed.err().unwrap_or(ExitCode::SUCCESS)
        }
        Err(problems) => found::report(&problems),
    }
}

/// Says of each URL whether it works; one address that does is enough. Then the same of identity providers and their
/// keys, and of the store. What does not work comes last.
fn try_others(policy: &Policy) -> Result<(), ExitCode> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(format_args!("{error}"));
            return Err(ExitCode::FAILURE);
        }
    };
    let mut failed = Vec::new();
    for upstream in policy.flowise().flatten() {
        for TriedUrl { url, outcomes } in runtime.block_on(checks::try_all(upstream)) {
            let works = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
            if works {
                print(format_args!("upstreams.{}: {url}: ok\n", upstream.name))?;
            }
            for (address, failure) in outcomes.iter().filter_map(|(at, outcome)| Some((at, outcome.as_ref().err()?))) {
                let kind = if works { "warning: " } else { "" };
                let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
                let CallReason { cause, advice } = failure.reason();
                let more: String = [&*cause, advice.unwrap_or_default()].map(colon).concat();
                let told = format!("{kind}upstreams.{}: {url}{address}: {failure}{more}", upstream.name);
                if works { tell(format_args!("{told}")) } else { failed.push(told) }
            }
        }
    }
    for provider in policy.config.identity.iter().filter(|provider| !matches!(provider.keys, IssuerKeySource::File(..)))
    {
        match runtime.block_on(identity::try_provider(provider)) {
            Ok(keys) => print(format_args!("identity.{}: {}: ok\n", provider.name, counted(keys, "key")))?,
            Err(failure) => {
                let (cause, advice) = failure.reason();
                let more: String = [&*cause, advice.unwrap_or_default()].map(colon).concat();
                failed.push(format!("identity.{}: {failure}{more}", provider.name));
            }
        }
    }
    if let Some(store) = &policy.config.valkey {
        match runtime.block_on(valkey::try_store(store)) {
            Ok(tried) => print_store(&store.place(), &tried)?,
            Err(why) => failed.push(format!("state.valkey: {}: {why}", store.place())),
        }
    }
    // A look-up that hangs must not keep the command.
    runtime.shutdown_background();
    for told in &failed {
        tell(format_args!("{told}"));
    }
    if failed.is_empty() { Ok(()) } else { Err(ExitCode::FAILURE) }
}

fn print_store(place: &str, tried: &TriedStore) -> Result<(), ExitCode> {
    let version =
        if tried.version.is_empty() { String::new() } else { format!(", version {}", printable(&tried.version)) };
    print(format_args!("state.valkey: {place}: ok{version}\n"))?;
    if let Some(why) = &tried.lacking {
        tell(format_args!("warning: state.valkey: {place}: aborts would not reach other replicas: {why}"));
    }
    Ok(())
}

fn colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What flows ask for and do not get, each thing once. It may be wanted so: a model on the same machine needs no key.
fn note_missing(policy: &Policy) {
    let mut engines: Vec<_> =
        policy.engines().map(|(upstream, flows)| (upstream, flows, wants(flows.missing()))).collect();
    engines.sort_by_key(|(upstream, ..)| *upstream);
    for (upstream, flows, wants) in engines.iter().filter(|(.., wants)| !wants.is_empty()) {
        tell(format_args!("note: what flows of upstreams.{upstream} lack:"));
        for want in wants {
            let (flows, nodes) = (counted(want.flows(), "flow"), counted(want.nodes(), "node"));
            tell(format_args!("  {want}: {flows}, {nodes}: {}\n    {}", want.places(), want.advice(Some(upstream))));
        }
        let keyless = if wants.iter().any(Want::is_optional) { ", but for models that ask for no key" } else { "" };
        let (failing, all) = (wanting(wants), counted(flows.count(), "flow"));
        tell(format_args!("{failing} of {all} will fail until then{keyless}"));
    }
}
