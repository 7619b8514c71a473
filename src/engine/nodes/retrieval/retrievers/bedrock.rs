//! Passages of a knowledge base of Amazon Bedrock's.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{count, output};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, Retriever};
use crate::engine::contract::run::Run;
use crate::engine::models::aws::{self, AwsAccess, AwsHost};
use crate::engine::models::connection::no_credential;
use crate::wire::json;

/// Passages, where nothing is said.
const FOUND: usize = 10;

/// The node `awsBedrockKBRetriever`.
pub(super) struct BedrockNode;

impl NodeKind for BedrockNode {
    fn names(&self) -> &'static [&'static str] {
        &["awsBedrockKBRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let base = inputs.required_text("knoledgeBaseID");
        if base.as_ref().is_some_and(|base| !base.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            inputs.refuse("knoledgeBaseID", "expected the id of a knowledge base");
        }
        let most = count(inputs, "topK").unwrap_or(FOUND);
        let kind = inputs.text("searchType");
        let filter = inputs.json("filter");
        let region = aws::region(inputs);
        let access = region.as_deref().and_then(|region| AwsAccess::read(inputs, region));
        let host = AwsHost::read(inputs, "region", ("bedrock", "bedrock-agent-runtime"), &region?, None);
        let mut way = Map::from_iter([("numberOfResults".to_owned(), most.into())]);
        way.extend(kind.map(|kind| ("overrideSearchType".to_owned(), kind.into())));
        way.extend(filter.map(|filter| ("filter".to_owned(), filter)));
        Some(output(inputs, Arc::new(KnowledgeBase { access, host: host?, base: base?, way })))
    }
}

#[derive(Debug)]
struct KnowledgeBase {
    /// `None`: the credential is not configured.
    access: Option<AwsAccess>,
    host: AwsHost,
    base: String,
    /// How it is searched.
    way: Map<String, Value>,
}

impl Retriever for KnowledgeBase {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            run.budget().step()?;
            let body = json!({
                "retrievalConfiguration": { "vectorSearchConfiguration": self.way },
                "retrievalQuery": { "text": question },
            });
            let path = format!("/knowledgebases/{}/retrieve", self.base);
            let access = self.access.as_ref().ok_or_else(|| no_credential(aws::CREDENTIAL))?;
            let answer = access.post(&self.host, &path, &body, run).await?.whole().await?;
            let unreadable = |_| Failure::Unreachable("The answer of the knowledge base cannot be read.".to_owned());
            let found: Value = json::read_answer(&answer).map_err(unreadable)?;
            let results = found.get("retrievalResults").and_then(Value::as_array);
            Ok(results.into_iter().flatten().map(document).collect())
        })
    }
}

/// A passage with where it comes from, as the library gives it.
fn document(result: &Value) -> Document {
    let text = result.pointer("/content/text").and_then(Value::as_str).unwrap_or_default();
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_whitespace() {
            true if clean.ends_with(' ') => {}
            true => clean.push(' '),
            false => clean.push(letter),
        }
    }
    let place = match result.pointer("/location/type").and_then(Value::as_str) {
        Some("CONFLUENCE") => "/location/confluenceLocation/url",
        Some("SALESFORCE") => "/location/salesforceLocation/url",
        Some("SHAREPOINT") => "/location/sharePointLocation/url",
        Some("WEB") => "/location/webLocation/url",
        _ => "/location/s3Location/uri",
    };
    let mut metadata = Map::new();
    metadata.extend(result.pointer(place).map(|source| ("source".to_owned(), source.clone())));
    metadata.extend(result.get("score").map(|score| ("score".to_owned(), score.clone())));
    metadata.extend(result.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default());
    Document { text: clean.replace("...", ""), metadata }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_those_of_the_library() {
        let result = json!({
            "content": { "text": "a \n b...c" }, "score": 0.5, "metadata": { "x": 1 },
            "location": { "type": "WEB", "webLocation": { "url": "https://a.b" }, "s3Location": { "uri": "s3://c" } },
        });
        let expected = json!({ "pageContent": "a bc", "metadata": { "source": "https://a.b", "score": 0.5, "x": 1 } });
        assert_eq!(document(&result).to_json(), expected);
        assert_eq!(document(&json!({})).to_json(), json!({ "pageContent": "", "metadata": {} }));
    }
}
