//! Reading answers as JavaScript does.

use serde_json::Value;

use crate::engine::provider::ProviderResponse;
use crate::wire::json;

/// # Errors
/// It is no JSON.
pub(super) fn json_of(answer: &ProviderResponse) -> Result<Value, String> {
    json::read_answer(&answer.body).map_err(|_| "the service's answer is not valid JSON".to_owned())
}

/// What counts as something in a condition.
pub(super) fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// What a path leads to, if that is something: names of fields, and numbers of places in lists.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let step = |value: &'a Value, step: &&str| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(*step),
    };
    path.iter().try_fold(value, step).filter(|value| is_something(value))
}

/// Some fields under other names; those that are missing are left out.
pub(super) fn picked(item: &Value, fields: &[(&str, &str)]) -> Value {
    let field = |(as_name, name): &(&str, &str)| Some(((*as_name).to_owned(), item.get(*name)?.clone()));
    Value::Object(fields.iter().filter_map(field).collect())
}

/// The items of a list.
pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
