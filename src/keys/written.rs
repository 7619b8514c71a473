//! What a keys file says of keys however much of it is wrong: enough to take a key out of use, never to let one in.
//!
//! Each item is read by itself and field by field. An item counts for the key whose id it has; one whose id cannot be
//! read, or was given before, for the key whose secret it has.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::file::{check_id, from_hex};
use super::key::Key;
use super::secret::Digest;
use super::terms::KeyTerms;
use crate::config::Problem;
use crate::config::yaml::{self, Located, Value, YamlNode};

/// One item, as far as it can be read.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "fields of the file are what they are")]
pub(super) struct WrittenKey {
    /// Line and column where it starts, from 1.
    pub(super) at: (u32, u32),
    pub(super) id: Option<Box<str>>,
    digest: Option<Digest>,
    /// With the time at which it ends, if there is one that can be read.
    previous: Option<(Digest, Option<Timestamp>)>,
    /// Some secret of it cannot be read.
    is_unclear: bool,
    expires_at: Option<Timestamp>,
    upsert: bool,
    pub(super) enabled: bool,
    pub(super) end_streams: bool,
}

/// The items of a file.
#[derive(Debug, Default)]
pub struct WrittenKeys {
    pub(super) items: Vec<WrittenKey>,
    by_id: HashMap<Box<str>, Vec<usize>>,
    /// Of items that have no id of their own.
    by_digest: HashMap<Digest, usize>,
}

/// `None`: it is no YAML with a list of keys, or none of them can be read, which says nothing of any key.
pub(super) fn read(path: &Path, text: &str) -> Option<WrittenKeys> {
    let mut survey = Survey::default();
    if let Err(problems) = yaml::each_item(path, text, "keys", &mut survey)
        && !problems.0.iter().all(is_beside)
    {
        return None;
    }
    survey.0.iter().any(WrittenKey::is_read).then(|| WrittenKeys::from_iter(survey.0))
}

/// Whether a problem lies beside the list.
fn is_beside(problem: &Problem) -> bool {
    !problem.field.is_empty() && problem.field != "keys"
}

#[derive(Default)]
struct Survey(Vec<WrittenKey>);

/// Whatever stands in the fields.
#[derive(Deserialize)]
struct WrittenItem {
    id: Option<YamlNode>,
    sha256: Option<YamlNode>,
    previous: Option<YamlNode>,
    expires_at: Option<YamlNode>,
    upsert: Option<YamlNode>,
    enabled: Option<YamlNode>,
    end_streams: Option<YamlNode>,
}

impl yaml::ItemSink for Survey {
    type Item = Located<WrittenItem>;

    fn take(&mut self, _index: usize, item: Option<Located<WrittenItem>>, problems: &mut Vec<Problem>) {
        // They are told where everything must be right.
        problems.retain(is_of_no_item);
        self.0.extend(item.map(WrittenKey::from));
    }
}

fn is_of_no_item(problem: &Problem) -> bool {
    !problem.field.starts_with("keys[")
}

impl From<Located<WrittenItem>> for WrittenKey {
    fn from(located: Located<WrittenItem>) -> Self {
        let at = located.at();
        let WrittenItem { id, sha256, previous, expires_at, upsert, enabled, end_streams } = located.value;
        let digest = text(sha256.as_ref()).and_then(from_hex);
        let old = field(previous.as_ref(), "sha256");
        let old = text(old).and_then(from_hex);
        let until = time(field(previous.as_ref(), "until"));
        let is_previous = previous.as_ref().is_some_and(|node| !matches!(node.value, Value::Null));
        Self {
            at,
            id: text(id.as_ref()).filter(|id| check_id(id).is_ok()).map(Into::into),
            digest,
            previous: old.map(|digest| (digest, until)),
            is_unclear: digest.is_none() || (is_previous && old.is_none()),
            expires_at: time(expires_at.as_ref()),
            upsert: !matches!(upsert.map(|node| node.value), None | Some(Value::Null | Value::Bool(false))),
            enabled: !enabled.is_some_and(|node| means_no(&node.value)),
            end_streams: end_streams.is_some_and(|node| matches!(node.value, Value::Bool(true))),
        }
    }
}

fn text(node: Option<&YamlNode>) -> Option<&str> {
    match &node?.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn time(node: Option<&YamlNode>) -> Option<Timestamp> {
    text(node)?.parse().ok()
}

fn field<'n>(node: Option<&'n YamlNode>, name: &str) -> Option<&'n YamlNode> {
    match &node?.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.value == name).map(|(_, value)| value),
        _ => None,
    }
}

