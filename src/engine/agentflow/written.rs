//! A run as it is stored: JSON in which a long text stands once, however often the run has it.
//!
//! What was run repeats the question in inputs, outputs and histories. So texts of [`LONG`] bytes and more are put into a
//! table, and [`MARK`] with their number stands in their places; a short text that begins with the mark has it doubled.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::MOST_BYTES;

/// How a run is written; what was written otherwise is forgotten, but for the version before, which had no table.
const VERSION: u64 = 2;
const LONG: usize = 64;
const MARK: char = '\u{1}';
/// Bytes of all texts of a run, where each stands as often as the run has it: what it takes when it goes on.
const MOST_SPREAD: usize = 32 << 20;

/// What is written of a run.
pub(super) struct Written<'a> {
    pub(super) id: &'a str,
    pub(super) state: &'a Map<String, Value>,
    pub(super) form: Option<&'a Value>,
    pub(super) waits: Option<&'a [Value]>,
}

/// # Errors
/// It is longer than what is kept of a session.
pub(super) fn write(run: &Written<'_>) -> Result<String, Failure> {
    let mut bounded = Bounded { text: Vec::new(), stored: 0 };
    let is_small = serde_json::to_writer(&mut bounded, run).is_ok();
    let text = String::from_utf8(bounded.text).ok().filter(|_| is_small);
    text.ok_or_else(|| Failure::flow("The run cannot be kept: what it holds is larger than 1 MiB"))
}

/// The run's fields; `None`: it cannot be read.
pub(super) fn read(text: &str) -> Option<Map<String, Value>> {
    let Value::Object(mut fields) = serde_json::from_str(text).ok()? else { return None };
    match fields.get("version").and_then(Value::as_u64) {
        Some(1) => Some(fields),
        Some(VERSION) => {
            let Value::Array(texts) = fields.remove("texts")? else { return None };
            fields.values_mut().for_each(|field| spread(field, &texts));
            Some(fields)
        }
        _ => None,
    }
}

/// Puts the texts of the table back in their places.
fn spread(value: &mut Value, texts: &[Value]) {
    match value {
        Value::String(text) => {
            let Some(rest) = text.strip_prefix(MARK) else { return };
            *value = match rest.parse::<usize>() {
                Ok(number) => texts.get(number).cloned().unwrap_or_default(),
                Err(_) => rest.into(),
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| spread(item, texts)),
        Value::Object(fields) => fields.values_mut().for_each(|field| spread(field, texts)),
        _ => {}
    }
}

#[derive(Default)]
struct Texts<'a> {
    numbers: HashMap<&'a str, usize>,
    all: Vec<&'a str>,
    spread: usize,
}

/// A value, its long texts by their numbers.
struct Short<'a, 't>(&'a Value, &'t RefCell<Texts<'a>>);

impl Serialize for Short<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, texts) = *self;
        match value {
            Value::String(text) if text.len() >= LONG => {
                let mut texts = texts.borrow_mut();
                texts.spread += text.len();
                if texts.spread > MOST_SPREAD {
                    return Err(serde::ser::Error::custom("too large"));
                }
                let next = texts.all.len();
                let number = *texts.numbers.entry(text).or_insert(next);
                if number == next {
                    texts.all.push(text);
                }
                serializer.collect_str(&format_args!("{MARK}{number}"))
            }
            Value::String(text) if text.starts_with(MARK) => serializer.collect_str(&format_args!("{MARK}{text}")),
            Value::Array(items) => serializer.collect_seq(items.iter().map(|item| Short(item, texts))),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, field)| (name, Short(field, texts))))
            }
            plain => plain.serialize(serializer),
        }
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ShortenedFields<'a, 't>(&'a Map<String, Value>, &'t RefCell<Texts<'a>>);
        impl Serialize for ShortenedFields<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, field)| (name, Short(field, self.1))))
            }
        }
        struct ShortenedItems<'a, 't>(&'a [Value], &'t RefCell<Texts<'a>>);
        impl Serialize for ShortenedItems<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(|item| Short(item, self.1)))
            }
        }
        let texts = RefCell::default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("state", &ShortenedFields(self.state, &texts))?;
        map.serialize_entry("form", &self.form.map(|form| Short(form, &texts)))?;
        map.serialize_entry("waits", &self.waits.map(|waits| ShortenedItems(waits, &texts)))?;
        map.serialize_entry("texts", &texts.borrow().all)?;
        map.end()
    }
}

/// Takes no more than what is kept of a session.
struct Bounded {
    text: Vec<u8>,
    /// Bytes of it in the string of JSON that it is stored as.
    stored: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        self.stored += bytes.len() + bytes.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if self.stored > MOST_BYTES { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(waits: &[Value]) -> Result<String, Failure> {
        write(&Written { id: "id", state: &Map::new(), form: None, waits: Some(waits) })
    }

    #[test]
    fn a_long_text_stands_once_and_comes_back_everywhere() {
        let long = "What is a gateway? ".repeat(1000);
        let waits = vec![json!({ "a": long, "b": [long, "\u{1}0", "\u{1}", 1.5, null] }); 20];
        let text = written(&waits).unwrap();
        assert!(text.len() < long.len() + 2000, "{}", text.len());
        assert_eq!(read(&text).unwrap()["waits"], Value::from(waits));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let text = |letter: &str, bytes| Value::from(letter.repeat(bytes));
        assert!(written(&[text("a", MOST_BYTES / 2)]).is_ok());
        assert!(written(&[text("a", MOST_BYTES / 2), text("b", MOST_BYTES / 2)]).is_err());
        assert!(written(&vec![text("a", MOST_BYTES / 2); 65]).is_err());
    }

    #[test]
    fn runs_of_the_version_before_are_read() {
        let old = r#"{"version":1,"id":"x","state":{"a":"\u00010"},"form":null,"waits":null}"#;
        assert_eq!(read(old).unwrap()["state"]["a"], "\u{1}0");
        assert!(read(r#"{"version":3}"#).is_none());
    }
}
