//! By what a passage is known: a UUID of its text and its metadata, as LangChain makes it.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use serde_json::{Map, Value};

use super::digest::digest;
use crate::engine::text::javascript::json;

/// LangChain's.
const NAMESPACE: [u8; 16] =
    [0x10, 0xf9, 0x0e, 0xa3, 0x90, 0xa4, 0x49, 0x62, 0xbf, 0x75, 0x83, 0xa0, 0xf3, 0xc1, 0xc6, 0x2a];
/// What metadata may not hold.
const RESERVED: [&str; 3] = ["hash_", "content_hash", "metadata_hash"];

/// # Errors
/// It has metadata of a reserved name.
pub(in crate::engine::nodes::retrieval) fn key_of(text: &str, metadata: &Map<String, Value>) -> Result<String, String> {
    if let Some(name) = RESERVED.iter().find(|name| metadata.contains_key(**name)) {
        return Err(format!("Metadata cannot contain key {name} as it is reserved for internal use"));
    }
    let mut names: Vec<&str> = metadata.keys().map(String::as_str).collect();
    // As JavaScript sorts texts.
    names.sort_by(|one, other| one.encode_utf16().cmp(other.encode_utf16()));
    let mut written = String::new();
    write_fields(metadata, &names, &mut written);
    Ok(hashed(&(hashed(text) + &hashed(&written))))
}

/// `JSON.stringify(value, names)`: of every object only fields of these names are written, in their order.
fn write(value: &Value, names: &[&str], into: &mut String) {
    let between = |into: &mut String, number: usize| {
        if number > 0 {
            into.push(',');
        }
    };
    match value {
        Value::Object(fields) => write_fields(fields, names, into),
        Value::Array(items) => {
            into.push('[');
            for (number, item) in items.iter().enumerate() {
                between(into, number);
                write(item, names, into);
            }
            into.push(']');
        }
        value => into.push_str(&json(value)),
    }
}

fn write_fields(fields: &Map<String, Value>, names: &[&str], into: &mut String) {
    into.push('{');
    let known = names.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    for (number, (name, value)) in known.enumerate() {
        if number > 0 {
            into.push(',');
        }
        into.push_str(&Value::from(name).to_string());
        into.push(':');
        write(value, names, into);
    }
    into.push('}');
}

/// The UUID, version 5, of a text's digest.
fn hashed(text: &str) -> String {
    let mut named = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    named.update(&NAMESPACE);
    named.update(digest(text).as_bytes());
    let mut bytes = named.finish().as_ref().get(..16).unwrap_or_default().to_vec();
    if let [_, _, _, _, _, _, version, _, variant, ..] = bytes.as_mut_slice() {
        *version = (*version & 0x0f) | 0x50;
        *variant = (*variant & 0x3f) | 0x80;
    }
    let mut uuid = hex(&bytes);
    for place in [20, 16, 12, 8] {
        uuid.insert(place, '-');
    }
    uuid
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected: what Flowise 3.1.4 made of them.
    #[test]
    fn passages_are_known_as_flowise_knows_them() {
        let key = |text: &str, metadata: Value| key_of(text, metadata.as_object().unwrap()).unwrap();
        assert_eq!(key("one", json!({})), "0d1cadbe-976f-50dc-b4f4-8b1124450637");
        let metadata = json!({ "source": "a.txt", "loc": { "lines": { "from": 1, "to": 2 } }, "n": 1.5,
            "list": [1, { "b": 2, "source": "x" }], "none": null });
        assert_eq!(key("zwei ü", metadata), "1e3f9312-7e47-5bec-8263-5fddd7944603");
        assert_eq!(key("", json!({ "b": true, "a": "x", "10": 1, "9": 2 })), "37b0b770-d37a-520c-8f53-dcc366b8ef2e");
        let metadata = json!({ "lines": "kept", "loc": { "lines": { "from": 1 } } });
        assert_eq!(key("nested", metadata), "8344b100-bad7-542a-9535-c111da32299d");
        assert!(key_of("", json!({ "hash_": 1 }).as_object().unwrap()).unwrap_err().contains("hash_"));
    }
}
