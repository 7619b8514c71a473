//! `flowgate check`: everything that `serve` would read, without serving.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::engine::{Missing, Need};
use crate::policy::{Policy, Sources};
use crate::state::endpoints::Endpoints;

pub(super) fn run(path: &Path) -> ExitCode {
    let (config, metrics) = match super::load(path).and_then(|config| Ok((config, super::metrics()?))) {
        Ok(both) => both,
        Err(code) => return code,
    };
    match Sources::new(&Arc::new(config), &Arc::new(Endpoints::new(&metrics))).read() {
        Ok((policy, _)) => {
            for problem in policy.unused() {
                eprintln!("warning: {problem}; no chatflow needs this flow");
            }
            note_missing(&policy);
            let flows = policy.config.chatflows.len() + usize::from(policy.config.wildcard.is_some());
            println!("{}: ok, {} keys, {flows} chatflows", path.display(), policy.keys.keys().len());
            ExitCode::SUCCESS
        }
        Err(problems) => super::report(&problems),
    }
}

/// What a flow asks for and does not get may be wanted so: a model on the same machine needs no key.
fn note_missing(policy: &Policy) {
    let notes = policy.missing().map(|(upstream, folder, file, Missing { label, need, .. })| {
        let (place, folder) = (format!("upstreams.{upstream}.engine"), folder.display());
        let node = format!("{}: note: node \"{label}\"", file.display());
        match need {
            Need::Credential { name, field } => {
                format!("{node} gets no {name}.{field}, which is not in {place}.credentials")
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
            Need::Store { name: None } => format!("{node} has chosen no document store"),
        }
    });
    let mut notes: Vec<_> = notes.collect();
    notes.sort();
    for note in notes {
        eprintln!("{note}");
    }
}
