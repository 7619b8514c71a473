//! Flowise's custom tools, as its export of everything has them.

use serde::Deserialize;
use serde_json::Value;

use crate::wire::json;

/// A tool whose work is code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ToolRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "text")]
    pub(crate) description: String,
    /// JSON: rows of what it takes.
    #[serde(deserialize_with = "text")]
    pub(crate) schema: String,
    #[serde(rename = "func", deserialize_with = "text")]
    pub(crate) code: String,
}

#[derive(Deserialize)]
struct ExportedTools {
    #[serde(rename = "Tool", default)]
    tools: Option<Vec<Value>>,
}

/// Those of one file. One that cannot be read is none: a flow that names it says so.
pub(super) fn of(text: &str) -> Vec<ToolRecord> {
    let exported: Option<ExportedTools> = json::read_str(text).ok().filter(|_| !text.trim_start().starts_with('['));
    let records = exported.and_then(|exported| exported.tools).unwrap_or_default();
    records.into_iter().filter_map(|record| serde_json::from_value(record).ok()).collect()
}

/// What Flowise has nothing for is null; JSON may stand there as it is.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        value => value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_found_in_an_export_of_everything() {
        let text = r#"{ "ChatFlow": [], "Tool": [{ "id": "t", "name": "n", "description": null, "schema": "[]", "func": "return 1" }, 5] }"#;
        let (id, name) = ("t".to_owned(), "n".to_owned());
        let expected =
            ToolRecord { id, name, schema: "[]".to_owned(), code: "return 1".to_owned(), ..ToolRecord::default() };
        assert_eq!(of(text), [expected]);
        assert!(of("[]").is_empty() && of("{}").is_empty() && of("no").is_empty());
    }
}
