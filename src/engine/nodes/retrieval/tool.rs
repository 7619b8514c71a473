//! A retriever as a tool of an agent.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Document, Narrowing, Retriever, Tool, ToolResult, VectorStore};
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::{JsonTemplate, Names as _, has_names};

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&RetrieverTool];

const FILTER: &str = "retrieverToolMetadataFilter";

struct RetrieverTool;

impl NodeKind for RetrieverTool {
    fn names(&self) -> &'static [&'static str] {
        &["retrieverTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("name");
        let description = inputs.text("description").unwrap_or_default();
        if !inputs.has("retriever") {
            inputs.refuse("retriever", "a retriever is required");
        }
        let retriever = inputs.part_as("retriever", Part::into_retriever, "a retriever");
        let tells_sources = inputs.flag("returnSourceDocuments").unwrap_or(false);
        let filter = inputs.json_template(FILTER);
        let (name, retriever) = (name?, retriever?);
        let filter =
            filter.filter(|filter| !matches!(filter, JsonTemplate::Fixed(Value::Object(fields)) if fields.is_empty()));
        let narrowed = match filter {
            Some(filter) => Some(Narrowed { store: filtered(inputs, &retriever)?, filter }),
            None => None,
        };
        Some(Part::tool(Lookup { spec: spec(name, description), retriever, narrowed, tells_sources }))
    }
}

/// The store behind a retriever, whose filter can be another one.
fn filtered(inputs: &mut Inputs<'_, '_, '_>, retriever: &Arc<dyn Retriever>) -> Option<Arc<dyn VectorStore>> {
    let store = Arc::clone(retriever).store().filter(|store| store.takes_filters());
    if store.is_none() {
        inputs.refuse(
            FILTER,
            "only vector databases with filters in JSON are filtered, where the retriever is one itself",
        );
    }
    store
}

/// A store, and the filter that takes its own one's place.
#[derive(Debug)]
struct Narrowed {
    store: Arc<dyn VectorStore>,
    filter: JsonTemplate,
}

impl Narrowed {
    async fn found(&self, question: &str, run: &Run<'_>) -> Result<Vec<Document>, Failure> {
        let filter = of_flow(self.filter.condition(run).map_err(Failure::flow)?, run)?;
        let filter = filter.as_object().ok_or_else(|| Failure::flow("the metadata filter is no JSON object"))?;
        let by = Narrowing { filter, adds: false };
        let found = self.store.nearest_by(question, self.store.most(), by, run).await?;
        Ok(found.into_iter().map(|(document, _)| document).collect())
    }
}

/// With what is known of the flow in the place of its names, such as `$flow.sessionId`. Where there is nothing, nothing is
/// searched: a filter that is left out would find what others may not see.
fn of_flow(value: Value, run: &Run<'_>) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(name) if name == "$flow.input" => run.request.question().into(),
        Value::String(name) if name.starts_with("$flow.") => {
            let value = run.find(&name).filter(|value| !has_names(value));
            value.ok_or_else(|| Failure::flow(format!("there is no {name} for the metadata filter")))?
        }
        Value::Array(items) => items.into_iter().map(|item| of_flow(item, run)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Ok((name, of_flow(value, run)?)));
            Value::Object(fields.collect::<Result<_, Failure>>()?)
        }
        value => value,
    })
}

/// The tool itself.
pub(crate) fn lookup(
    name: String,
    description: String,
    retriever: Arc<dyn Retriever>,
    tells_sources: bool,
) -> Arc<dyn Tool> {
    Arc::new(Lookup { spec: spec(name, description), retriever, narrowed: None, tells_sources })
}

