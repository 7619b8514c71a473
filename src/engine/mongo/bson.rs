//! BSON, from JSON and to it. Numbers with a fraction or that were written as such are doubles; what JSON has no words for
//! is written as extended JSON, and comes back the way JavaScript's library shows it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value, json};

/// Documents in documents.
const DEEPEST: usize = 100;
/// Values of one message: each takes far more than the three bytes that are enough for one.
const MOST_VALUES: usize = 2 << 20;

/// Bytes, as extended JSON.
pub(super) fn binary(bytes: &[u8]) -> Value {
    json!({ "$binary": { "base64": BASE64_STANDARD.encode(bytes), "subType": "00" } })
}

/// The text in bytes as they come back.
pub(super) fn text_of_binary(value: Option<&Value>) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(value?.as_str()?).ok()?).ok()
}

/// A document; `None`: it holds what none can.
pub(super) fn encoded(document: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    document_into(document.iter().map(|(name, value)| (name.as_str(), value)), &mut out, 0)?;
    Some(out)
}

fn document_into<'v>(
    fields: impl Iterator<Item = (&'v str, &'v Value)>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (name, value) in fields {
        let kind_at = out.len();
        out.push(0);
        cstring(name, out)?;
        let kind = value_into(value, out, depth)?;
        *out.get_mut(kind_at)? = kind;
    }
    out.push(0);
    let length = i32::try_from(out.len() - start).ok()?;
    out.get_mut(start..start + 4)?.copy_from_slice(&length.to_le_bytes());
    Some(())
}

/// Its type.
fn value_into(value: &Value, out: &mut Vec<u8>, depth: usize) -> Option<u8> {
    Some(match value {
        Value::Null => 0x0a,
        Value::Bool(flag) => {
            out.push(u8::from(*flag));
            0x08
        }
        Value::Number(number) => {
            if let Some(Ok(small)) = number.as_i64().map(i32::try_from) {
                out.extend_from_slice(&small.to_le_bytes());
                0x10
            } else {
                // As JavaScript's numbers are.
                out.extend_from_slice(&number.as_f64()?.to_le_bytes());
                0x01
            }
        }
        Value::String(text) => {
            string(text, out)?;
            0x02
        }
        Value::Array(items) => {
            let names: Vec<String> = (0..items.len()).map(|at| at.to_string()).collect();
            document_into(names.iter().map(String::as_str).zip(items), out, depth + 1)?;
            0x04
        }
        Value::Object(fields) => {
            if let Some(kind) = extended(fields, out) {
                kind
            } else {
                document_into(fields.iter().map(|(name, value)| (name.as_str(), value)), out, depth + 1)?;
                0x03
            }
        }
    })
}

