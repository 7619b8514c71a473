//! A retriever whose model reads a filter out of the question.

use std::sync::Arc;

use serde_json::Value;

use super::{count, output, vector_store};
use crate::engine::compile::form;
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
        let form = inputs.json(FORM).and_then(|rows| rows.as_array().map(|rows| form::schema(rows)));
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
            let ask = ModelRequest { schema: Some((form::NAME, &self.form)), ..ModelRequest::of(&messages) };
            let text = run.ask(&*self.model, ask).await?.text;
            let filter = read_str(&text).ok().and_then(|said: Value| form::fields(&self.form, &said));
            let filter = filter.ok_or_else(|| Failure::flow("the model's answer holds no metadata to look for"))?;
            let by = Narrowing { filter: &filter, adds: true };
            let found = self.store.nearest_by(question, self.most, by, run).await?;
            Ok(found.into_iter().map(|(document, _)| document).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        // Other names are not looked at, and what is no value finds nothing.
        let form = form::schema(rows.as_array().unwrap());
        let said = json!({ "kind": "black", "tags": [], "own": 2, "$or": [] });
        assert_eq!(form::fields(&form, &said).map(Value::from), Some(json!({ "kind": "black", "tags": [] })));
        for said in [json!({ "kind": { "$ne": "" }, "tags": [] }), json!({ "kind": "red", "tags": [] }), json!({})] {
            assert_eq!(form::fields(&form, &said), None, "{said}");
        }
        // An empty setting refuses no flow; a store without filters does.
        assert!(flow(store, "qdrant", &json!([])).is_ok());
        let refused = flow(json!({ "embeddings": embeddings }), "memoryVectorStore", &rows).unwrap_err();
        assert!(refused.contains("vectorStore: only vector databases"), "{refused}");
    }
}
