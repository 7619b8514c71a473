//! The configuration that a command works with: named, or found where it usually is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::print::tell;
use crate::config::{Config, Problems};
use crate::telemetry::metrics::Metrics;

/// Bad usage or configuration.
pub(super) const BAD_CONFIG: u8 = 2;

/// Where a configuration is looked for that nobody named.
const PLACES: [&str; 2] = ["config/flowgate.yaml", "/etc/flowgate/flowgate.yaml"];

pub(super) fn find_config() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.exists())
}

/// The configuration that is named, or the one that is found.
pub(super) fn named_or_found(named: Option<PathBuf>) -> Result<PathBuf, ExitCode> {
    named.or_else(find_config).ok_or_else(|| {
        let [local, system] = PLACES;
        let here = if Path::new("flowgate.yaml").exists() { "flowgate.yaml" } else { "FILE" };
        tell(format_args!("{system}: no such file, and no {local} either; name one with FLOWGATE_CONFIG={here}"));
        ExitCode::from(BAD_CONFIG)
    })
}

pub(super) fn configured_by_environment() -> Result<PathBuf, ExitCode> {
    named_or_found(std::env::var_os("FLOWGATE_CONFIG").map(PathBuf::from))
}

/// Reads the configuration, or says everything that is wrong with it.
pub(super) fn load(path: &Path) -> Result<Config, ExitCode> {
    Config::load(path).map_err(|problems| {
        let code = report(&problems);
        if !path.exists() && std::env::var_os("FLOWGATE_CONFIG").is_some_and(|named| Path::new(&named) == path) {
            tell(format_args!("FLOWGATE_CONFIG names it"));
        }
        code
    })
}

/// For what counts while it is only read.
pub(super) fn metrics() -> Result<Metrics, ExitCode> {
    Metrics::new().map_err(|error| {
        tell(format_args!("{error}"));
        ExitCode::FAILURE
    })
}

pub(super) fn report(problems: &Problems) -> ExitCode {
    tell(format_args!("{problems}"));
    ExitCode::from(BAD_CONFIG)
}