/// Also as those write it who take it for another YAML.
fn means_no(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::String(text) => ["false", "no", "off", "n"].iter().any(|no| text.eq_ignore_ascii_case(no)),
        Value::Integer(number) => *number == 0,
        _ => false,
    }
}

impl FromIterator<WrittenKey> for WrittenKeys {
    fn from_iter<T: IntoIterator<Item = WrittenKey>>(items: T) -> Self {
        let mut written = Self { items: items.into_iter().collect(), ..Self::default() };
        let mut ids = HashSet::new();
        for (index, item) in written.items.iter().enumerate() {
            if let Some(id) = &item.id {
                written.by_id.entry(id.clone()).or_default().push(index);
            }
            if item.id.as_ref().is_none_or(|id| !ids.insert(id)) {
                let digests = [item.digest, item.previous.map(|(digest, _)| digest)];
                digests.into_iter().flatten().for_each(|digest| _ = written.by_digest.entry(digest).or_insert(index));
            }
        }
        written
    }
}

impl From<&Key> for WrittenKey {
    fn from(key: &Key) -> Self {
        Self {
            at: (0, 0),
            id: Some(key.id.clone()),
            digest: Some(key.digest),
            previous: key.previous().map(|(digest, until)| (digest, Some(until))),
            is_unclear: false,
            expires_at: key.expires_at,
            upsert: key.upsert,
            enabled: key.enabled,
            end_streams: key.end_streams,
        }
    }
}

impl<'a> FromIterator<&'a Key> for WrittenKeys {
    /// As if these stood in a file.
    fn from_iter<T: IntoIterator<Item = &'a Key>>(keys: T) -> Self {
        keys.into_iter().map(WrittenKey::from).collect()
    }
}

impl WrittenKeys {
    /// The items with that id; more than one is a mistake.
    pub(super) fn with_id(&self, id: &str) -> &[usize] {
        self.by_id.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether no other item says whose it is: without it, the file would say nothing.
    pub(super) fn is_last(&self, index: usize) -> bool {
        let mut read = self.items.iter().enumerate().filter(|(_, item)| item.is_read());
        read.all(|(other, _)| other == index)
    }

    /// That key as far as it goes on; `None`: it is revoked.
    pub(super) fn leaves(&self, key: &Key) -> Option<Key> {
        let named = self.with_id(&key.id);
        let digests = [Some(key.digest), key.previous().map(|(digest, _)| digest)];
        let nameless = || digests.into_iter().flatten().find_map(|digest| self.by_digest.get(&digest));
        let items = named.iter().chain(if named.is_empty() { nameless() } else { None });
        items.filter_map(|index| self.items.get(*index)).find_map(|item| item.leaves(key))
    }
}

impl WrittenKey {
    fn is_read(&self) -> bool {
        self.id.is_some() && self.digest.is_some()
    }

    /// Whether both say the same, wherever they stand.
    pub(super) fn means(&self, other: &Self) -> bool {
        *self == Self { at: self.at, ..other.clone() }
    }

    fn leaves(&self, key: &Key) -> Option<Key> {
        // Until when a secret counts there; `None`: no longer.
        let end = |digest: &Digest| match self.previous {
            _ if self.digest == Some(*digest) => Some(Timestamp::MAX),
            Some((old, until)) if old == *digest => Some(until.unwrap_or(Timestamp::MAX)),
            _ => self.is_unclear.then_some(Timestamp::MAX),
        };
        let current = end(&key.digest).map(|until| (key.digest, until));
        let previous = key.previous().and_then(|(digest, until)| Some((digest, until.min(end(&digest)?))));
        let (digest, until) = current.or(previous)?;
        let ends = [key.expires_at, self.expires_at, Some(until).filter(|until| *until < Timestamp::MAX)];
        let mut left = KeyTerms {
            expires_at: ends.into_iter().flatten().min(),
            enabled: key.enabled && self.enabled,
            end_streams: key.end_streams || self.end_streams,
            upsert: key.upsert && self.upsert,
            ..(**key).clone()
        };
        left.set_previous(previous.filter(|(old, _)| *old != digest));
        // Nearly all stay as they were.
        let terms = if left == **key { Arc::clone(&key.terms) } else { Arc::new(left) };
        Some(Key { id: key.id.clone(), digest, terms })
    }
}

#[cfg(test)]
mod tests;