/// What extended JSON says, if it is that.
fn extended(fields: &Map<String, Value>, out: &mut Vec<u8>) -> Option<u8> {
    let (name, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    match name.as_str() {
        "$oid" => {
            let text = value.as_str().filter(|text| text.len() == 24)?;
            let bytes: Vec<u8> = (0..24)
                .step_by(2)
                .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
                .collect::<Option<_>>()?;
            out.extend_from_slice(&bytes);
            Some(0x07)
        }
        "$date" => {
            let millis = match value {
                Value::Number(number) => number.as_i64()?,
                Value::String(text) => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
                _ => return None,
            };
            out.extend_from_slice(&millis.to_le_bytes());
            Some(0x09)
        }
        "$numberLong" => {
            out.extend_from_slice(&value.as_str()?.parse::<i64>().ok()?.to_le_bytes());
            Some(0x12)
        }
        "$binary" => {
            let bytes = BASE64_STANDARD.decode(value.get("base64")?.as_str()?).ok()?;
            let kind = u8::from_str_radix(value.get("subType")?.as_str()?, 16).ok()?;
            out.extend_from_slice(&i32::try_from(bytes.len()).ok()?.to_le_bytes());
            out.push(kind);
            out.extend_from_slice(&bytes);
            Some(0x05)
        }
        _ => None,
    }
}

fn cstring(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if text.contains('\0') {
        return None;
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Some(())
}

fn string(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&i32::try_from(text.len() + 1).ok()?.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Some(())
}

/// A document that fills the bytes; `None`: it is none.
pub(super) fn decoded(bytes: &[u8]) -> Option<Value> {
    let (mut rest, mut room) = (bytes, MOST_VALUES);
    let document = document(&mut rest, 0, false, &mut room)?;
    rest.is_empty().then_some(document)
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    take(rest, N)?.try_into().ok()
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(array(rest)?)).ok()
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let end = memchr::memchr(0, rest)?;
    let name = String::from_utf8_lossy(take(rest, end)?).into_owned();
    take(rest, 1)?;
    Some(name)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = length(rest)?.checked_sub(1)?;
    let text = String::from_utf8_lossy(take(rest, length)?).into_owned();
    take(rest, 1)?;
    Some(text)
}

fn document(rest: &mut &[u8], depth: usize, is_list: bool, room: &mut usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let length = length(rest)?.checked_sub(4)?;
    let mut inside = take(rest, length)?;
    let (mut fields, mut items) = (Map::new(), Vec::new());
    loop {
        let [kind] = array(&mut inside)?;
        if kind == 0 {
            break;
        }
        *room = room.checked_sub(1)?;
        let name = name(&mut inside)?;
        let value = value(kind, &mut inside, depth, room)?;
        if is_list { items.push(value) } else { drop(fields.insert(name, value)) }
    }
    inside.is_empty().then(|| if is_list { items.into() } else { fields.into() })
}

fn value(kind: u8, rest: &mut &[u8], depth: usize, room: &mut usize) -> Option<Value> {
    Some(match kind {
        0x01 => double(f64::from_le_bytes(array(rest)?)),
        0x02 | 0x0d | 0x0e => text(rest)?.into(),
        0x03 => document(rest, depth + 1, false, room)?,
        0x04 => document(rest, depth + 1, true, room)?,
        0x05 => {
            let length = length(rest)?;
            take(rest, 1)?;
            BASE64_STANDARD.encode(take(rest, length)?).into()
        }
        0x07 => hex(take(rest, 12)?).into(),
        0x08 => (array::<1>(rest)? != [0]).into(),
        0x09 => date(i64::from_le_bytes(array(rest)?)),
        0x06 | 0x0a | 0x7f | 0xff => Value::Null,
        0x0b => {
            let (pattern, options) = (name(rest)?, name(rest)?);
            format!("/{pattern}/{options}").into()
        }
        0x10 => i32::from_le_bytes(array(rest)?).into(),
        0x11 | 0x12 => i64::from_le_bytes(array(rest)?).into(),
        // A number of 34 digits, whose value nobody looks at here.
        0x13 => {
            take(rest, 16)?;
            Value::Null
        }
        0x0c => {
            text(rest)?;
            take(rest, 12)?;
            Value::Null
        }
        0x0f => {
            let length = length(rest)?.checked_sub(4)?;
            take(rest, length)?;
            Value::Null
        }
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whole numbers as JavaScript shows them, without a fraction.
fn double(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn date(millis: i64) -> Value {
    let time = jiff::Timestamp::from_millisecond(millis).ok();
    time.map_or(Value::Null, |time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(value: &Value) -> Value {
        decoded(&encoded(value.as_object().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn documents_come_back() {
        let value = json!({ "a": 1, "b": [1.5, "x", null, true, { "c": {} }], "big": 5_000_000_000_i64, "e": "" });
        assert_eq!(round(&value), value);
        let extended = json!({ "_id": { "$oid": "0123456789abcdef01234567" }, "at": { "$date": 1_700_000_000_123_i64 },
            "n": { "$numberLong": "7" }, "bytes": binary(b"hi") });
        let shown =
            json!({ "_id": "0123456789abcdef01234567", "at": "2023-11-14T22:13:20.123Z", "n": 7, "bytes": "aGk=" });
        assert_eq!(round(&extended), shown);
        assert_eq!(text_of_binary(Some(&"aGk=".into())).as_deref(), Some("hi"));
        assert!(encoded(json!({ "a\0": 1 }).as_object().unwrap()).is_none());
    }

    #[test]
    fn bytes_are_as_written_down() {
        let bytes = encoded(json!({ "hello": "world" }).as_object().unwrap()).unwrap();
        assert_eq!(bytes, b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0");
        let double = encoded(json!({ "v": 1.0 }).as_object().unwrap()).unwrap();
        assert_eq!(double.get(4), Some(&0x01));
    }

    #[test]
    fn few_bytes_do_not_become_very_many_values() {
        let list = |count: usize| {
            let items = b"\x0a0\0".repeat(count);
            let length = |inside: usize| u32::try_from(inside).unwrap().to_le_bytes();
            let inner = [&length(items.len() + 5)[..], &items, &[0]].concat();
            [&length(inner.len() + 8)[..], b"\x04a\0", &inner, &[0]].concat()
        };
        assert_eq!(decoded(&list(2)), Some(json!({ "a": [null, null] })));
        assert_eq!(decoded(&list(MOST_VALUES)), None);
    }

    #[test]
    fn broken_bytes_are_no_document() {
        let whole = encoded(json!({ "a": { "b": [1, "x"] } }).as_object().unwrap()).unwrap();
        for cut in 0..whole.len() {
            assert_eq!(decoded(&whole[..cut]), None, "{cut}");
        }
        for place in 0..whole.len() {
            let mut broken = whole.clone();
            broken[place] ^= 0xff;
            let _ = decoded(&broken);
        }
    }
}
