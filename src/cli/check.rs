//! `flowgate check`: everything that `serve` would read, without serving; with `--online`, whether upstreams and identity
//! providers are there.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::found;
use super::print::{print, tell};
use crate::config::IssuerKeySource;
use crate::engine::{Missing, Need};
use crate::identity;
use crate::policy::{Policy, Sources};
use crate::state::endpoints::Endpoints;
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
            let flows = policy.config.chatflows.len() + usize::from(policy.config.wildcard.is_some());
            let keys = policy.keys.keys().len();
            match print(format_args!("{}: ok, {keys} keys, {flows} chatflows\n", path.display())) {
                Ok(()) if online => try_upstreams(&policy),
                printed => printed.err().unwrap_or(ExitCode::SUCCESS),
            }
        }
        Err(problems) => found::report(&problems),
    }
}

/// Says of each URL whether it works, and what is wrong if it does not; one address that does is enough. Then the same of
/// identity providers and their keys.
fn try_upstreams(policy: &Policy) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(format_args!("{error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut all_work = true;
    for upstream in policy.flowise().flatten() {
        for TriedUrl { url, outcomes } in runtime.block_on(checks::try_all(upstream)) {
            let works = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
            all_work &= works;
            if works && print(format_args!("upstreams.{}: {url}: ok\n", upstream.name)).is_err() {
                all_work = false;
            }
            for (address, failure) in outcomes.iter().filter_map(|(at, outcome)| Some((at, outcome.as_ref().err()?))) {
                let kind = if works { "warning: " } else { "" };
                let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
                let CallReason { cause, advice } = failure.reason();
                let more: String = [&*cause, advice.unwrap_or_default()].map(colon).concat();
                tell(format_args!("{kind}upstreams.{}: {url}{address}: {failure}{more}", upstream.name));
            }
        }
    }
    for provider in policy.config.identity.iter().filter(|provider| !matches!(provider.keys, IssuerKeySource::File(..)))
    {
        match runtime.block_on(identity::try_provider(provider)) {
            Ok(keys) => all_work &= print(format_args!("identity.{}: {keys} keys: ok\n", provider.name)).is_ok(),
            Err(failure) => {
                all_work = false;
                let (cause, advice) = failure.reason();
                let more: String = [&*cause, advice.unwrap_or_default()].map(colon).concat();
                tell(format_args!("identity.{}: {failure}{more}", provider.name));
            }
        }
    }
    // A look-up that hangs must not keep the command.
    runtime.shutdown_background();
    if all_work { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What a flow asks for and does not get may be wanted so: a model on the same machine needs no key.
fn note_missing(policy: &Policy) {
    let notes = policy.missing().map(|(upstream, folder, file, Missing { label, need, .. })| {
        let (place, folder) = (format!("upstreams.{upstream}.engine"), folder.display());
        let node = format!("{}: note: node \"{label}\"", file.display());
        match need {
            Need::Credential { name, field } => {
                format!("{node} gets no {name}.{field}: neither {place}.credentials nor its credentials_file has a value for it")
            }
            Need::File { input } => format!("{node} has no file in its input {input}"),
            Need::Network { host } => format!("{node} may not call {host}, which is not in {place}.allow_networks"),
            Need::Flow { name } => {
                format!(
                    "{node} runs the flow \"{name}\", which is not in {folder}; name its file, or a chatflow's id, so"
                )
            }
            Need::Store { name: Some(name) } => {
                format!("{node} gets no document store \"{name}\": no export in {folder} has it")
            }
            Need::Tool { id } => format!("{node} has no custom tool {id}: no export in {folder} has it"),
            Need::Setting(field) => format!("{node} has nothing in its input {field}"),
            Need::Store { name: None } => format!("{node} has chosen no document store"),
            Need::McpServer { name, .. } => {
                format!("{node} has no MCP server {name}, which is not in {place}.mcp.servers")
            }
        }
    });
    let mut notes: Vec<_> = notes.collect();
    notes.sort();
    for note in notes {
        tell(format_args!("{note}"));
    }
}
