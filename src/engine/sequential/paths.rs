//! Paths into values as authors write them: `state.plan[0].name`, `state.messages[-1].content`.

use serde_json::Value;

use crate::engine::text::javascript::length;

/// The value there; `None`: there is nothing.
pub(super) fn get(value: &Value, path: &str) -> Option<Value> {
    let mut steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']').trim_matches(['"', '\''])).peekable();
    let mut at = value;
    while let Some(step) = steps.next() {
        if step.is_empty() {
            continue;
        }
        at = match at {
            Value::Array(items) if step == "length" && steps.peek().is_none() => return Some(items.len().into()),
            Value::String(text) if step == "length" && steps.peek().is_none() => return Some(length(text).into()),
            Value::Array(items) => items.get(position(step, items.len())?)?,
            value => value.get(step)?,
        };
    }
    Some(at.clone())
}

/// Behind the end it is counted from.
fn position(step: &str, count: usize) -> Option<usize> {
    match step.strip_prefix('-') {
        Some(back) => count.checked_sub(back.parse().ok()?),
        None => step.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_lists_and_from_their_ends() {
        let value = json!({ "state": { "plan": ["a", { "b": 1 }], "x y": null }, "n": "😀" });
        for (path, found) in [
            ("state.plan[0]", Some(json!("a"))),
            ("state.plan[1].b", Some(json!(1))),
            ("state.plan[-1].b", Some(json!(1))),
            ("state.plan.length", Some(json!(2))),
            ("state['x y']", Some(Value::Null)),
            ("n.length", Some(json!(2))),
            ("state.plan[-3]", None),
            ("state.plan[7].b", None),
            ("none.x", None),
            ("n.x", None),
        ] {
            assert_eq!(get(&value, path), found, "{path}");
        }
    }
}