fn spec(name: String, description: String) -> ToolSpec {
    let input = json!({ "type": "string", "description": "input to look up in retriever" });
    let parameters = json!({
        "type": "object",
        "properties": { "input": input },
        "required": ["input"],
        "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    });
    ToolSpec { name, description, parameters }
}

#[derive(Debug)]
struct Lookup {
    spec: ToolSpec,
    retriever: Arc<dyn Retriever>,
    narrowed: Option<Narrowed>,
    tells_sources: bool,
}

impl Tool for Lookup {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let input = arguments.get("input").and_then(Value::as_str);
            let input = input.ok_or_else(|| Failure::flow("Received tool input did not match expected schema"))?;
            let found = match &self.narrowed {
                Some(narrowed) => narrowed.found(input, run).await?,
                None => self.retriever.find(input, run).await?,
            };
            let texts: Vec<&str> = found.iter().map(|document| document.text.as_str()).collect();
            let text = texts.join("\n\n");
            let sources = if self.tells_sources { found } else { Vec::new() };
            Ok(ToolResult { text, sources, ..ToolResult::default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::testing::Stage;
    use super::*;
    use crate::engine::flow::CompiledFlow;
    use crate::engine::mcp::lab::{response, server};
    use crate::engine::testing::{flow_with, predict};

    #[derive(Debug)]
    struct Two;

    impl Retriever for Two {
        fn find<'a>(&'a self, question: &'a str, _run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
            let document = |text: &str| Document { text: text.to_owned(), metadata: Map::new() };
            Box::pin(async move { Ok(vec![document(question), document("two")]) })
        }
    }

    fn agent(kind: &str, store: Value, filter: &Value) -> Result<CompiledFlow, String> {
        let tool = json!({ "name": "docs", "retriever": "{{s.data.instance}}", "retrieverToolMetadataFilter": filter });
        flow_with(
            &[],
            &[
                ("m", "testModel", json!({})),
                ("b", "bufferMemory", json!({})),
                ("e", "stubEmbeddings", json!({})),
                ("s", kind, store),
                ("t", "retrieverTool", tool),
                (
                    "a",
                    "toolAgent",
                    json!({ "model": "{{m.data.instance}}", "memory": "{{b.data.instance}}",
                    "tools": ["{{t.data.instance}}"] }),
                ),
            ],
        )
    }

    #[test]
    fn a_filter_of_the_tool_takes_the_place_of_the_stores() {
        let (origin, hearing) = server(|_| response("200 OK", "", "{\"result\":{\"points\":[]}}"));
        let store = json!({ "embeddings": "{{e.data.instance}}", "qdrantServerUrl": origin, "qdrantCollection": "c",
            "qdrantFilter": "{\"own\":1}" });
        let filter = json!({ "must": [{ "key": "chat", "match": { "value": "$flow.chatId" } }] });
        let call = json!([{ "name": "docs", "arguments": { "input": "tea" } }]);
        let ask = |filter: Value| {
            let flow = agent("qdrant", store.clone(), &filter).unwrap();
            predict(&flow, &json!({ "question": "Q" }), &[call.clone(), "done".into()])
        };
        ask(filter.to_string().into());
        let heard = hearing.try_iter().last().unwrap();
        assert_eq!(heard.body["filter"], json!({ "must": [{ "key": "chat", "match": { "value": "chat" } }] }));
        // Without one the store's own counts.
        ask("{}".into());
        assert_eq!(hearing.try_iter().last().unwrap().body["filter"], json!({ "own": 1 }));
        // What the flow does not know is no reason to look for everything.
        let predicted = ask(json!({ "a": "$flow.state.none" }));
        assert!(hearing.try_iter().next().is_none());
        let told = predicted.asked[1]["messages"].to_string();
        assert!(told.contains("there is no $flow.state.none"), "{told}");
        let refused = agent("memoryVectorStore", json!({ "embeddings": "{{e.data.instance}}" }), &filter).unwrap_err();
        assert!(refused.contains("retrieverToolMetadataFilter: only vector databases"), "{refused}");
    }

    #[test]
    fn an_agent_reads_passages_and_their_sources_are_told_if_wanted() {
        for tells_sources in [true, false] {
            let tool =
                Lookup { spec: spec("n".into(), "d".into()), retriever: Arc::new(Two), narrowed: None, tells_sources };
            assert_eq!(tool.spec().parameters["required"], json!(["input"]));
            Stage::new().run(async |run| {
                let result = tool.call(&json!({ "input": "one" }), run).await.unwrap();
                assert_eq!(
                    (result.text.as_str(), result.sources.len()),
                    ("one\n\ntwo", if tells_sources { 2 } else { 0 })
                );
                assert!(tool.call(&json!({ "query": "one" }), run).await.is_err());
            });
        }
    }
}
