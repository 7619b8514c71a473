//! `flowgate keys`: makes, lists, replaces and revokes keys in the keys file.
//!
//! Each command reads and writes the file and returns what to print. A new key goes to stdout alone, so that
//! `KEY=$(flowgate keys create --id app)` works, and what to do with it to stderr. It cannot be shown again: the file
//! holds its digest only.

mod create;
mod list;
mod revoke;
mod rotate;

pub(crate) use list::printable;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::audit::{self, PlannedChange};
use super::disk::{self, DiskError, LockedFile};
use super::edit::{self, Change};
use super::file::{self, AllowedNamesRef, KeyEntry};
use super::secret::NoRandomness;
use crate::config::{OriginError, Origins, Problems, Secret};

const HEADER: &str = "\
# API keys of flowgate: only their SHA-256 digests. Edit this file by hand or with `flowgate keys`;
# a running gateway takes changes over by itself.
";

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, once
    Create(CreateKey),
    /// Show all keys and their state
    List(ListKeys),
    /// Give a key a new secret; the old one works on for a while
    Rotate(RotateKey),
    /// Disable a key
    Revoke(RevokeKey),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("expiry").args(["expires_in", "expires_at"])))]
pub struct CreateKey {
    /// Name of the key in logs and metrics
    #[arg(long, value_parser = id)]
    id: String,
    /// Plan that limits it [default: the plan `default`]
    #[arg(long)]
    plan: Option<String>,
    /// Chatflow it may call; may be repeated [default: all]
    #[arg(long = "chatflow", value_name = "NAME")]
    chatflows: Vec<String>,
    /// Address or CIDR it may be used from; may be repeated [default: any]
    #[arg(long = "allowed-ip", value_name = "CIDR", value_parser = net)]
    allowed_ips: Vec<IpNet>,
    /// For how long it works, e.g. 90d [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<SignedDuration>,
    /// Until when it works, e.g. 2027-01-31T00:00:00Z
    #[arg(long, value_name = "RFC3339")]
    expires_at: Option<Timestamp>,
    /// Allow calls of vector/upsert
    #[arg(long, conflicts_with = "publishable")]
    upsert: bool,
    /// Make a key that may sit in a page: it works only from the given origins
    #[arg(long, requires = "origins")]
    publishable: bool,
    /// Origin of a page that a publishable key sits in; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", requires = "publishable", value_parser = origin)]
    origins: Vec<String>,
    /// Keys file [default: the one of the configuration]
    #[arg(long, value_name = "KEYS_FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ListKeys {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Keys file [default: the one of the configuration]
    #[arg(long, value_name = "KEYS_FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RotateKey {
    /// Id of the key
    id: String,
    /// For how long the old secret works on; 0: not at all
    #[arg(long, value_name = "DURATION", default_value = "72h", value_parser = duration)]
    grace: SignedDuration,
    /// Keys file [default: the one of the configuration]
    #[arg(long, value_name = "KEYS_FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RevokeKey {
    /// Id of the key
    id: String,
    /// Remove it from the file instead of disabling it
    #[arg(long)]
    delete: bool,
    /// End its running streams as well, within 2 seconds
    #[arg(long, conflicts_with = "delete")]
    now: bool,
    /// Keys file [default: the one of the configuration]
    #[arg(long, value_name = "KEYS_FILE")]
    file: Option<PathBuf>,
}

/// What a command prints, final line breaks included.
#[derive(Debug)]
pub struct Output {
    /// A [`Secret`], as it may hold a key.
    pub stdout: Secret,
    pub stderr: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("there is a key `{0}` already")]
    IdTaken(Box<str>),
    #[error("there is no key `{0}`")]
    NoSuchKey(String),
    #[error("{} does not exist", .0.display())]
    NoFile(PathBuf),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("the key would have expired already")]
    ExpiresInThePast,
    #[error("the time is too far in the future")]
    TooFarAhead,
    /// A gateway refuses an empty file and keeps the keys it has, so the deleted one would work on.
    #[error(
        "`{0}` is the last key of the file, and a running gateway does not take over an empty file; revoke it without --delete"
    )]
    LastKey(Box<str>),
    #[error("{} cannot be edited by this command without changing what it means; edit it by hand", .0.display())]
    Uneditable(PathBuf),
    #[error(transparent)]
    Invalid(#[from] Problems),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl CommandError {
    /// Whether the system failed, rather than what was asked for.
    #[must_use]
    pub fn is_runtime_failure(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::NoRandomness(_))
    }
}

impl KeysCommand {
    /// The keys file that was named on the command line.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Create(CreateKey { file, .. })
            | Self::List(ListKeys { file, .. })
            | Self::Rotate(RotateKey { file, .. })
            | Self::Revoke(RevokeKey { file, .. }) => file.as_deref(),
        }
    }

    /// Runs the command on a keys file.
    pub fn run(&self, place: &CommandContext<'_>, now: Timestamp) -> Result<Output, CommandError> {
        match self {
            Self::Create(create) => create.run(place, now),
            Self::List(list) => list.run(place.file, now),
            Self::Rotate(rotate) => rotate.run(place, now),
            Self::Revoke(revoke) => revoke.run(place, now),
        }
    }
}

