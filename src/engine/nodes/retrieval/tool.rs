//! A retriever as a tool of an agent.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Retriever, Tool, ToolResult};
use crate::engine::contract::run::Run;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&RetrieverTool];

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
        let filter = inputs.json("retrieverToolMetadataFilter");
        if filter.is_some_and(|filter| filter.as_object().is_none_or(|fields| !fields.is_empty())) {
            inputs.refuse("retrieverToolMetadataFilter", "the engine does not filter by metadata");
        }
        Some(Part::tools([lookup(name?, description, retriever?, tells_sources)]))
    }
}

/// The tool itself.
pub(crate) fn lookup(
    name: String,
    description: String,
    retriever: Arc<dyn Retriever>,
    tells_sources: bool,
) -> Arc<dyn Tool> {
    Arc::new(Lookup { spec: spec(name, description), retriever, tells_sources })
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
            let found = self.retriever.find(input, run).await?;
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
    use crate::engine::contract::node::Document;

    #[derive(Debug)]
    struct Two;

    impl Retriever for Two {
        fn find<'a>(&'a self, question: &'a str, _run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
            let document = |text: &str| Document { text: text.to_owned(), metadata: Map::new() };
            Box::pin(async move { Ok(vec![document(question), document("two")]) })
        }
    }

    #[test]
    fn an_agent_reads_passages_and_their_sources_are_told_if_wanted() {
        for tells_sources in [true, false] {
            let tool = Lookup { spec: spec("n".into(), "d".into()), retriever: Arc::new(Two), tells_sources };
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
