//! One item of the list after the other: a key, or what is wrong with it.

use std::fmt::{self, Arguments};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;

use super::{AllowedNamesRef, DEFAULT_PLAN, EntryPlaces, check_id, parse_net};
use crate::config::yaml::{self, Located};
use crate::config::{Origins, Problem, is_reserved};
use crate::keys::key::Key;
use crate::keys::secret::{Digest, KeyKind};
use crate::keys::store::{FoundKey, KeyStore, SecretSlot};
use crate::keys::terms::{Details, KeyTerms, SharedTerms};
use crate::uuid::is_uuid;

const DIGEST_RULE: &str = "64 hex digits, the SHA-256 of the whole key, are needed";
/// Different lists of chatflows that keys share.
const MOST_LISTS: usize = 64;

/// Fields that must be there are optional too: if one is missing, the other problems are still found.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyItem {
    pub(super) id: Option<Located<String>>,
    pub(super) sha256: Option<Located<String>>,
    previous: Option<Located<Previous>>,
    kind: Option<Located<String>>,
    pub(super) plan: Option<Located<String>>,
    /// Null is not the same as absent: `chatflows:` with its items commented out must not mean "all".
    #[serde(default, deserialize_with = "present")]
    chatflows: Option<Located<Option<Vec<Located<String>>>>>,
    #[serde(default)]
    allowed_origins: Option<Located<Vec<String>>>,
    #[serde(default)]
    allowed_ips: Option<Vec<Located<String>>>,
    upsert: Option<bool>,
    vars: Option<serde_json::Map<String, serde_json::Value>>,
    expires_at: Option<Located<String>>,
    pub(super) enabled: Option<bool>,
    end_streams: Option<Located<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    sha256: Option<Located<String>>,
    until: Option<Located<String>>,
}

fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

type LineColumn = Option<(u32, u32)>;

fn at<T>(value: &Located<T>) -> LineColumn {
    Some(value.at()).filter(|(line, _)| *line > 0)
}

/// Goes through the items and notes what is wrong.
pub(super) struct KeyReader<'a> {
    path: &'a Path,
    names: Option<&'a AllowedNamesRef<'a>>,
    written: Option<&'a mut EntryPlaces>,
    /// The good ones.
    store: KeyStore,
    /// Terms, and lists of chatflows, that came before.
    terms: SharedTerms,
    lists: Vec<Arc<[Arc<str>]>>,
    /// The others, in order; reading ends when there are too many.
    flawed: Vec<Flawed>,
    /// What is known of the item that is looked at.
    current: Flawed,
    /// Of the item that is looked at.
    problems: Vec<Problem>,
}

/// What an item with mistakes holds that nobody else may have.
#[derive(Default)]
struct Flawed {
    index: usize,
    id: Option<Box<str>>,
    digests: Vec<(Digest, SecretSlot)>,
}

impl yaml::ItemSink for KeyReader<'_> {
    type Item = Located<KeyItem>;

    fn take(&mut self, index: usize, item: Option<Located<KeyItem>>, problems: &mut Vec<Problem>) {
        self.current.index = index;
        self.current.id = None;
        self.current.digests.clear();
        let plan = item.as_ref().and_then(|item| item.value.plan.as_ref()).map(|plan| plan.value.as_str().into());
        let place = item.as_ref().and_then(at);
        match item.and_then(|item| self.key(index, item)) {
            Some(key) if self.problems.is_empty() => {
                self.store.push_at(place.map_or(0, |(line, _)| line), key);
                if let Some(written) = &mut self.written {
                    written.push((place, plan));
                }
            }
            _ => self.flawed.push(std::mem::take(&mut self.current)),
        }
        problems.append(&mut self.problems);
    }
}

impl<'a> KeyReader<'a> {
    pub(super) fn new(
        path: &'a Path,
        names: Option<&'a AllowedNamesRef<'a>>,
        written: Option<&'a mut EntryPlaces>,
    ) -> Self {
        let (store, terms, lists, flawed, current, problems) = Default::default();
        Self { path, names, written, store, terms, lists, flawed, current, problems }
    }

