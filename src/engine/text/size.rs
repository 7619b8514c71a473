//! How much memory values take, and texts that are no longer than they may be.

use std::io;

use serde_json::{Map, Value};

/// What a value takes beside its text: the value itself, or a field's place in its object.
const VALUE: usize = size_of::<Value>();

/// About how much memory a value takes.
pub(crate) fn bytes_of(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes_of).sum(),
            Value::Object(fields) => bytes_of_fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// The same of an object's fields.
pub(crate) fn bytes_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, field)| VALUE + name.len() + bytes_of(field)).sum()
}

/// The most that the values in a text of JSON take, before it is read: a short text may hold very many of them.
pub(crate) fn bytes_of_json(text: &[u8]) -> usize {
    let begins = memchr::memchr3_iter(b',', b'[', b'{', text).count();
    text.len().saturating_add((begins + 1).saturating_mul(VALUE))
}

/// As JavaScript writes it over lines with two spaces; `None`: it would be longer. What lies deep has a line of its own with
/// as many spaces, so a hundred times as much may become of a text.
pub(crate) fn spread(value: &Value, most: usize) -> Option<String> {
    let mut written = BoundedText { text: Vec::new(), most };
    serde_json::to_writer_pretty(&mut written, value).ok()?;
    String::from_utf8(written.text).ok()
}

/// Takes no more than it may.
struct BoundedText {
    text: Vec<u8>,
    most: usize,
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len().saturating_add(bytes.len()) > self.most {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_may_become_is_known_before_it_is_read() {
        for value in [json!(null), json!([1, [], {}, "x,y"]), json!({ "a": { "b": [null, true, 1.5] } })] {
            assert!(bytes_of_json(value.to_string().as_bytes()) + 5 * VALUE >= bytes_of(&value), "{value}");
        }
    }

    #[test]
    fn what_is_spread_over_lines_is_as_long_as_it_may_be() {
        let value = json!([{ "a": "x" }, []]);
        let text = "[\n  {\n    \"a\": \"x\"\n  },\n  []\n]";
        assert_eq!(spread(&value, text.len()).as_deref(), Some(text));
        assert_eq!(spread(&value, text.len() - 1), None);
    }
}
