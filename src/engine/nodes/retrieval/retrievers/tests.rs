use serde_json::{Value, json};

use super::super::testing::{Stage, asked, load, retrieval_qa};
use crate::engine::contract::run::Run;

/// The example, with a retriever between its store and its chain.
fn with(kind: &str, inputs: &Value, looks_into: &str) -> Value {
    let mut export = retrieval_qa();
    let nodes = export["nodes"].as_array_mut().unwrap();
    let mut inputs = inputs.clone();
    inputs[looks_into] = "{{memoryVectorStore_0.data.instance}}".into();
    for node in nodes.iter_mut() {
        if node["id"] == "memoryVectorStore_0" && looks_into == "vectorStore" {
            node["data"]["outputs"] = json!({ "output": "vectorStore" });
        }
        if node["data"]["inputs"].get("vectorStoreRetriever").is_some() {
            node["data"]["inputs"]["vectorStoreRetriever"] = "{{it_0.data.instance}}".into();
            node["data"]["inputs"]["returnSourceDocuments"] = true.into();
        }
    }
    let model = nodes.iter().find(|node| node["data"]["name"] == "stubModel").unwrap()["id"].clone();
    inputs["model"] = inputs
        .get("model")
        .map_or(Value::Null, |_| format!("{{{{{}.data.instance}}}}", model.as_str().unwrap()).into());
    let embeddings = nodes.iter().find(|node| node["data"]["name"] == "stubEmbeddings").unwrap()["id"].clone();
    if inputs.get("embeddings").is_some() {
        inputs["embeddings"] = format!("{{{{{}.data.instance}}}}", embeddings.as_str().unwrap()).into();
    }
    let data = json!({ "name": kind, "label": kind, "inputs": inputs, "outputs": { "output": "retriever" } });
    nodes.push(json!({ "id": "it_0", "data": data }));
    export
}

fn found(export: &Value) -> (Vec<Value>, Vec<Value>) {
    let flow = load(export).unwrap_or_else(|problems| panic!("{problems:?}"));
    asked();
    let (reply, _) = Stage::new().ask(&flow, &json!({ "question": "Why do otters hold hands?", "chatId": "c" }));
    let reply = reply.unwrap();
    let sources = reply.fields.get("sourceDocuments").and_then(Value::as_array).cloned().unwrap_or_default();
    (sources, asked())
}

fn said(asked: &[Value]) -> String {
    asked.iter().find(|asked| asked.get("messages").is_some()).unwrap()["messages"].to_string()
}

#[test]
fn a_model_makes_other_questions() {
    let (sources, seen) = found(&with("multiQueryRetriever", &json!({ "model": "" }), "vectorStore"));
    assert!(said(&seen).contains("generate 3 different versions"), "{seen:?}");
    assert!(!sources.is_empty());
    let (sources, seen) =
        found(&with("HydeRetriever", &json!({ "model": "", "promptKey": "websearch", "topK": "1" }), "vectorStore"));
    assert!(said(&seen).contains("Please write a passage to answer the question"), "{seen:?}");
    assert_eq!(sources.len(), 1);
    let (sources, seen) = found(&with("RRFRetriever", &json!({ "model": "", "topK": "2" }), "baseRetriever"));
    assert!(said(&seen).contains("OUTPUT (4 queries):"), "{seen:?}");
    assert_eq!(sources.len(), 2);
    let scores: Vec<f64> =
        sources.iter().map(|source| source["metadata"]["relevancy_score"].as_f64().unwrap()).collect();
    assert!(scores[0] >= scores[1] && scores[1] > 0.0, "{scores:?}");
}

