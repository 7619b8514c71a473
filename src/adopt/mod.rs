//! `flowgate adopt`: what a Flowise has, as a folder that runs without it.
//!
//! | file | what it is |
//! |---|---|
//! | [`source`], [`database`], [`sqlite`], [`encryption`] | what is read: exports, folders of them, Flowise's own file |
//! | [`inventory`] | all that was found, whatever it came from |
//! | [`plan`], [`names`], [`settings`] | which flow runs where, under which name and rules |
//! | [`keys`], [`credentials`], [`chats`] | who may call, what nodes prove themselves with, what was said |
//! | [`texts`], [`yaml_text`] | the files |
//! | [`folder`], [`transaction`] | puts them into place: all or none, and nothing that somebody else wrote |
//! | [`report`] | what came of it |
//!
//! Names and texts come from whoever drew the flows, and are never more than that: a name becomes a file's by being
//! spelled anew, and a text stands in quotation marks.

mod chats;
mod credentials;
mod database;
mod encryption;
mod folder;
mod inventory;
mod key_lists;
mod keys;
mod names;
mod plan;
mod report;
mod settings;
mod source;
mod sqlite;
mod texts;
mod transaction;
mod variables;
mod yaml_text;

use std::path::PathBuf;

use self::folder::{Adopted, FolderError, ImportedState, TargetFolder};
pub(crate) use self::report::AdoptReport;
use self::source::SourceError;
use crate::telemetry::metrics::Metrics;

/// What the command is asked to do.
#[derive(Debug)]
pub(crate) struct AdoptOptions {
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) into: PathBuf,
    /// Where flows stay that the engine does not run.
    pub(crate) flowise: Option<String>,
    pub(crate) encryption_key: Option<PathBuf>,
    /// Nothing is written.
    pub(crate) dry_run: bool,
    /// Files are overwritten that somebody else wrote.
    pub(crate) force: bool,
}

/// Why nothing was adopted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{0}")]
    Flowise(String),
}

/// Does it.
///
/// # Errors
/// A source cannot be read, or the folder cannot be written as a whole. Then nothing was.
pub(crate) fn adopt(options: &AdoptOptions, metrics: &Metrics) -> Result<AdoptReport, AdoptError> {
    if let Some(url) = &options.flowise {
        plan::check_url(url).map_err(AdoptError::Flowise)?;
    }
    let inventory = source::read(&options.sources, options.encryption_key.as_deref())?;
    let target = TargetFolder::open(&options.into)?;
    let plan = plan::AdoptionPlan::of(inventory, options.flowise.as_deref(), &target, metrics)?;
    if !plan.has_chatflow() {
        return Ok(AdoptReport::of(&plan, &options.into));
    }
    let mut files = texts::of(&plan);
    let keys = keys::KeyPlan::of(&plan, &target)?;
    files.extend(keys.files());
    let credentials = credentials::CredentialPlan::of(&plan, &target)?;
    files.push(credentials.file());
    let chats = chats::ChatPlan::of(&plan, &keys);
    let mut report = AdoptReport::of(&plan, &options.into).with(&keys, &credentials, &chats);
    files.push(report.file());
    let state = ImportedState { chats: &chats.chats, records: &plan.records };
    let adopted = Adopted::of(plan.names(), keys.ids());
    report.placed = Some(target.place(files, adopted, state, options.force, options.dry_run)?);
    Ok(report)
}
