//! `flowgate adopt`: makes a folder that runs of what a Flowise has.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::found::{self, BAD_CONFIG};
use super::print::{print, tell};
use crate::adopt::{AdoptOptions, adopt};
use crate::keys::command::printable;

/// Some flows need something.
const INCOMPLETE: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct AdoptCommand {
    /// Flowise's exports, folders of them, or its database.sqlite
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Folder that is written
    #[arg(long, value_name = "DIR", default_value = "flowgate")]
    into: PathBuf,
    /// Flowise's address, where flows stay that the engine does not run
    #[arg(long, value_name = "URL")]
    flowise: Option<String>,
    /// Flowise's encryption.key, so that credentials of its database come along
    #[arg(long, value_name = "FILE")]
    encryption_key: Option<PathBuf>,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Overwrite files that somebody else wrote or changed
    #[arg(long)]
    force: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl AdoptCommand {
    pub(super) fn run(self) -> ExitCode {
        let metrics = match found::metrics() {
            Ok(metrics) => metrics,
            Err(code) => return code,
        };
        let Self { sources, into, flowise, encryption_key, dry_run, force, json } = self;
        let options = AdoptOptions { sources, into, flowise, encryption_key, dry_run, force };
        let report = match adopt(&options, &metrics) {
            Ok(report) => report,
            Err(error) => {
                // Files have the names that somebody else gave them.
                let lines: Vec<String> = error.to_string().lines().map(printable).collect();
                tell(format_args!("{}", lines.join("\n")));
                return ExitCode::from(BAD_CONFIG);
            }
        };
        let text = if json { report.json() } else { report.text(dry_run) };
        match print(format_args!("{text}")) {
            Err(code) => code,
            Ok(()) if report.is_whole() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(INCOMPLETE),
        }
    }
}