/// What a command works on.
#[derive(Debug, Clone, Copy)]
pub struct CommandContext<'a> {
    /// The keys file.
    pub file: &'a Path,
    /// The configuration that names it; `None`: somebody named it who need not know one.
    pub gateway: Option<&'a Path>,
    /// What that configuration calls plans and chatflows. A file that has come to name others is not written, unless to
    /// revoke a key.
    pub names: Option<AllowedNamesRef<'a>>,
}

impl CommandContext<'_> {
    /// Which gateways take the file over, as far as can be known: whether one runs cannot.
    fn takers(&self) -> String {
        match self.gateway {
            Some(config) => format!("a gateway that runs with {}", config.display()),
            None => format!("a gateway whose keys_file is {}", self.file.display()),
        }
    }
}

/// Whether a keys file has a key of that id; `None`: it cannot be told, as the file cannot be read.
pub(crate) fn has_key(path: &Path, id: &str) -> Option<bool> {
    let text = disk::read(path).ok()??;
    let entries = file::read(path, &text, None).ok()?;
    Some(entries.iter().any(|entry| &*entry.key.id == id))
}

/// The file's text, its entries, and the index of the one with that id.
fn find(path: &Path, locked: &LockedFile, id: &str) -> Result<(String, Vec<KeyEntry>, usize), CommandError> {
    let text = locked.text().ok_or_else(|| CommandError::NoFile(path.to_owned()))?;
    let entries = file::read(path, text, None)?;
    let index = entries.iter().position(|entry| &*entry.key.id == id);
    let index = index.ok_or_else(|| CommandError::NoSuchKey(id.to_owned()))?;
    Ok((text.to_owned(), entries, index))
}

/// Gives what there is to be warned of, with its line break.
fn write(
    place: &CommandContext<'_>,
    locked: LockedFile,
    (text, entries): (&str, &[KeyEntry]),
    change: &Change,
    told: PlannedChange<'_>,
) -> Result<String, CommandError> {
    let edited = edited(place.file, text, entries, change)?;
    file::read(place.file, &edited, place.names.as_ref())?;
    replace(place.file, locked, &edited, told)
}

/// Puts a new text in place of the old one, and tells who did so. That this cannot be told is no reason to leave a key in
/// use.
fn replace(path: &Path, locked: LockedFile, text: &str, told: PlannedChange<'_>) -> Result<String, CommandError> {
    let entry = told.entry(text);
    let is_told = entry.append(path);
    if let Err(error) = locked.replace(text) {
        if is_told.is_ok() {
            // What matters is the first error.
            let _ = entry.failed().append(path);
        }
        return Err(error.into());
    }
    let warning = |error| format!("warning: who did this is not in {}: {error}\n", audit::path(path).display());
    Ok(is_told.err().map(warning).unwrap_or_default())
}

fn edited(path: &Path, text: &str, entries: &[KeyEntry], change: &Change) -> Result<String, CommandError> {
    edit::apply(text, entries, change).map_err(|edit::EditFailed| CommandError::Uneditable(path.to_owned()))
}

fn printed(secret: &Secret, note: &str) -> Output {
    let stdout = Secret::new([secret.expose(), "\n"].concat());
    let stderr = format!(
        "{note}\nclients send the key on standard output as `Authorization: Bearer <key>`; it cannot be shown again\n"
    );
    Output { stdout, stderr }
}

/// Whole seconds, rounded up: nothing is gained by nanoseconds in the file.
fn after(now: Timestamp, span: SignedDuration) -> Result<Timestamp, CommandError> {
    if span.is_zero() {
        return Ok(now);
    }
    let from = now.as_second() + i64::from(now.subsec_nanosecond() > 0);
    let end = from.checked_add(span.as_secs()).and_then(|seconds| Timestamp::from_second(seconds).ok());
    end.ok_or(CommandError::TooFarAhead)
}

fn id(text: &str) -> Result<String, &'static str> {
    file::check_id(text).map(|()| text.to_owned())
}

fn net(text: &str) -> Result<IpNet, &'static str> {
    file::parse_net(text).ok_or("an address (192.0.2.7) or a CIDR (192.0.2.0/24) is needed")
}

/// An origin that may be listed, as it was written.
fn origin(text: &str) -> Result<String, OriginError> {
    Origins::default().add(text).map(|()| text.to_owned())
}

/// `90d`, `72h`, `30m`, `45s`, `2w`, or 0.
fn duration(text: &str) -> Result<SignedDuration, &'static str> {
    const RULE: &str = "a duration such as 90d, 72h, 30m or 45s is needed";
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: i64 = number.parse().map_err(|_| RULE)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        "" if number == 0 => 0,
        _ => return Err(RULE),
    };
    number.checked_mul(seconds).map(SignedDuration::from_secs).ok_or(RULE)
}

#[cfg(test)]
mod tests;
