//! What the gateway knows to be secret, found wherever it stands in a text.
//!
//! One look at each byte of the text, however many values there are: those that begin as the text does there are
//! neighbours in a sorted list.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

/// A shorter value may be any word.
const SHORTEST: usize = 6;
/// Beginnings of two bytes that there are, as bits in words.
const BEGINNINGS: usize = 65_536 / 64;

/// What stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    Key,
    /// A key within a text in base64, all of which goes.
    Encoded,
    Id,
    Address,
}

impl Placeholder {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Key | Self::Encoded => "[key]",
            Self::Id => "[id]",
            Self::Address => "[address]",
        }
    }

    fn is_key(self) -> bool {
        matches!(self, Self::Key | Self::Encoded)
    }
}

/// See the module. Nothing can be added once it is [settled](Self::settle).
#[derive(Default)]
pub(crate) struct KnownSecrets {
    /// Sorted, each once, none shorter than [`SHORTEST`].
    values: Vec<(Zeroizing<Vec<u8>>, Placeholder)>,
    /// Of the shortest.
    shortest: usize,
    /// With which two bytes some value begins: hardly any place in a text has to be looked up.
    beginnings: Vec<u64>,
}

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} values)", self.values.len())
    }
}

impl KnownSecrets {
    /// One secret alone.
    pub(crate) fn secret(secret: &str) -> Self {
        let mut known = Self::default();
        known.add_secret(secret);
        known.settle();
        known
    }

    /// A value as it is.
    pub(super) fn add(&mut self, value: &str, mark: Placeholder) {
        self.add_bytes(value.as_bytes().to_vec(), mark);
    }

    fn add_bytes(&mut self, value: Vec<u8>, mark: Placeholder) {
        if value.len() >= SHORTEST {
            self.values.push((Zeroizing::new(value), mark));
        }
    }

    /// A secret in every spelling that programs give it.
    pub(super) fn add_secret(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < SHORTEST {
            return;
        }
        self.add(secret, Placeholder::Key);
        let json = Value::from(secret).to_string();
        let json = json.trim_matches('"');
        if json != secret {
            self.add(json, Placeholder::Key);
        }
        for hexadecimal in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let percent = percent(secret, hexadecimal);
            if percent != secret {
                self.add(&percent, Placeholder::Key);
            }
        }
        for alphabet in [&STANDARD, &URL_SAFE] {
            (0..3).for_each(|before| self.add_bytes(base64(secret, alphabet, before), Placeholder::Encoded));
        }
    }

    /// What is forced into a flow, where its name says that it is a secret.
    pub(super) fn add_forced(&mut self, name: &str, value: &Value) {
        let tells = ["key", "token", "secret", "password", "credential", "authorization"];
        let name = name.to_ascii_lowercase();
        match value {
            Value::String(text) if tells.iter().any(|tell| name.contains(tell)) => self.add_secret(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_forced(&name, item)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.add_forced(name, value)),
            _ => {}
        }
    }

    pub(super) fn settle(&mut self) {
        self.values.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.values.dedup_by(|(one, _), (other, _)| one == other);
        self.shortest = self.values.iter().map(|(value, _)| value.len()).min().unwrap_or(usize::MAX);
        self.beginnings = vec![0; if self.values.is_empty() { 0 } else { BEGINNINGS }];
        for (value, _) in &self.values {
            if let Some((word, bit)) = beginning(value)
                && let Some(word) = self.beginnings.get_mut(word)
            {
                *word |= bit;
            }
        }
    }

    /// The longest value that a text begins with.
    fn at(&self, text: &[u8]) -> Option<(usize, Placeholder)> {
        let (word, bit) = beginning(text)?;
        if self.beginnings.get(word)? & bit == 0 {
            return None;
        }
        let start = text.get(..SHORTEST)?;
        let from = self.values.partition_point(|(value, _)| value.get(..SHORTEST).is_some_and(|begin| begin < start));
        let near = self.values.get(from..)?.iter().take_while(|(value, _)| value.starts_with(start));
        let fitting = near.filter(|(value, _)| text.starts_with(value));
        fitting.map(|(value, mark)| (value.len(), *mark)).max_by_key(|(length, _)| *length)
    }

    /// Whether some value stands in it.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.marks_in(text).next().is_some()
    }

    /// Whether a key stands in it.
    pub(super) fn has_key(&self, text: &[u8]) -> bool {
        self.marks_in(text).any(Placeholder::is_key)
    }

    fn marks_in<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Placeholder> + 't {
        // Where there is room for a value.
        let places = (text.len() + 1).saturating_sub(self.shortest);
        (0..places).filter_map(|at| self.at(text.get(at..)?)).map(|(_, mark)| mark)
    }

    /// The text with a mark in the place of every key.
    pub(super) fn without_keys(&self, text: &str) -> String {
        self.marked(text, Placeholder::is_key)
    }

    /// The text with a mark in the place of every value.
    pub(super) fn without(&self, text: &str) -> String {
        self.marked(text, |_| true)
    }

    fn marked(&self, text: &str, is_wanted: fn(Placeholder) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let found = self.at(rest.as_bytes()).filter(|(_, mark)| is_wanted(*mark));
            // A value ends where a letter does: each begins at one, and is whole letters.
            let length = if let Some((length, mark)) = found.filter(|(length, _)| rest.is_char_boundary(*length)) {
                let behind = rest.get(length..).unwrap_or_default();
                let mut more = 0;
                if mark == Placeholder::Encoded {
                    out.truncate(out.trim_end_matches(is_base64).len());
                    more = behind.len() - behind.trim_start_matches(is_base64).len();
                }
                out.push_str(mark.text());
                length + more
            } else {
                out.push(letter);
                letter.len_utf8()
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        out
    }
}

