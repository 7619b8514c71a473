//! Texts and metadata in a JSON file.

use serde_json::{Map, Value};

use crate::engine::text::javascript::{entries, json, shown, trim};
use crate::engine::text::size::bytes_of;
use crate::wire::json::read_answer;

/// A text, and what the file itself says about it.
pub(super) type JsonText = (String, Map<String, Value>);

/// Of all texts of a file with their metadata, which may repeat one long value for each of very many texts.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// What the author wants of the file.
#[derive(Debug, Default)]
pub(super) struct JsonSelection {
    /// Pointers such as `/title`; empty: every text.
    pub(super) pointers: Vec<String>,
    /// Each object is one text, its fields one line each.
    pub(super) by_object: bool,
    /// Names of metadata and the pointers to their values.
    pub(super) metadata: Vec<(String, String)>,
}

impl JsonSelection {
    /// `title, body` as Flowise reads it: whatever is no letter or digit separates.
    pub(super) fn pointers_of(names: &str) -> Vec<String> {
        let separated: String =
            names.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { ',' }).collect();
        separated.split(',').map(|name| format!("/{name}")).collect()
    }

    /// Texts with what the file itself says about them.
    pub(super) fn read(&self, text: &str) -> Result<Vec<JsonText>, String> {
        let parsed: Value = read_answer(trim(text).as_bytes()).map_err(|error| format!("no valid JSON: {error}"))?;
        let items = match parsed {
            Value::Array(items) => items,
            item => vec![item],
        };
        let mut found = Vec::new();
        let mut room = MOST_BYTES;
        for item in &items {
            let metadata = self.metadata_of(item);
            let own: usize = metadata.values().map(bytes_of).sum();
            if self.by_object {
                if let Value::Object(fields) = item {
                    found.push((lines(fields, ""), metadata));
                }
                continue;
            }
            let mut texts = Vec::new();
            if self.pointers.is_empty() {
                every_text(item, &mut texts);
            } else {
                self.texts_at(item, false, &mut texts);
            }
            let bytes = texts.iter().map(|text| text.len() + own).sum();
            room = room.checked_sub(bytes).ok_or("the texts of the JSON file are too long")?;
            found.extend(texts.into_iter().map(|text| (text.to_owned(), metadata.clone())));
        }
        Ok(found)
    }

    fn metadata_of(&self, item: &Value) -> Map<String, Value> {
        let value = |(name, pointer): &(String, String)| Some((name.clone(), at(item, pointer)?.clone()));
        self.metadata.iter().filter_map(value).collect()
    }

    /// Every text below what the pointers find, at whatever depth an object has it. `is_below`: something was found
    /// further up.
    fn texts_at<'v>(&self, value: &'v Value, is_below: bool, texts: &mut Vec<&'v str>) {
        let fields: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => entries(fields).into_iter().map(|(_, field)| field).collect(),
            _ => return,
        };
        let found: Vec<&Value> =
            self.pointers.iter().filter_map(|pointer| at(value, pointer)).filter(|found| !is_falsy(found)).collect();
        if found.is_empty() && is_below {
            return;
        }
        for found in &found {
            every_text(found, texts);
        }
        let is_found = |field: &Value| found.iter().any(|found| is_same(found, field));
        for field in fields.into_iter().filter(|field| !is_found(field)) {
            self.texts_at(field, !found.is_empty(), texts);
        }
    }
}

/// What a pointer finds in each line that is not empty.
///
/// # Errors
/// A line is no JSON, or there is no text where the pointer leads.
pub(super) fn read_lines(text: &str, pointer: &str, metadata: &[(String, String)]) -> Result<Vec<JsonText>, String> {
    let wanted = JsonSelection { metadata: metadata.to_vec(), ..JsonSelection::default() };
    let lines = text.split('\n').map(trim).filter(|line| !line.is_empty());
    let mut room = MOST_BYTES;
    let read = |(number, line): (usize, &str)| {
        let value: Value =
            read_answer(line.as_bytes()).map_err(|error| format!("no valid JSON in line {}: {error}", number + 1))?;
        let metadata = wanted.metadata_of(&value);
        let found = at(&value, pointer);
        let Some(Value::String(found)) = found else {
            let kind = found.map_or("undefined", kind_of);
            return Err(format!("Expected string, at position {number} got {kind}"));
        };
        let bytes = found.len() + metadata.values().map(bytes_of).sum::<usize>();
        room = room.checked_sub(bytes).ok_or("the texts of the JSON file are too long")?;
        Ok((found.clone(), metadata))
    };
    lines.enumerate().map(read).collect()
}

/// As JavaScript names it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Null | Value::Array(_) | Value::Object(_) => "object",
    }
}

/// `===`: texts by what they say, objects by what they are.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(_) | Value::Object(_), _) => std::ptr::eq(one, other),
        _ => one == other,
    }
}

fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn every_text<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| every_text(item, texts)),
        Value::Object(fields) => entries(fields).into_iter().for_each(|(_, field)| every_text(field, texts)),
        _ => {}
    }
}

/// `/a/0/b`.
fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    if value.is_array() || value.is_object() { value.pointer(pointer) } else { None }
}

/// `a.b: value`, a line for each field.
fn lines(fields: &Map<String, Value>, prefix: &str) -> String {
    let line = |(name, value): (&String, &Value)| {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(fields) => lines(fields, &name),
            Value::Array(_) => format!("{name}: {}", json(value)),
            value => format!("{name}: {}", shown(value)),
        }
    };
    entries(fields).into_iter().map(line).collect::<Vec<_>>().join("\n")
}
