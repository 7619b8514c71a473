//! "Format Prompt Values": the values that a flow's author gives a prompt, which may refer to the request and to other
//! nodes.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::failure::Failure;
use super::node::ValueSource;
use super::run::Run;
use crate::engine::text::mustache::{JsonTemplate, Mustache, Names as _};
use crate::engine::text::variables::{at, text_of};
use crate::wire::json;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptValues {
    values: Vec<(String, JsonTemplate)>,
    /// Nodes that the values refer to, by id.
    sources: Vec<(String, Arc<dyn ValueSource>)>,
}

impl PromptValues {
    /// `sources`: the nodes that the values [refer](referred) to, by id.
    pub(crate) fn new(values: Vec<(String, JsonTemplate)>, sources: Vec<(String, Arc<dyn ValueSource>)>) -> Self {
        Self { values, sources }
    }

    /// With every value as `read` reads it.
    pub(crate) fn mapped(self, read: impl Fn(JsonTemplate) -> JsonTemplate) -> Self {
        Self { values: self.values.into_iter().map(|(name, value)| (name, read(value))).collect(), ..self }
    }

    /// The values, with what they refer to filled in.
    pub(crate) async fn fill(&self, question: &str, run: &Run<'_>) -> Result<Map<String, Value>, Failure> {
        let mut known = HashMap::new();
        for (id, source) in &self.sources {
            known.insert(id.as_str(), (run.outcome(id, &**source, question).await?, source.is_told_as_json()));
        }
        let find = |name: &str| match split(name) {
            Some((id, path)) => known.get(id).map(|(value, is_json)| text_at(value, path, *is_json).into()),
            None => run.find(name),
        };
        let filled = self.values.iter().map(|(name, value)| Ok((name.clone(), value.value(&find)?)));
        filled.collect::<Result<_, String>>().map_err(Failure::flow)
    }
}

/// `id.data.instance` or `id.data.instance.path`.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let (id, path) = name.split_once(".data.instance")?;
    (path.is_empty() || path.starts_with('.')).then_some((id, path.trim_start_matches('.')))
}

/// Ids of nodes that texts in values refer to, each once.
pub(crate) fn referred(values: &[(String, JsonTemplate)]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (_, value) in values {
        value.references(&mut Vec::new(), &mut |_, reference| {
            for (id, _) in reference.mustache().into_iter().flat_map(Mustache::names).filter_map(split) {
                if !ids.iter().any(|known| known == id) {
                    ids.push(id.to_owned());
                }
            }
        });
    }
    ids
}

/// A node's value as a text: JSON is looked into where the path says, and its texts are told as they are.
pub(crate) fn text_at(value: &Value, path: &str, is_json: bool) -> String {
    let told = if is_json { text_of } else { told };
    if path.is_empty() {
        return told(value);
    }
    let parsed = value.as_str().and_then(|text| json::read_str::<Value>(text).ok());
    at(parsed.as_ref().unwrap_or(value), path).map_or_else(|| "undefined".to_owned(), told)
}

/// As JSON, but without the backslashes in it: Flowise hides what JSON escapes while values are put together, and
/// brings it back afterwards.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            tell(value, &mut out);
            out
        }
        value => value.to_string(),
    }
}

fn tell(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                out.push_str(if position > 0 { "," } else { "" });
                tell(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (position, (name, field)) in fields.iter().enumerate() {
                out.push_str(if position > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                tell(field, out);
            }
            out.push('}');
        }
        value => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::text::mustache::Dialect;

    #[test]
    fn references_are_found_once_wherever_they_stand() {
        let value = r#"["a {{x_0.data.instance}} {{y_1.data.instance.k.0}}", { "b": "{{x_0.data.instance}}" }, 5]"#;
        let value = JsonTemplate::parse(value, Dialect::Chatflow).unwrap();
        assert_eq!(referred(&[("v".into(), value)]), ["x_0", "y_1"]);
        assert_eq!(split("question"), None);
    }

    #[test]
    fn json_is_looked_into_and_told_with_its_texts_as_they_are() {
        let value = json!({ "answer": "a\n\"b\"", "n": 2, "l": [1, { "x": null }] });
        assert_eq!(text_at(&value, "", false), "{\"answer\":\"a\n\"b\"\",\"n\":2,\"l\":[1,{\"x\":null}]}");
        assert_eq!(text_at(&value, "l.1", false), "{\"x\":null}");
        assert_eq!(text_at(&json!("{\"a\":{\"b\":7}}"), "a.b", false), "7");
        assert_eq!(text_at(&value, "missing", false), "undefined");
        assert_eq!(text_at(&json!("plain\n"), "", false), "plain\n");
    }
}
