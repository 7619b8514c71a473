//! Conditions of a table: a value, what it is compared by, and the output that they lead to.

use std::cmp::Ordering;

use serde_json::Value;

use super::visit::{Visit, is_path};
use crate::engine::text::javascript::{is_falsy, listed, parse_float, trim};

/// A row.
#[derive(Debug)]
pub(super) struct ConditionRow {
    variable: String,
    operation: String,
    value: Value,
    output: String,
}

/// Where no row holds.
pub(super) const END: &str = "End";

/// # Errors
/// What is wrong with the table.
pub(super) fn read(table: &Value) -> Result<Vec<ConditionRow>, String> {
    let rows = table.as_array().ok_or("expected a list of conditions")?;
    let row = |row: &Value| {
        let text = |name: &str| row.get(name).map(listed).unwrap_or_default();
        if text("variable").is_empty() {
            return Err("Condition variable is required!".to_owned());
        }
        let value = row.get("value").cloned().unwrap_or_else(|| "".into());
        Ok(ConditionRow { variable: text("variable"), operation: text("operation"), value, output: text("output") })
    };
    rows.iter().map(row).collect()
}

/// The output of the first that holds.
pub(super) fn decide(conditions: &[ConditionRow], visit: &Visit<'_>, output: Option<&Value>) -> String {
    let flow = visit.flow(output);
    let holds = |condition: &&ConditionRow| {
        let value = if is_path(&condition.variable) {
            visit.at(&condition.variable, &flow)
        } else {
            // A node that has not said anything is not compared.
            let said = condition.variable.strip_prefix('$').and_then(|node| visit.state.said_by(node));
            let Some(said) = said else { return false };
            Some(said.content.as_str().into())
        };
        compare(value.as_ref(), &condition.operation, &condition.value)
    };
    conditions.iter().find(holds).map_or_else(|| END.to_owned(), |condition| condition.output.clone())
}

fn compare(value: Option<&Value>, operation: &str, other: &Value) -> bool {
    let Some(value) = value.filter(|value| !is_falsy(value)) else { return operation == "Is Empty" };
    let (text, wanted) = (listed(value), listed(other));
    let (number, bound) = (number(value), number(other));
    match operation {
        "Contains" => text.contains(&wanted),
        "Not Contains" => !text.contains(&wanted),
        "Start With" => text.starts_with(&wanted),
        "End With" => text.ends_with(&wanted),
        "Is" => text == wanted,
        "Is Not" => text != wanted,
        "Is Empty" => trim(&text).is_empty(),
        "Is Not Empty" => !trim(&text).is_empty(),
        _ if number.is_nan() || bound.is_nan() => false,
        "Greater Than" => number > bound,
        "Less Than" => number < bound,
        "Equal To" => number.partial_cmp(&bound) == Some(Ordering::Equal),
        "Not Equal To" => number.partial_cmp(&bound) != Some(Ordering::Equal),
        "Greater Than or Equal To" => number >= bound,
        "Less Than or Equal To" => number <= bound,
        _ => false,
    }
}

/// Of what is written as a plain decimal number.
fn number(value: &Value) -> f64 {
    if let Value::Number(number) = value {
        return number.as_f64().unwrap_or(f64::NAN);
    }
    let text = listed(value);
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_plain = digits.ends_with(|letter: char| letter.is_ascii_digit())
        && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
        && digits.matches('.').count() <= 1;
    if is_plain { parse_float(&text) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_as_flowise_does() {
        for (value, operation, other, holds) in [
            (json!("abc"), "Contains", json!("b"), true),
            (json!(""), "Not Contains", json!("b"), false),
            (json!(""), "Is Empty", json!(""), true),
            (json!(0), "Is Empty", json!(""), true),
            (json!(" "), "Is Empty", json!(""), true),
            (json!("5"), "Greater Than", json!("10"), false),
            (json!("50"), "Greater Than", json!(10), true),
            (json!("5x"), "Greater Than", json!("1"), false),
            (json!(".5"), "Less Than or Equal To", json!("0.5"), true),
            (json!("1e3"), "Equal To", json!("1000"), false),
            (json!(true), "Is", json!("true"), true),
            (json!(["a", "b"]), "Is", json!("a,b"), true),
            (json!("x"), "Unknown", json!("x"), false),
        ] {
            assert_eq!(compare(Some(&value), operation, &other), holds, "{value} {operation} {other}");
        }
        assert!(compare(None, "Is Empty", &json!("")) && !compare(None, "Is Not", &json!("x")));
        assert!(read(&json!([{ "variable": "" }])).is_err() && read(&json!({})).is_err());
    }
}
