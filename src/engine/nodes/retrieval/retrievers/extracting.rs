//! A retriever whose model reads a filter out of the question.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{count, output, vector_store};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Document, Narrowing, Retriever, VectorStore};
use crate::engine::contract::run::Run;
use crate::wire::json::read_str;

const PROMPT: &str = "dynamicMetadataFilterRetrieverPrompt";
const FORM: &str = "dynamicMetadataFilterRetrieverStructuredOutput";
const USUAL_PROMPT: &str = "Extract keywords from the query: {{query}}";
/// The place of the question.
const QUERY: &str = "{{query}}";

/// The node `extractMetadataRetriever`.
pub(super) struct ExtractMetadataNode;

impl NodeKind for ExtractMetadataNode {
    fn names(&self) -> &'static [&'static str] {
        &["extractMetadataRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let store = vector_store(inputs);
        let model = inputs.model("model");
        let prompt = inputs.text(PROMPT).unwrap_or_else(|| USUAL_PROMPT.to_owned());
        inputs.fills(&[PROMPT]);
        let form = inputs.json(FORM).map(|rows| schema(&rows));
        let form = form.filter(|form| form.pointer("/required/0").is_some());
        if form.is_none() {
            inputs.lacks(FORM);
        }
        let most = count(inputs, "topK");
        let (store, model, form) = (store?, model?, form?);
        if !store.takes_filters() {
            inputs.refuse("vectorStore", "only vector databases with filters in JSON are filtered");
            return None;
        }
        let most = most.unwrap_or_else(|| store.most());
        Some(output(inputs, Arc::new(ReadsFilter { store, model, prompt, form, most })))
    }
}

/// What the model is to say, row by row.
fn schema(rows: &Value) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for row in rows.as_array().into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut field = match text("type") {
            "String" => json!({ "type": "string" }),
            "String Array" => json!({ "type": "array", "items": { "type": "string" } }),
            "Number" => json!({ "type": "number" }),
            "Boolean" => json!({ "type": "boolean" }),
            "Enum" => {
                let values: Vec<&str> = text("enumValues").split(',').map(str::trim).collect();
                json!({ "type": "string", "enum": values })
            }
            _ => continue,
        };
        if let Some(field) = field.as_object_mut().filter(|_| !text("description").is_empty()) {
            field.insert("description".to_owned(), text("description").into());
        }
        required.push(text("key").to_owned());
        properties.insert(text("key").to_owned(), field);
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    })
}

/// What the author asked for of what the model said, which a user may have told it: other names would be other conditions.
fn declared(form: &Value, said: &Value) -> Option<Map<String, Value>> {
    let fields = form.get("properties")?.as_object()?.iter();
    fields
        .map(|(name, field)| {
            let value = said.get(name)?;
            let fits = match field.get("type")?.as_str()? {
                "array" => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                _ => value.is_string(),
            };
            let listed = field.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value));
            (fits && listed).then(|| (name.clone(), value.clone()))
        })
        .collect()
}

#[derive(Debug)]
struct ReadsFilter {
    store: Arc<dyn VectorStore>,
    model: Arc<dyn ChatModel>,
    prompt: String,
    /// JSON Schema of the filter.
    form: Value,
    most: usize,
}

impl Retriever for ReadsFilter {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let messages = [Message::user(self.prompt.replacen(QUERY, question, 1))];
            let ask = ModelRequest { schema: Some(("extract", &self.form)), ..ModelRequest::of(&messages) };
            let text = run.ask(&*self.model, ask).await?.text;
            let filter = read_str(&text).ok().and_then(|said: Value| declared(&self.form, &said));
            let filter = filter.ok_or_else(|| Failure::flow("the model's answer holds no metadata to look for"))?;
            let by = Narrowing { filter: &filter, adds: true };
            let found = self.store.nearest_by(question, self.most, by, run).await?;
            Ok(found.into_iter().map(|(document, _)| document).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mcp::lab::{response, server};
    use crate::engine::testing::{flow_with, predict};

    #[test]
    fn the_model_reads_a_filter_out_of_the_question() {
        let (origin, hearing) = server(|_| response("200 OK", "", "{\"result\":{\"points\":[]}}"));
        let rows = json!([{ "key": "kind", "type": "Enum", "enumValues": "green, black", "description": "of tea" },
            { "key": "tags", "type": "String Array" }]);
        let flow = |store: Value, kind: &str, rows: &Value| {
            let retriever = json!({ "vectorStore": "{{s.data.instance}}", "model": "{{m.data.instance}}", FORM: rows.to_string(),
                PROMPT: "Read {{query}}: {{query}}" });
            let chain = json!({ "model": "{{m.data.instance}}", "vectorStoreRetriever": "{{r.data.instance}}" });
            let nodes = [
                ("m", "testModel", json!({})),
                ("e", "stubEmbeddings", json!({})),
                ("s#vectorStore", kind, store),
                ("r", "extractMetadataRetriever", retriever),
                ("c", "retrievalQAChain", chain),
            ];
            flow_with(&[], &nodes)
        };
        let embeddings = "{{e.data.instance}}";
        let store = json!({ "embeddings": embeddings, "qdrantServerUrl": origin, "qdrantCollection": "c",
            "qdrantFilter": "{\"own\":1,\"kind\":\"none\"}" });
        let loaded = flow(store.clone(), "qdrant", &rows).unwrap();
        let said = json!({ "kind": "green", "tags": ["cold"] }).to_string();
        let predicted = predict(&loaded, &json!({ "question": "Which?" }), &[said.into(), "that".into()]);
        assert_eq!(predicted.asked[0], json!([{ "role": "user", "content": "Read Which?: {{query}}" }]));
        let heard = hearing.try_iter().last().unwrap();
        assert_eq!(heard.body["filter"], json!({ "own": 1, "kind": "green", "tags": ["cold"] }));
        let form = schema(&rows);
        // Other names are not looked at, and what is no value finds nothing.
        let said = json!({ "kind": "black", "tags": [], "own": 2, "$or": [] });
        assert_eq!(declared(&form, &said).map(Value::from), Some(json!({ "kind": "black", "tags": [] })));
        for said in [json!({ "kind": { "$ne": "" }, "tags": [] }), json!({ "kind": "red", "tags": [] }), json!({})] {
            assert_eq!(declared(&form, &said), None, "{said}");
        }
        assert_eq!(
            form["properties"]["kind"],
            json!({ "type": "string", "enum": ["green", "black"], "description": "of tea" })
        );
        assert_eq!(form["required"], json!(["kind", "tags"]));
        // An empty setting refuses no flow; a store without filters does.
        assert!(flow(store, "qdrant", &json!([])).is_ok());
        let refused = flow(json!({ "embeddings": embeddings }), "memoryVectorStore", &rows).unwrap_err();
        assert!(refused.contains("vectorStore: only vector databases"), "{refused}");
    }
}
