//! References to values, found in what authors wrote, and what they lead to.

use serde_json::Value;

use super::mustache::{Dialect, Mustache};

/// The first `{{...}}` that Flowise fills in anywhere, and, in inputs that accept variables, also of those that it fills
/// in there.
pub(crate) fn first(value: &Value, accepts: bool) -> Option<String> {
    first_where(value, &|name| {
        let is_known = name.starts_with("$vars.") || name.starts_with("$flow.");
        is_known || (accepts && ["question", "chat_history", "file_attachment"].contains(&name))
    })
}

/// The first `{{...}}` of that kind.
pub(crate) fn first_where(value: &Value, is_meant: &dyn Fn(&str) -> bool) -> Option<String> {
    match value {
        Value::String(text) => {
            Mustache::parse(text, Dialect::Chatflow).names().find(|name| is_meant(name)).map(str::to_owned)
        }
        Value::Array(items) => items.iter().find_map(|item| first_where(item, is_meant)),
        Value::Object(fields) => fields.values().find_map(|field| first_where(field, is_meant)),
        _ => None,
    }
}

/// The value at a path of names and numbers.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// As a template shows it.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
