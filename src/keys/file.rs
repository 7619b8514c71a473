//! The keys file as written, and what it means. Every problem is reported, not just the first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Digest, Key, Kind};
use crate::config::yaml;
use crate::config::{Origins, Problem, Problems};

const DEFAULT_PLAN: &str = "default";
/// Ids that mean something else in logs and metrics.
const RESERVED_IDS: [&str; 3] = ["other", "-", "anonymous"];
const DIGEST_RULE: &str = "64 hex digits, the SHA-256 of the whole key, are needed";

/// What the configuration calls plans and chatflows.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// In the order of [`Config::plans`](crate::config::Config::plans).
    pub plans: &'a [Arc<str>],
    pub chatflows: &'a [Arc<str>],
    /// Whether there is a chatflow `*`: then any UUID is the name of a chatflow.
    pub wildcard: bool,
}

/// The keys of a keys file, at least one. `path` is for the messages only.
pub fn parse(path: &Path, text: &str, names: &Names<'_>) -> Result<Vec<Key>, Problems> {
    let entries = read(path, text, Some(names))?;
    if entries.is_empty() {
        let message = "the file holds no key; the keys that were loaded before stay in force".to_owned();
        return Err(Problem { file: path.to_owned(), at: None, field: "keys".to_owned(), message }.into());
    }
    Ok(entries.into_iter().map(|entry| entry.key).collect())
}

/// One item of the list.
#[derive(Clone)]
pub(super) struct Entry {
    /// Line and column of the item's first field, from 1.
    pub(super) at: Option<(u32, u32)>,
    /// As written; [`Key::plan`] is 0 if the file was read without names.
    pub(super) plan: Option<Arc<str>>,
    pub(super) key: Key,
}

impl Entry {
    /// Whether both mean the same, wherever they stand.
    pub(super) fn means(&self, other: &Self) -> bool {
        self.plan == other.plan && self.key == other.key
    }

    pub(super) fn plan_name(&self) -> &str {
        self.plan.as_deref().unwrap_or(DEFAULT_PLAN)
    }
}

/// Reads a keys file that may be empty. Without names, plans and chatflows may be called anything.
pub(super) fn read(path: &Path, text: &str, names: Option<&Names<'_>>) -> Result<Vec<Entry>, Problems> {
    if is_blank(text) {
        return Ok(Vec::new());
    }
    let written: KeysFile = yaml::parse(path, text)?;
    let items = written.keys.unwrap_or_default();
    let mut reader = Reader { path, names, problems: Vec::new(), ids: HashMap::new(), digests: HashMap::new() };
    let entries = items.iter().enumerate().filter_map(|(index, item)| reader.entry(index, item)).collect();
    if reader.problems.is_empty() {
        Ok(entries)
    } else {
        reader.problems.sort_by_key(|problem| problem.at);
        Err(Problems(reader.problems))
    }
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    keys: Option<Vec<yaml::At<Item>>>,
}

/// Fields that must be there are optional too: if one is missing, the other problems are still found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    id: Option<yaml::At<String>>,
    sha256: Option<yaml::At<String>>,
    previous: Option<yaml::At<Previous>>,
    kind: Option<yaml::At<String>>,
    plan: Option<yaml::At<String>>,
    /// Null is not the same as absent: `chatflows:` with its items commented out must not mean "all".
    #[serde(default, deserialize_with = "present")]
    chatflows: Option<yaml::At<Option<Vec<yaml::At<String>>>>>,
    #[serde(default)]
    allowed_origins: Option<yaml::At<Vec<String>>>,
    #[serde(default)]
    allowed_ips: Option<Vec<yaml::At<String>>>,
    upsert: Option<bool>,
    vars: Option<serde_json::Map<String, serde_json::Value>>,
    expires_at: Option<yaml::At<String>>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    sha256: Option<yaml::At<String>>,
    until: Option<yaml::At<String>>,
}

fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

type At = Option<(u32, u32)>;

fn at<T>(value: &yaml::At<T>) -> At {
    Some(value.at()).filter(|(line, _)| *line > 0)
}

