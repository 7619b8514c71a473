//! JSON that others write, read as Node reads it.
//!
//! JavaScript's texts may hold half an emoji: `slice` cuts so, and so do splitters of texts. `JSON.stringify` writes
//! such a half as an escape (`"\ud83d"`), `JSON.parse` takes it, and no Rust text can hold it. Here it becomes U+FFFD, as
//! it does wherever Node writes a text as UTF-8, and so do bytes that are no UTF-8. A byte order mark goes.
//!
//! Bodies of predictions are read by [`predict::json`](crate::predict::json), which refuses what two readers could
//! understand differently; here that has been answered by somebody else, and is understood as Node understands it.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of what is read; what is deeper becomes null. `serde_json` gives up at 128.
const DEEPEST: u32 = 100;
/// Characters of a JSON escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// JSON text as Rust can read it: without a mark, without halves of characters. Whole texts are not copied.
pub(crate) fn sound(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // `from_utf8_lossy` looks at each letter by itself, also where all are sound.
    match std::str::from_utf8(bytes) {
        Ok(text) => without_halves(text),
        Err(_) => Cow::Owned(without_halves(&String::from_utf8_lossy(bytes)).into_owned()),
    }
}

/// As [`sound`], but bytes that are no UTF-8 are refused; halves of characters, written as if they were whole, are none of
/// these.
pub(crate) fn well_formed(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if std::str::from_utf8(bytes).is_ok() {
        return Some(sound(bytes));
    }
    let mut whole = bytes.to_vec();
    for at in memchr::memmem::find_iter(bytes, b"\xed") {
        if let Some(half @ [_, 0xa0..=0xbf, 0x80..=0xbf]) = whole.get_mut(at..at + 3) {
            half.copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    std::str::from_utf8(&whole).is_ok().then(|| Cow::Owned(sound(&whole).into_owned()))
}

/// Reads JSON. Numbers that are none of JavaScript's are null, as `JSON.stringify` would write them.
///
/// # Errors
/// It is no JSON, or not what is expected.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    // Nearly all of it is sound, and costs nothing more than reading it.
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) if error.is_syntax() => error,
        Err(error) => return Err(error),
    };
    let text = sound(bytes);
    let text = within_range(&text);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = BoundedJson { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.and_then(serde_json::from_value).map_err(|_| error)
}

/// Values of what somebody answers: each takes some hundred bytes, and two letters are enough for one.
const MOST_VALUES: usize = 1 << 20;

/// As [`read`], of what another server answers, or a file that anybody may have brought: it may be read by the hundred
/// thousand values, but not by millions.
///
/// # Errors
/// As [`read`], or it holds too many values.
pub(crate) fn read_answer<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    if bytes.len() > MOST_VALUES && memchr::memchr3_iter(b',', b'[', b'{', bytes).count() > MOST_VALUES {
        return Err(serde::de::Error::custom("too many values"));
    }
    read(bytes)
}

/// As [`read`], of a text that stood in another.
pub(crate) fn read_str<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    read(text.as_bytes())
}

/// Backslashes stand in JSON's strings only, so nothing but these need be looked at.
fn without_halves(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(found) = memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
        let escape = at + found;
        at = match unit(bytes, escape) {
            None => escape + 2,
            Some(0xd800..=0xdbff) if matches!(unit(bytes, escape + ESCAPE), Some(0xdc00..=0xdfff)) => {
                escape + 2 * ESCAPE
            }
            Some(0xd800..=0xdfff) => {
                halves.push(escape);
                escape + ESCAPE
            }
            Some(_) => escape + ESCAPE,
        };
    }
    if halves.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(text.len());
    let mut after = 0;
    for half in halves {
        whole.push_str(text.get(after..half).unwrap_or_default());
        whole.push_str("\\ufffd");
        after = half + ESCAPE;
    }
    whole.push_str(text.get(after..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The UTF-16 code unit that an escape stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// `1e999` is infinite in JavaScript.
fn within_range(text: &str) -> Cow<'_, str> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let mut ranged = String::new();
    let (mut after, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'"' => string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end = at + rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                let number = text.get(at..end).unwrap_or_default();
                if number.parse::<f64>().is_ok_and(f64::is_infinite) {
                    ranged.push_str(text.get(after..at).unwrap_or_default());
                    ranged.push_str("null");
                    after = end;
                }
                end
            }
            _ => at + 1,
        };
    }
    if after == 0 {
        return Cow::Borrowed(text);
    }
    ranged.push_str(text.get(after..).unwrap_or_default());
    Cow::Owned(ranged)
}

/// Behind the quotation mark that ends a string.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Reads any value, down to [`DEEPEST`]. Of a name that stands there twice the last counts.
#[derive(Clone, Copy)]
struct BoundedJson {
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for BoundedJson {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth >= DEEPEST {
            // Skipped without going down.
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Value::Null);
        }
        deserializer.deserialize_any(Self { depth: self.depth + 1 })
    }
}

impl<'de> Visitor<'de> for BoundedJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            object.insert(name, entries.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests;
