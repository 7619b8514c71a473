//! `GET /api/config`: what is in force, what is on disk and is not, and the last reloads.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::super::overview::Overview;
use crate::reload::{HeldPart, ReloadEntry, WatchedPath};
use crate::snapshot::Snapshot;

#[derive(Serialize)]
pub(super) struct ConfigInfo {
    file: String,
    /// Of the file's bytes: alike on replicas that run on the same one.
    hash: String,
    /// Whether all that is on disk is in force.
    in_force: bool,
    held: Vec<HeldPart>,
    /// The newest first.
    reloads: Vec<ReloadEntry>,
    files: Vec<WatchedPath>,
}

pub(super) fn told(overview: &Overview, snapshot: &Snapshot) -> ConfigInfo {
    let held = overview.journal.held();
    let hash = digest(&SHA256, snapshot.config.source.content());
    ConfigInfo {
        file: snapshot.config.path.display().to_string(),
        hash: hash.as_ref().iter().take(8).fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        in_force: held.is_empty(),
        held,
        reloads: overview.journal.reloads(),
        files: overview.journal.files(),
    }
}
