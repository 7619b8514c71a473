//! `flowgate check`: everything that `serve` would read, without serving.

use std::path::Path;
use std::process::ExitCode;

use crate::snapshot::Snapshot;
use crate::telemetry::metrics::Metrics;

pub(super) fn run(path: &Path) -> ExitCode {
    let config = match super::load(path) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let metrics = match Metrics::new() {
        Ok(metrics) => metrics,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match Snapshot::load(config, None, &metrics) {
        Ok(snapshot) => {
            let flows = snapshot.config.chatflows.len() + usize::from(snapshot.config.wildcard.is_some());
            println!("{}: ok, {} keys, {flows} chatflows", path.display(), snapshot.keys.keys().len());
            ExitCode::SUCCESS
        }
        Err(problems) => super::report(&problems),
    }
}
