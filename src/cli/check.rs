//! `flowgate check`: everything that `serve` would read, without serving.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::engine::{Lack, Missing};
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::Metrics;

pub(super) fn run(path: &Path) -> ExitCode {
    let config = match super::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let metrics = match Metrics::new() {
        Ok(metrics) => Arc::new(metrics),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match Snapshot::load(config, None, &metrics) {
        Ok(snapshot) => {
            note_missing(&snapshot);
            let flows = snapshot.config.chatflows.len() + usize::from(snapshot.config.wildcard.is_some());
            println!("{}: ok, {} keys, {flows} chatflows", path.display(), snapshot.keys.keys().len());
            ExitCode::SUCCESS
        }
        Err(problems) => super::report(&problems),
    }
}

/// What a flow asks for and does not get may be wanted so: a model on the same machine needs no key.
fn note_missing(snapshot: &Snapshot) {
    let mut notes = Vec::new();
    for (upstream, flows) in snapshot.engines() {
        notes.extend(flows.missing().map(|(file, Missing { label, what, .. })| {
            let file = file.display();
            match what {
                Lack::Credential { name, field } => {
                    let place = format!("upstreams.{upstream}.engine.credentials");
                    format!("{file}: note: node \"{label}\" gets no {name}.{field}, which is not in {place}")
                }
                Lack::File { input } => format!("{file}: note: node \"{label}\" has no file in its input {input}"),
                Lack::Store { name: Some(name) } => {
                    let folder = flows.folder().display();
                    format!(
                        "{file}: note: node \"{label}\" gets no document store \"{name}\": no export in {folder} has it"
                    )
                }
                Lack::Store { name: None } => format!("{file}: note: node \"{label}\" has chosen no document store"),
            }
        }));
    }
    notes.sort();
    for note in notes {
        eprintln!("{note}");
    }
}
