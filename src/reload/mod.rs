//! Live changes: configuration, keys, certificates and secret files.
//!
//! [`files`]: which files, and whether they changed; [`mod@watch`]: when to look; [`keys`]: take over the keys, before
//! all else; [`apply`]: read, take over what is good, keep what is in force of the rest and say why; [`diff`]: what a
//! reload cannot change; [`show`]: what log and metrics say of it; [`journal`]: the last ones, for people who look.

mod apply;
mod diff;
mod files;
mod journal;
mod keys;
mod show;
mod watch;

pub(crate) use apply::Reloader;
pub(crate) use files::Files;
pub(crate) use journal::{HeldPart, ReloadEntry, ReloadJournal, WatchedPath};
pub(crate) use show::show_start;
pub(crate) use watch::{ReloadNow, watch};
