//! Properties of a page as texts.

use serde_json::{Map, Value};

use super::blocks::marked;
use crate::engine::text::javascript::shown;

/// Each by its name, and the title by a name of its own as well.
pub(super) fn shown_properties(properties: &Map<String, Value>) -> Map<String, Value> {
    let mut told = Map::new();
    for (name, property) in properties {
        let text = value(property);
        let is_title = property.get("type").is_some_and(|kind| kind == "title");
        told.insert(name.clone(), text.clone().into());
        if is_title {
            told.insert("_title".to_owned(), text.into());
        }
    }
    told
}

fn value(property: &Value) -> String {
    let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
    let content = property.get(kind).unwrap_or(&Value::Null);
    let list = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let listed =
        |told: &dyn Fn(&Value) -> String| format!("[{}]", list.iter().map(told).collect::<Vec<_>>().join(", "));
    let known = |value: &Value| format!("[\"{}\", \"{}\"]", field(value, "object"), field(value, "id"));
    match kind {
        "number" | "checkbox" | "url" | "email" | "phone_number" | "created_time" | "last_edited_time" => match content
        {
            Value::Null => String::new(),
            content => shown(content),
        },
        "select" | "status" => field(content, "name"),
        "multi_select" | "files" => listed(&|item| format!("\"{}\"", field(item, "name"))),
        "date" => {
            let end = field(content, "end");
            let end = if end.is_empty() { end } else { format!(" - {end}") };
            format!("{}{end}", field(content, "start"))
        }
        "created_by" | "last_edited_by" => known(content),
        "title" | "rich_text" => list.iter().map(marked).collect(),
        "people" => listed(&known),
        "unique_id" => {
            let number = content.get("number").map(shown).unwrap_or_default();
            format!("{}{number}", field(content, "prefix"))
        }
        "relation" => listed(&|item| format!("\"{}\"", field(item, "id"))),
        kind => format!("Unsupported type: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_are_texts() {
        let of = |kind: &str, content: Value| value(&json!({ "type": kind, kind: content }));
        assert_eq!(of("number", json!(1.5)), "1.5");
        assert_eq!(of("number", Value::Null), "");
        assert_eq!(of("checkbox", json!(true)), "true");
        assert_eq!(of("multi_select", json!([{ "name": "a" }, { "name": "b" }])), "[\"a\", \"b\"]");
        assert_eq!(of("date", json!({ "start": "2024-01-01", "end": null })), "2024-01-01");
        assert_eq!(of("date", json!({ "start": "a", "end": "b" })), "a - b");
        assert_eq!(of("people", json!([{ "object": "user", "id": "1" }])), "[[\"user\", \"1\"]]");
        assert_eq!(of("unique_id", json!({ "prefix": "OWL-", "number": 7 })), "OWL-7");
        assert_eq!(of("rollup", json!({})), "Unsupported type: rollup");
        let title = json!({ "Name": { "type": "title", "title": [{ "plain_text": "Owls" }] } });
        let told = shown_properties(title.as_object().unwrap());
        assert_eq!(Value::from(told), json!({ "Name": "Owls", "_title": "Owls" }));
    }
}
