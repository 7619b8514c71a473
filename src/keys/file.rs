//! The keys file as written, and what it means. Every problem is reported, not just the first.
//!
//! There may be very many keys: they are read one by one, straight into the store, which also tells of duplicates.

mod plain;
mod reader;

use std::io::BufRead;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use self::reader::KeyReader;
pub(super) use self::reader::from_hex;
use super::key::Key;
use super::store::KeyStore;
use crate::config::content::{self, MOST_KEYS};
use crate::config::yaml::{self, ItemSink as _};
use crate::config::{Problem, Problems};

const DEFAULT_PLAN: &str = "default";
/// Ids that mean something else in logs and metrics.
const RESERVED_IDS: [&str; 3] = ["other", "-", "anonymous"];

/// What the configuration calls plans, chatflows and identity providers.
#[derive(Debug, Clone, Copy)]
pub struct AllowedNamesRef<'a> {
    /// In the order of [`Config::plans`](crate::config::Config::plans).
    pub plans: &'a [Arc<str>],
    pub chatflows: &'a [Arc<str>],
    /// Of identity providers, which stand where an id does.
    pub providers: &'a [Arc<str>],
    /// Whether there is a chatflow `*`: then any UUID is the name of a chatflow.
    pub wildcard: bool,
}

/// The keys of a keys file, at least one. `path` is for the messages only. Without names, plans and chatflows may be
/// called anything, and the plan is 0.
pub fn parse(path: &Path, text: &str, names: Option<&AllowedNamesRef<'_>>) -> Result<KeyStore, Problems> {
    let mut store = match plain_keys(path, text.as_bytes(), text.len(), names) {
        Some(store) => store,
        None => read_into(path, text, names, None)?,
    };
    if store.keys().is_empty() {
        let message = "the file holds no key; the keys that were loaded before stay in force".to_owned();
        return Err(Problem { file: path.to_owned(), at: None, field: "keys".to_owned(), message }.into());
    }
    store.shrink();
    Ok(store)
}

/// The same of a file, without holding its text. `None`: there is more in it than what is [plain], or a mistake.
pub(super) fn load_plain(path: &Path, names: &AllowedNamesRef<'_>) -> Option<KeyStore> {
    let (mut pieces, size) = content::pieces(path, MOST_KEYS).ok()?;
    let mut store = plain_keys(path, &mut pieces, size, Some(names))?;
    store.shrink();
    // It may have grown beyond the bound meanwhile.
    (pieces.get_ref().limit() > 0 && !store.keys().is_empty()).then_some(store)
}

/// One item of the list.
#[derive(Clone)]
pub(super) struct KeyEntry {
    /// Line and column of the item's first field, from 1.
    pub(super) at: Option<(u32, u32)>,
    /// As written; [`Key::plan`] is 0 if the file was read without names.
    pub(super) plan: Option<Arc<str>>,
    pub(super) key: Key,
}

impl KeyEntry {
    /// Whether both mean the same, wherever they stand.
    pub(super) fn means(&self, other: &Self) -> bool {
        self.plan == other.plan && self.key == other.key
    }

    pub(super) fn plan_name(&self) -> &str {
        self.plan.as_deref().unwrap_or(DEFAULT_PLAN)
    }
}

/// Reads a keys file that may be empty. Without names, plans and chatflows may be called anything.
pub(super) fn read(path: &Path, text: &str, names: Option<&AllowedNamesRef<'_>>) -> Result<Vec<KeyEntry>, Problems> {
    let mut written = Vec::new();
    let keys = read_into(path, text, names, Some(&mut written))?.into_keys();
    Ok(written.into_iter().zip(keys).map(|((at, plan), key)| KeyEntry { at, plan, key }).collect())
}

/// Where each key stands, and its plan as written.
type EntryPlaces = Vec<(Option<(u32, u32)>, Option<Arc<str>>)>;

fn read_into(
    path: &Path,
    text: &str,
    names: Option<&AllowedNamesRef<'_>>,
    written: Option<&mut EntryPlaces>,
) -> Result<KeyStore, Problems> {
    let mut reader = KeyReader::new(path, names, written);
    if !is_blank(text) {
        yaml::each_item(path, text, "keys", &mut reader)?;
    }
    Ok(reader.into_store())
}

/// `None`: there is more in it than what is [plain], or a mistake. `size`: of the text, or about that.
fn plain_keys(path: &Path, text: impl BufRead, size: usize, names: Option<&AllowedNamesRef<'_>>) -> Option<KeyStore> {
    let (mut reader, mut problems) = (KeyReader::new(path, names, None), Vec::new());
    // To grow is to hold the keys twice.
    reader.reserve(size / plain::SHORTEST_KEY);
    plain::read(text, |index, item| {
        reader.take(index, Some(item), &mut problems);
        problems.is_empty()
    })?;
    Some(reader.into_store())
}

/// Whether there is nothing but comments.
pub(super) fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

pub(super) fn check_id(id: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&id.len()) || !id.bytes().all(allowed) {
        Err("an id is 1 to 64 characters of A-Z a-z 0-9 . _ -")
    } else if RESERVED_IDS.contains(&id) {
        Err("this id is reserved")
    } else {
        Ok(())
    }
}

/// An address or a CIDR.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}

#[cfg(test)]
mod tests;