#[test]
fn some_leave_out_and_some_write_anew() {
    let (sources, seen) = found(&with("llmFilterRetriever", &json!({ "model": "" }), "baseRetriever"));
    assert!(said(&seen).contains("> Context:\\n>>>\\n"), "{seen:?}");
    assert!(sources.iter().all(|source| source["pageContent"].as_str().unwrap().starts_with("Stub answer to: ")));
    let inputs = json!({ "embeddings": "", "similarityThreshold": "0.999", "k": "2" });
    assert_eq!(found(&with("embeddingsFilterRetriever", &inputs, "baseRetriever")).0.len(), 0);
    let inputs = json!({ "embeddings": "", "similarityThreshold": "0.01", "k": "2" });
    assert_eq!(found(&with("embeddingsFilterRetriever", &inputs, "baseRetriever")).0.len(), 2);
    let inputs = json!({ "minSimilarityScore": "1", "maxK": "3", "kIncrement": 2 });
    assert_eq!(found(&with("similarityThresholdRetriever", &inputs, "vectorStore")).0.len(), 3);
    let inputs = json!({ "topK": 1, "resultFormat": "> {{context}}" });
    let (sources, _) = found(&with("customRetriever", &inputs, "vectorStore"));
    assert!(sources[0]["pageContent"].as_str().unwrap().starts_with("> "), "{sources:?}");
}

#[test]
fn what_they_look_into_is_required() {
    let mut export = with("RRFRetriever", &json!({ "model": "" }), "baseRetriever");
    export["nodes"].as_array_mut().unwrap().last_mut().unwrap()["data"]["inputs"]["baseRetriever"] = "".into();
    let told = load(&export).err().unwrap().iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("a retriever is required"), "{told}");
}

mod reranking {
    use std::sync::Arc;

    use serde_json::Map;

    use super::super::rerank;
    use super::*;
    use crate::engine::compile::inputs::Inputs;
    use crate::engine::compile::kind::NodeKind;
    use crate::engine::compile::part::Part;
    use crate::engine::contract::Task;
    use crate::engine::contract::node::{Document, Retriever};
    use crate::engine::models::lab::{self, HERE};

    #[derive(Debug)]
    struct Two;

    impl Retriever for Two {
        fn find<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<Document>> {
            let document = |text: &str| Document { text: text.to_owned(), metadata: Map::new() };
            Box::pin(async move { Ok(vec![document("one"), document("two")]) })
        }
    }

    struct Wired(rerank::RerankNode);

    impl NodeKind for Wired {
        fn names(&self) -> &'static [&'static str] {
            self.0.names()
        }

        fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
            let config = inputs.value("config").and_then(|config| config.as_object().cloned()).unwrap();
            let given = vec![("baseRetriever", Part::Retriever(Arc::new(Two)))];
            inputs.part_inside_with(&self.0, self.0.names()[0], config, given)
        }
    }

    async fn ranked(kind: rerank::RerankNode, inputs: Value, answer: Value) -> (Value, Vec<String>) {
        let kind = Wired(kind.at("here"));
        let (received, found) = lab::at_provider(json!({ "config": inputs }), &[answer], async |inputs, run| {
            let retriever = lab::built(&kind, inputs, true).unwrap().into_retriever().unwrap();
            retriever.find("q", run).await.unwrap()
        })
        .await;
        (received[0].body.clone(), found.into_iter().map(|document| document.text).collect())
    }

    #[tokio::test]
    async fn providers_put_passages_in_order() {
        let results = json!([{ "index": 1, "relevance_score": 0.9 }, { "index": 0, "relevance_score": 0.1 }]);
        let answer = json!({ "results": results });
        let (body, found) =
            ranked(rerank::COHERE, json!({ "model": "m", "topK": "1", "here": HERE }), answer.clone()).await;
        let expected = json!({ "model": "m", "topN": 1, "max_chunks_per_doc": 10, "query": "q", "return_documents": false,
            "documents": ["one", "two"] });
        assert_eq!((body, found), (expected, vec!["two".to_owned()]));
        let (body, found) = ranked(rerank::JINA, json!({ "model": "m", "here": HERE }), answer.clone()).await;
        assert_eq!(body, json!({ "model": "m", "query": "q", "documents": ["one", "two"], "top_n": 4 }));
        assert_eq!(found, ["two", "one"]);
        let (body, _) = ranked(rerank::VOYAGE, json!({ "model": "m", "here": HERE }), answer).await;
        assert_eq!(body, json!({ "model": "m", "query": "q", "documents": ["one", "two"] }));
        // As they were found, where the provider says nothing of use.
        let (_, found) = ranked(rerank::COHERE, json!({ "model": "m", "here": HERE }), json!({})).await;
        assert_eq!(found, ["one", "two"]);
    }
}
