//! What does not fit any more in a keys file that somebody has changed: an adoption adds keys to such a file, and leaves
//! those that are there as they are.

use std::collections::BTreeSet;
use std::path::Path;

use super::keys::{KEYS_FILE, PlannedKey};
use crate::keys;

/// Names of chatflows.
pub(super) struct ChatflowNames<'a> {
    /// As the run before called them.
    pub(super) before: BTreeSet<&'a str>,
    pub(super) now: BTreeSet<&'a str>,
}

/// For the report: what to change by hand, key by key.
pub(super) fn notes(text: &str, planned: &[PlannedKey], chatflows: &ChatflowNames<'_>) -> Vec<String> {
    let Ok(store) = keys::parse(Path::new(KEYS_FILE), text, None) else { return Vec::new() };
    let mut notes = Vec::new();
    for key in store.keys() {
        let Some(list) = &key.chatflows else { continue };
        let listed: BTreeSet<&str> = list.iter().map(|name| &**name).collect();
        let is_gone = |name: &&&str| chatflows.before.contains(**name) && !chatflows.now.contains(**name);
        let gone: Vec<&str> = listed.iter().filter(is_gone).copied().collect();
        if !gone.is_empty() {
            notes.push(format!(
                "{KEYS_FILE}, which somebody changed, names chatflows that are gone in the key {}: take out {}, or the \
                 gateway does not take it",
                key.id,
                gone.join(", ")
            ));
        }
        let wanted = planned.iter().find(|planned| planned.id == *key.id).and_then(|key| key.chatflows.as_ref());
        // One that it might have called before was taken out by somebody.
        let is_new = |name: &&str| !chatflows.before.contains(name) && !listed.contains(name);
        let new: Vec<&str> = wanted.into_iter().flatten().map(String::as_str).filter(is_new).collect();
        if !new.is_empty() {
            notes.push(format!(
                "{KEYS_FILE}, which somebody changed, stays as it is: for the key {} to call what is new, add {} to its \
                 chatflows",
                key.id,
                new.join(", ")
            ));
        }
    }
    notes
}
