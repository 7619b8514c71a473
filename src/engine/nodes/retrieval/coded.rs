//! Documents that code of the flow's author makes.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, DocumentSource, ValueSource};
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::contract::run::Run;
use crate::engine::nodes::utilities::given::{flow, given};
use crate::engine::scripts::{Returned, Script, ScriptValues};

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&CustomDocumentLoader];

/// The node `customDocumentLoader`.
struct CustomDocumentLoader;

impl NodeKind for CustomDocumentLoader {
    fn names(&self) -> &'static [&'static str] {
        &["customDocumentLoader"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = given(inputs);
        if !inputs.has("javascriptFunction") {
            inputs.lacks("javascriptFunction");
            return None;
        }
        let loader = Arc::new(CodedDocuments { given, script: Script::read(inputs, "javascriptFunction")? });
        Some(if inputs.output() == Some("text") { Part::Value(loader) } else { Part::Documents(loader) })
    }
}

#[derive(Debug)]
struct CodedDocuments {
    given: PromptValues,
    script: Script,
}

impl CodedDocuments {
    async fn returned(&self, question: &str, run: &Run<'_>) -> Result<Returned, Failure> {
        let named = self.given.fill(question, run).await?;
        let named = named.into_iter().map(|(name, value)| (format!("${name}"), value)).collect();
        let values = ScriptValues { input: question.into(), flow: flow(question, run), named, tools: &[] };
        self.script.run(values, run).await.map_err(|failure| failure.within("Error"))
    }
}

impl ValueSource for CodedDocuments {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move { Ok(self.returned(question, run).await?.into_value()) })
    }
}

impl DocumentSource for CodedDocuments {
    fn documents<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async move {
            let misshapen = || Failure::flow("Error: Document object must contain pageContent and metadata");
            let document = |value: Value| {
                let Value::Object(mut fields) = value else { return Err(misshapen()) };
                match (fields.remove("pageContent"), fields.remove("metadata")) {
                    (Some(Value::String(text)), Some(Value::Object(metadata))) => Ok(Document { text, metadata }),
                    _ => Err(misshapen()),
                }
            };
            match self.returned(run.request.question(), run).await? {
                Returned::Value(Value::Array(items)) => items.into_iter().map(document).collect(),
                _ => Err(misshapen()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::engine::testing::flow;

    #[test]
    fn its_code_and_its_output_are_looked_at() {
        let code = "return `${$a} of ${$input}`";
        let prompt = json!({ "template": "{x}", "promptValues": { "x": "{{d_0.data.instance}}" } });
        let mut nodes = vec![
            (
                "d_0",
                "customDocumentLoader",
                json!({ "javascriptFunction": code, "functionInputVariables": { "a": "text" } }),
            ),
            ("p_0", "promptTemplate", prompt),
            ("m_0", "testModel", json!({})),
            ("c_0", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" })),
        ];
        let error = flow(&nodes).unwrap_err();
        assert!(error.contains("expected d_0 to give a value"), "{error}");
        nodes[0].2["javascriptFunction"] = json!("const fs = require('fs')");
        assert!(flow(&nodes).unwrap_err().contains("it requires fs"));
    }
}
