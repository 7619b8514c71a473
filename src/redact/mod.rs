//! The one place where a failure's words become a sentence that clients and logs may read.
//!
//! Words come from Flowise, from providers, from what a flow calls, and from the engine itself; any of them may hold
//! what must not leave. It is struck out by what the gateway *knows* to be secret ([`known`]: every configured key and
//! credential, in the spellings that programs give them) and by what looks like it ([`shapes`]: stacks, addresses,
//! paths, ids, keys). Only here a [`Sentence`] is made of such words, and nothing else is told.

mod known;
mod shapes;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde_json::Value;

pub(crate) use self::known::KnownSecrets;
use self::known::Placeholder;
use crate::config::{Config, Secret, UpstreamKind};

/// Longest sentence, in characters.
const LONGEST: usize = 1000;
/// Bytes of words that are looked at.
const LONGEST_WORDS: usize = 16 * 1024;

/// What is told where nothing can be.
const FAILED: &str = "The chatflow failed.";

/// What may be told to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence(Cow<'static, str>);

impl Sentence {
    /// In the gateway's own words.
    pub(crate) const fn own(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }

    pub(crate) fn failed() -> Self {
        Self::own(FAILED)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// See the module. Made once for each snapshot; the default knows no secret, only what secrets look like.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    known: KnownSecrets,
}

impl Redactor {
    /// Knows all that this configuration keeps, and what keys put into flows, by name.
    pub(crate) fn of<'a>(config: &'a Config, of_keys: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut known = KnownSecrets::default();
        let mut secret = |secret: &Secret| known.add_secret(secret.expose());
        config.session_secret.iter().chain(&config.admin.token).for_each(&mut secret);
        config.valkey.iter().filter_map(|store| store.password.as_ref()).for_each(&mut secret);
        config.otlp.iter().flat_map(|otlp| &otlp.headers).map(|(_, value)| value).for_each(&mut secret);
        for upstream in &config.upstreams {
            match &upstream.kind {
                UpstreamKind::Flowise(settings) => settings.api_key.iter().for_each(&mut secret),
                UpstreamKind::Engine(settings) => {
                    settings.credentials.values().flat_map(|fields| fields.values()).for_each(&mut secret);
                    settings.mcp_servers.values().for_each(|server| server.secrets().for_each(&mut secret));
                }
                UpstreamKind::Demo => {}
            }
        }
        let chatflows = || config.chatflows.iter().chain(&config.wildcard);
        chatflows().filter_map(|chatflow| chatflow.api_key.as_ref()).for_each(&mut secret);
        for chatflow in chatflows() {
            let forced = chatflow.force_override.iter().chain(&chatflow.vars);
            forced.for_each(|(name, value)| known.add_forced(name, value));
        }
        of_keys.for_each(|(name, value)| known.add_forced(name, value));
        for upstream in &config.upstreams {
            if let UpstreamKind::Flowise(settings) = &upstream.kind {
                // A name without a dot is a word like any other.
                let hosts = settings.urls.iter().map(|url| url.host.as_str());
                hosts.filter(|host| host.contains(['.', ':'])).for_each(|host| known.add(host, Placeholder::Address));
            }
        }
        for id in chatflows().filter(|chatflow| chatflow.id.as_ref() != Some(&chatflow.name)) {
            id.id.iter().for_each(|id| known.add(id, Placeholder::Id));
        }
        known.settle();
        Self { known }
    }

    /// The words without what must not leave.
    pub(crate) fn sentence(&self, words: &str) -> Sentence {
        let clean = shapes::without(&self.known.without(shapes::without_stack(bounded(words))));
        if clean.trim().is_empty() {
            return Sentence::failed();
        }
        Sentence(match clean.char_indices().nth(LONGEST) {
            Some((end, _)) => (clean.get(..end).unwrap_or_default().to_owned() + "…").into(),
            None => clean.into(),
        })
    }

    /// An honest answer, without keys that are known: a service may repeat what it was sent.
    pub(crate) fn without_keys(&self, answer: Bytes) -> Bytes {
        if !self.known.has_key(&answer) {
            return answer;
        }
        self.known.without_keys(&String::from_utf8_lossy(&answer)).into()
    }
}

/// As much of the words as is looked at, to the end of a word.
fn bounded(words: &str) -> &str {
    if words.len() <= LONGEST_WORDS {
        return words;
    }
    let end = words.floor_char_boundary(LONGEST_WORDS);
    let start = words.get(..end).unwrap_or_default();
    start.rsplit_once(char::is_whitespace).map_or("", |(whole, _)| whole)
}

#[cfg(test)]
mod tests;
