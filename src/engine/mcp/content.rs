//! What calls of tools give, as Flowise tells it to models: the list of contents as JSON, each with the fields that the
//! protocol has, in the order of its schema.

use serde_json::{Map, Value};

const TEXT: &[&str] = &["type", "text", "annotations", "_meta"];
const MEDIA: &[&str] = &["type", "data", "mimeType", "annotations", "_meta"];
const EMBEDDED: &[&str] = &["type", "resource", "annotations", "_meta"];
const RESOURCE: &[&str] = &["uri", "mimeType", "_meta", "text", "blob"];
const LINK: &[&str] =
    &["name", "title", "icons", "uri", "description", "mimeType", "size", "annotations", "_meta", "type"];

/// See the module.
pub(crate) fn as_models_read(result: &Value) -> String {
    let contents = result.get("content").and_then(Value::as_array).into_iter().flatten();
    contents.map(content).collect::<Value>().to_string()
}

fn content(content: &Value) -> Value {
    match content.get("type").and_then(Value::as_str) {
        Some("text") => ordered(content, TEXT),
        Some("image" | "audio") => ordered(content, MEDIA),
        Some("resource_link") => ordered(content, LINK),
        Some("resource") => {
            let mut embedded = ordered(content, EMBEDDED);
            if let Some(resource) = embedded.get_mut("resource") {
                *resource = ordered(resource, RESOURCE);
            }
            embedded
        }
        _ => content.clone(),
    }
}

fn ordered(content: &Value, names: &[&str]) -> Value {
    let field = |name: &&str| Some(((*name).to_owned(), content.get(*name)?.clone()));
    Value::Object(names.iter().filter_map(field).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected: what Flowise's library made of the same.
    #[test]
    fn contents_are_as_flowise_tells_them() {
        let result = json!({ "content": [
            { "text": "hi", "type": "text", "extra": 1, "_meta": { "a": 1 } },
            { "mimeType": "image/png", "data": "aGk=", "type": "image" },
            { "resource": { "text": "t", "uri": "a://b", "mimeType": "text/plain" }, "type": "resource" },
            { "type": "resource_link", "uri": "a://b", "name": "n" },
        ], "isError": true });
        let told = "[{\"type\":\"text\",\"text\":\"hi\",\"_meta\":{\"a\":1}},{\"type\":\"image\",\"data\":\"aGk=\",\
                    \"mimeType\":\"image/png\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"a://b\",\"mimeType\":\
                    \"text/plain\",\"text\":\"t\"}},{\"name\":\"n\",\"uri\":\"a://b\",\"type\":\"resource_link\"}]";
        assert_eq!(as_models_read(&result), told);
        assert_eq!(as_models_read(&json!({ "structuredContent": { "a": 1 } })), "[]");
    }
}