/// Goes through the items and notes what is wrong.
struct Reader<'a> {
    path: &'a Path,
    names: Option<&'a Names<'a>>,
    problems: Vec<Problem>,
    ids: HashMap<Arc<str>, usize>,
    digests: HashMap<Digest, String>,
}

impl Reader<'_> {
    /// `None` if anything was wrong.
    fn entry(&mut self, index: usize, spanned: &yaml::At<Item>) -> Option<Entry> {
        let (here, item) = (at(spanned), &spanned.value);
        let field = |name: &str| format!("keys[{index}].{name}");
        let id = self.id(here, index, item.id.as_ref());
        let digest = self.digest(here, &field("sha256"), item.sha256.as_ref());
        let previous = self.previous(&field("previous"), item.previous.as_ref());
        let kind = self.kind(&field("kind"), item.kind.as_ref());
        let allowed_origins =
            self.allowed_origins(&field("allowed_origins"), item.allowed_origins.as_ref(), here, kind);
        let plan = self.plan(here, &field("plan"), item.plan.as_ref());
        let chatflows = self.chatflows(&field("chatflows"), item.chatflows.as_ref());
        let allowed_ips = self.allowed_ips(&field("allowed_ips"), item.allowed_ips.as_deref().unwrap_or_default());
        let expires_at = match &item.expires_at {
            Some(written) => self.time(at(written), &field("expires_at"), &written.value).map(Some),
            None => Some(None),
        };
        if kind == Some(Kind::Publishable) && item.upsert == Some(true) {
            self.problem::<()>(here, &field("upsert"), "a publishable key may not upsert: it can be read in a page");
        }
        let key = Key {
            id: id?,
            digest: digest?,
            previous: previous?,
            kind: kind?,
            allowed_origins: allowed_origins?,
            plan: plan?,
            chatflows: chatflows?,
            allowed_ips: allowed_ips?,
            upsert: item.upsert.unwrap_or(false),
            vars: item.vars.clone().unwrap_or_default(),
            expires_at: expires_at?,
            enabled: item.enabled.unwrap_or(true),
        };
        Some(Entry { at: here, plan: item.plan.as_ref().map(|plan| plan.value.as_str().into()), key })
    }

    /// Notes a problem; `None`, for the caller to return.
    fn problem<T>(&mut self, at: At, field: &str, message: impl Into<String>) -> Option<T> {
        let problem = Problem { file: self.path.to_owned(), at, field: field.to_owned(), message: message.into() };
        self.problems.push(problem);
        None
    }

    fn id(&mut self, item: At, index: usize, written: Option<&yaml::At<String>>) -> Option<Arc<str>> {
        let field = format!("keys[{index}].id");
        let Some(written) = written else { return self.problem(item, &field, "an id is needed") };
        if let Err(rule) = check_id(&written.value) {
            // The id is not repeated: it might be a key in the wrong place.
            return self.problem(at(written), &field, rule);
        }
        let id: Arc<str> = written.value.as_str().into();
        if let Some(first) = self.ids.insert(Arc::clone(&id), index) {
            self.ids.insert(Arc::clone(&id), first);
            return self.problem(at(written), &field, format!("keys[{first}] has the id `{id}` already"));
        }
        Some(id)
    }

    /// Digests are never repeated in a message, right or wrong: they might be keys in the wrong place.
    fn digest(&mut self, parent: At, field: &str, written: Option<&yaml::At<String>>) -> Option<Digest> {
        let Some(written) = written else { return self.problem(parent, field, DIGEST_RULE) };
        let Some(digest) = from_hex(&written.value) else {
            let is_key = written.value.starts_with("fg_");
            let message = if is_key { format!("this looks like a key; {DIGEST_RULE}") } else { DIGEST_RULE.to_owned() };
            return self.problem(at(written), field, message);
        };
        if let Some(first) = self.digests.get(&digest) {
            let message = format!("the same digest as {first}");
            return self.problem(at(written), field, message);
        }
        self.digests.insert(digest, field.to_owned());
        Some(digest)
    }

    #[expect(clippy::option_option, reason = "`None` is a problem that was noted, `Some(None)` an absent field")]
    fn previous(&mut self, field: &str, written: Option<&yaml::At<Previous>>) -> Option<Option<(Digest, Timestamp)>> {
        let Some(spanned) = written else { return Some(None) };
        let (here, previous) = (at(spanned), &spanned.value);
        let digest = self.digest(here, &format!("{field}.sha256"), previous.sha256.as_ref());
        let field = format!("{field}.until");
        let until = match &previous.until {
            Some(until) => self.time(at(until), &field, &until.value),
            None => self.problem(here, &field, "needed: the time from which the old secret no longer counts"),
        };
        Some(Some((digest?, until?)))
    }

    fn kind(&mut self, field: &str, written: Option<&yaml::At<String>>) -> Option<Kind> {
        match written.map(|written| written.value.as_str()) {
            None | Some("secret") => Some(Kind::Secret),
            Some("publishable") => Some(Kind::Publishable),
            Some(_) => self.problem(written.and_then(at), field, "must be `secret` or `publishable`"),
        }
    }

    fn allowed_origins(
        &mut self,
        field: &str,
        written: Option<&yaml::At<Vec<String>>>,
        item: At,
        kind: Option<Kind>,
    ) -> Option<Origins> {
        let mut origins = Origins::default();
        for text in written.map(|written| written.value.as_slice()).unwrap_or_default() {
            if let Err(error) = origins.add(text) {
                return self.problem(written.and_then(at), field, error.to_string());
            }
        }
        match kind {
            Some(Kind::Publishable) if origins.is_empty() || origins.is_any() => {
                let message = "a publishable key needs the origins of the pages it sits in; `*` is no list";
                self.problem(written.map_or(item, at), field, message)
            }
            Some(Kind::Secret) if !origins.is_empty() => {
                let message = "only a publishable key has origins: a secret key has no place in a page";
                self.problem(written.map_or(item, at), field, message)
            }
            _ => Some(origins),
        }
    }

    fn plan(&mut self, item: At, field: &str, written: Option<&yaml::At<String>>) -> Option<usize> {
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
        field: &str,
        written: Option<&yaml::At<Option<Vec<yaml::At<String>>>>>,
    ) -> Option<Option<Vec<Arc<str>>>> {
        let Some(list) = written else { return Some(None) };
        let items = list.value.as_deref().unwrap_or_default();
        if items.is_empty() {
            return self.problem(at(list), field, "an empty list allows nothing; leave the field out to allow all");
        }
        let names: Vec<_> =
            items.iter().enumerate().map(|(index, item)| self.chatflow(&format!("{field}[{index}]"), item)).collect();
        names.into_iter().collect::<Option<Vec<_>>>().map(Some)
    }

    fn chatflow(&mut self, field: &str, written: &yaml::At<String>) -> Option<Arc<str>> {
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

    fn allowed_ips(&mut self, field: &str, written: &[yaml::At<String>]) -> Option<Vec<IpNet>> {
        let mut nets = Some(Vec::with_capacity(written.len()));
        for (index, item) in written.iter().enumerate() {
            let net = parse_net(&item.value).or_else(|| {
                let message = "an address (`192.0.2.7`) or a CIDR (`192.0.2.0/24`) is needed";
                self.problem(at(item), &format!("{field}[{index}]"), message)
            });
            nets = nets.zip(net).map(|(mut nets, net)| {
                nets.push(net);
                nets
            });
        }
        nets
    }

    fn time(&mut self, at: At, field: &str, text: &str) -> Option<Timestamp> {
        let message = "a time with its offset as in RFC 3339 (`2027-01-31T00:00:00Z`) is needed";
        text.parse().ok().or_else(|| self.problem(at, field, message))
    }
}

fn from_hex(text: &str) -> Option<Digest> {
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

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A name for a message: no control characters, and not pages of it.
fn printable(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
