//! Live changes: configuration, keys, certificates and secret files.
//!
//! [`files`]: which files, and whether they changed; [`mod@watch`]: when to look; [`apply`]: read, take over what is good,
//! keep what is in force of the rest and say why; [`diff`]: what a reload cannot change.

mod apply;
mod diff;
mod files;
mod watch;

pub(crate) use apply::{Reloader, show_start};
pub(crate) use files::Files;
pub(crate) use watch::{Now, watch};