/// Where it is noted that some value begins as these bytes do.
fn beginning(bytes: &[u8]) -> Option<(usize, u64)> {
    let number = u16::from_be_bytes(*bytes.first_chunk()?);
    Some((usize::from(number / 64), 1 << (number % 64)))
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=')
}

fn percent(secret: &str, hexadecimal: &[u8; 16]) -> String {
    let mut out = String::with_capacity(secret.len() * 3);
    let digit = |half: u8| hexadecimal.get(usize::from(half)).copied().map_or('0', char::from);
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// What stands for a secret in the base64 of whatever has so many bytes (modulo 3) before it and anything behind: without
/// the letters that its neighbours have a part in.
fn base64(secret: &str, alphabet: &Alphabet, before: usize) -> Vec<u8> {
    let mut bytes = Zeroizing::new(vec![0; before]);
    bytes.extend_from_slice(secret.as_bytes());
    let mut text = GeneralPurpose::new(alphabet, NO_PAD).encode(&*bytes).into_bytes();
    let begins = (before * 8).div_ceil(6);
    let ends = bytes.len() * 8 / 6;
    text.truncate(ends);
    text.drain(..begins.min(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t/k€y+1234";

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let known = KnownSecrets::secret(SECRET);
        let standard = GeneralPurpose::new(&STANDARD, NO_PAD);
        let mut texts = vec![
            SECRET.to_owned(),
            format!("Bearer {SECRET}"),
            "a=s3cr3t%2Fk%E2%82%ACy%2B1234&b".to_owned(),
            "a=s3cr3t%2fk%e2%82%acy%2b1234".to_owned(),
        ];
        for user in ["", "u", "us", "use", "user:"] {
            for tail in ["", "x", "xy"] {
                texts.push(standard.encode(format!("{user}{SECRET}{tail}")));
            }
        }
        for text in texts {
            assert!(known.is_in(text.as_bytes()), "{text}");
            assert!(known.is_in(format!("in {text}").as_bytes()), "{text}");
            let clean = known.without(&format!("in {text}."));
            assert!(clean.contains("[key]") && !known.is_in(clean.as_bytes()), "{clean}");
        }
        for text in ["", "s3cr3t", "s3cr3t/k€y+123", "nothing of it in here"] {
            assert!(!known.is_in(text.as_bytes()), "{text}");
            assert_eq!(known.without(text), text);
        }
    }

    #[test]
    fn of_several_the_longest_counts() {
        let mut known = KnownSecrets::default();
        for value in ["abcdef", "abcdefgh", "abcdefxyz", "short", ""] {
            known.add(value, Placeholder::Key);
        }
        known.settle();
        assert_eq!(known.without("abcdefghi abcdefx short abcdefxyz"), "[key]i [key]x short [key]");
        assert_eq!(format!("{known:?}"), "Known(3 values)");
    }

    #[test]
    fn a_word_too_short_is_no_secret() {
        let known = KnownSecrets::secret("a");
        assert!(!known.is_in(b"a banana"));
        assert_eq!(known.without("a banana"), "a banana");
    }
}