    /// So many keys will come, or fewer.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.store.reserve(keys);
    }

    /// The keys that were taken.
    pub(super) fn into_store(self) -> KeyStore {
        self.store
    }

    /// `None` if anything was wrong.
    fn key(&mut self, index: usize, located: Located<KeyItem>) -> Option<Key> {
        let (here, item) = (at(&located), located.value);
        let id = self.id(here, index, item.id);
        let digest = self.digest(here, index, SecretSlot::Current, item.sha256.as_ref());
        let previous = self.previous(index, item.previous.as_ref());
        let kind = self.kind(format_args!("keys[{index}].kind"), item.kind.as_ref());
        let origins = format_args!("keys[{index}].allowed_origins");
        let allowed_origins = self.allowed_origins(origins, item.allowed_origins.as_ref(), here, kind);
        let plan = self.plan(here, format_args!("keys[{index}].plan"), item.plan.as_ref());
        let chatflows = self.chatflows(format_args!("keys[{index}].chatflows"), item.chatflows.as_ref());
        let addresses = item.allowed_ips.as_deref().unwrap_or_default();
        let allowed_ips = self.allowed_ips(format_args!("keys[{index}].allowed_ips"), addresses);
        let expires_at = match &item.expires_at {
            Some(written) => self.time(at(written), format_args!("keys[{index}].expires_at"), &written.value).map(Some),
            None => Some(None),
        };
        if kind == Some(KeyKind::Publishable) && item.upsert == Some(true) {
            let message = "a publishable key may not upsert: it can be read in a page";
            self.problem::<()>(here, format_args!("keys[{index}].upsert"), message);
        }
        if let Some(written) = item.end_streams.as_ref().filter(|written| written.value && item.enabled != Some(false))
        {
            let message = "only the streams of a key that is switched off are ended: `enabled: false` is needed";
            self.problem::<()>(at(written), format_args!("keys[{index}].end_streams"), message);
        }
        for name in item.vars.iter().flat_map(serde_json::Map::keys).filter(|name| is_reserved(name)) {
            self.problem::<()>(here, format_args!("keys[{index}].vars.{name}"), "this name cannot be used");
        }
        let vars = item.vars.unwrap_or_default().into_iter();
        let (id, digest) = (id?, digest?);
        let mut terms = KeyTerms {
            kind: kind?,
            plan: plan?,
            chatflows: chatflows?,
            upsert: item.upsert.unwrap_or(false),
            vars: vars.map(|(name, value)| (name.into_boxed_str(), value)).collect(),
            expires_at: expires_at?,
            enabled: item.enabled.unwrap_or(true),
            end_streams: item.end_streams.is_some_and(|written| written.value),
            ..KeyTerms::default()
        };
        terms.set_details(Details {
            previous: previous?,
            allowed_origins: allowed_origins?,
            allowed_ips: allowed_ips?,
        });
        Some(Key { id, digest, terms: self.terms.share(terms) })
    }

    /// Notes a problem; `None`, for the caller to return.
    fn problem<T>(&mut self, at: LineColumn, field: Arguments<'_>, message: impl Into<String>) -> Option<T> {
        let problem = Problem { file: self.path.to_owned(), at, field: field.to_string(), message: message.into() };
        self.problems.push(problem);
        None
    }

    fn id(&mut self, item: LineColumn, index: usize, written: Option<Located<String>>) -> Option<Box<str>> {
        let field = format_args!("keys[{index}].id");
        let Some(written) = written else { return self.problem(item, field, "an id is needed") };
        let place = at(&written);
        let id = written.value.into_boxed_str();
        if let Err(rule) = check_id(&id) {
            // The id is not repeated: it might be a key in the wrong place.
            return self.problem(place, field, rule);
        }
        let flawed = self.flawed.iter().find(|item| item.id.as_deref() == Some(&*id)).map(|item| item.index);
        if let Some(first) = self.store.by_id(&id).map(|(index, _)| self.item_of(index)).or(flawed) {
            return self.problem(place, field, format!("keys[{first}] has the id `{id}` already"));
        }
        if self.names.is_some_and(|names| names.providers.iter().any(|name| **name == *id)) {
            let message = format!("an identity provider is called `{id}`: log and metrics could not tell them apart");
            return self.problem(place, field, message);
        }
        self.current.id = Some(id.clone());
        Some(id)
    }

    /// The place in the list of a key in the store.
    fn item_of(&self, index: usize) -> usize {
        self.flawed.iter().fold(index, |item, flawed| item + usize::from(flawed.index <= item))
    }

    /// Digests are never repeated in a message, right or wrong: they might be keys in the wrong place.
    fn digest(
        &mut self,
        parent: LineColumn,
        index: usize,
        slot: SecretSlot,
        written: Option<&Located<String>>,
    ) -> Option<Digest> {
        let field = DigestField { index, slot };
        let Some(written) = written else { return self.problem(parent, format_args!("{field}"), DIGEST_RULE) };
        let Some(digest) = from_hex(&written.value) else {
            let is_key = written.value.starts_with("fg_");
            let message = if is_key { format!("this looks like a key; {DIGEST_RULE}") } else { DIGEST_RULE.to_owned() };
            return self.problem(at(written), format_args!("{field}"), message);
        };
        if let Some(first) = self.holder(&digest) {
            return self.problem(at(written), format_args!("{field}"), format!("the same digest as {first}"));
        }
        self.current.digests.push((digest, slot));
        Some(digest)
    }

    /// Where that digest stands already.
    fn holder(&self, digest: &Digest) -> Option<DigestField> {
        if let Some(FoundKey { index, slot }) = self.store.with_digest(digest) {
            return Some(DigestField { index: self.item_of(index), slot });
        }
        self.flawed.iter().chain([&self.current]).find_map(|item| {
            let (_, slot) = item.digests.iter().find(|(known, _)| known == digest)?;
            Some(DigestField { index: item.index, slot: *slot })
        })
    }

    #[expect(clippy::option_option, reason = "`None` is a problem that was noted, `Some(None)` an absent field")]
    fn previous(&mut self, index: usize, written: Option<&Located<Previous>>) -> Option<Option<(Digest, Timestamp)>> {
        let Some(located) = written else { return Some(None) };
        let (here, previous) = (at(located), &located.value);
        let digest = self.digest(here, index, SecretSlot::Previous, previous.sha256.as_ref());
        let field = format_args!("keys[{index}].previous.until");
        let until = match &previous.until {
            Some(until) => self.time(at(until), field, &until.value),
            None => self.problem(here, field, "needed: the time from which the old secret no longer counts"),
        };
        Some(Some((digest?, until?)))
    }

    fn kind(&mut self, field: Arguments<'_>, written: Option<&Located<String>>) -> Option<KeyKind> {
        match written.map(|written| written.value.as_str()) {
            None | Some("secret") => Some(KeyKind::Secret),
            Some("publishable") => Some(KeyKind::Publishable),
            Some(_) => self.problem(written.and_then(at), field, "must be `secret` or `publishable`"),
        }
    }

    fn allowed_origins(
        &mut self,
        field: Arguments<'_>,
        written: Option<&Located<Vec<String>>>,
        item: LineColumn,
        kind: Option<KeyKind>,
    ) -> Option<Origins> {
        let mut origins = Origins::default();
        for text in written.map(|written| written.value.as_slice()).unwrap_or_default() {
            if let Err(error) = origins.add(text) {
                return self.problem(written.and_then(at), field, error.to_string());
            }
        }
        match kind {
            Some(KeyKind::Publishable) if origins.is_empty() || origins.is_any() => {
                let message = "a publishable key needs the origins of the pages it sits in; `*` is no list";
                self.problem(written.map_or(item, at), field, message)
            }
            Some(KeyKind::Secret) if !origins.is_empty() => {
                let message = "only a publishable key has origins: a secret key has no place in a page";
                self.problem(written.map_or(item, at), field, message)
            }
            _ => Some(origins),
        }
    }

    fn plan(&mut self, item: LineColumn, field: Arguments<'_>, written: Option<&Located<String>>) -> Option<usize> {
        let Some(names) = self.names else { return Some(0) };
        let name = written.map_or(DEFAULT_PLAN, |written| &written.value);
        if let Some(index) = names.plans.iter().position(|plan| &**plan == name) {
            return Some(index);
        }
        let message = format!("no plan is called `{}`; there are: {}", printable(name), names.plans.join(", "));
        self.problem(written.map_or(item, at), field, message)
    }

    #[expect(clippy::option_option, reason = "`None` is a problem that was noted, `Some(None)` means all")]
    fn chatflows(
        &mut self,
        field: Arguments<'_>,
        written: Option<&Located<Option<Vec<Located<String>>>>>,
    ) -> Option<Option<Arc<[Arc<str>]>>> {
        let Some(list) = written else { return Some(None) };
        let items = list.value.as_deref().unwrap_or_default();
        if items.is_empty() {
            return self.problem(at(list), field, "an empty list allows nothing; leave the field out to allow all");
        }
        let is_same = |known: &&Arc<[Arc<str>]>| {
            known.len() == items.len() && known.iter().zip(items).all(|(known, item)| **known == *item.value)
        };
        if let Some(known) = self.lists.iter().find(is_same) {
            return Some(Some(Arc::clone(known)));
        }
        let names: Vec<_> = (0..)
            .zip(items)
            .map(|(index, item): (usize, _)| self.chatflow(format_args!("{field}[{index}]"), item))
            .collect();
        let names = names.into_iter().collect::<Option<Arc<[_]>>>()?;
        if self.lists.len() < MOST_LISTS {
            self.lists.push(Arc::clone(&names));
        }
        Some(Some(names))
    }

    fn chatflow(&mut self, field: Arguments<'_>, written: &Located<String>) -> Option<Arc<str>> {
        let name = written.value.as_str();
        if name == "*" {
            return self.problem(at(written), field, "`*` is no name here; leave `chatflows` out to allow all");
        }
        let Some(names) = self.names else { return Some(name.into()) };
        if let Some(known) = names.chatflows.iter().find(|known| &***known == name) {
            return Some(Arc::clone(known));
        }
        if names.wildcard && is_uuid(name) {
            return Some(name.to_ascii_lowercase().into());
        }
        self.problem(at(written), field, format!("no chatflow is called `{}`", printable(name)))
    }

    fn allowed_ips(&mut self, field: Arguments<'_>, written: &[Located<String>]) -> Option<Vec<IpNet>> {
        let mut nets = Some(Vec::with_capacity(written.len()));
        for (index, item) in written.iter().enumerate() {
            let net = parse_net(&item.value).or_else(|| {
                let message = "an address (`192.0.2.7`) or a CIDR (`192.0.2.0/24`) is needed";
                self.problem(at(item), format_args!("{field}[{index}]"), message)
            });
            nets = nets.zip(net).map(|(mut nets, net)| {
                nets.push(net);
                nets
            });
        }
        nets
    }

    fn time(&mut self, at: LineColumn, field: Arguments<'_>, text: &str) -> Option<Timestamp> {
        let message = "a time with its offset as in RFC 3339 (`2027-01-31T00:00:00Z`) is needed";
        text.parse().ok().or_else(|| self.problem(at, field, message))
    }
}

/// The field that holds a digest.
struct DigestField {
    index: usize,
    slot: SecretSlot,
}

impl fmt::Display for DigestField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            SecretSlot::Current => write!(f, "keys[{}].sha256", self.index),
            SecretSlot::Previous => write!(f, "keys[{}].previous.sha256", self.index),
        }
    }
}

pub(in crate::keys) fn from_hex(text: &str) -> Option<Digest> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut digest = [0; 32];
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(digest)
}

/// A name for a message: no control characters, and not pages of it.
fn printable(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
