//! How much memory values take.

use serde_json::Value;

/// What a value takes beside its text: the value itself, or a field's place in its object.
const VALUE: usize = size_of::<Value>();

/// About how much memory a value takes.
pub(crate) fn bytes_of(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes_of).sum(),
            Value::Object(fields) => fields.iter().map(|(name, field)| VALUE + name.len() + bytes_of(field)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// The most that the values in a text of JSON take, before it is read: a short text may hold very many of them.
pub(crate) fn bytes_of_json(text: &[u8]) -> usize {
    let begins = memchr::memchr3_iter(b',', b'[', b'{', text).count();
    text.len().saturating_add((begins + 1).saturating_mul(VALUE))
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
}
