//! Retrievers that have a provider put in order what another one found, as a table.

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Map, Value, json};

use super::{base, count, output};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, Retriever};
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::nodes::retrieval::stores::MOST;
use crate::engine::provider::ProviderEndpoint;
use crate::wire::json;

/// A provider and its node.
pub(super) struct RerankNode {
    names: &'static [&'static str],
    credential: (&'static str, &'static str),
    address: &'static str,
    /// The field of the credential with the address, in place of the provider's own.
    address_field: Option<&'static str>,
    /// The input that says how many are kept, and how that is told to the provider.
    most: (&'static str, Option<&'static str>),
    /// Whether passages are cut, and not sent back.
    cuts: bool,
    /// Whether what the retriever found is given where the provider fails.
    forgives: bool,
    /// An input with an address, in tests; empty: none.
    address_input: &'static str,
}

pub(super) const COHERE: RerankNode = RerankNode {
    names: &["cohereRerankRetriever"],
    credential: ("cohereApi", "cohereApiKey"),
    address: "https://api.cohere.ai/v1/rerank",
    address_field: None,
    most: ("topK", Some("topN")),
    cuts: true,
    forgives: true,
    address_input: "",
};

pub(super) const JINA: RerankNode = RerankNode {
    names: &["JinaRerankRetriever"],
    credential: ("jinaAIApi", "jinaAIAPIKey"),
    address: "https://api.jina.ai/v1/rerank",
    most: ("topN", Some("top_n")),
    cuts: false,
    ..COHERE
};

pub(super) const VOYAGE: RerankNode = RerankNode {
    names: &["voyageAIRerankRetriever"],
    credential: ("voyageAIApi", "apiKey"),
    address: "https://api.voyageai.com/v1/rerank",
    most: ("topK", None),
    ..JINA
};

pub(super) const AZURE: RerankNode = RerankNode {
    names: &["AzureRerankRetriever"],
    credential: ("azureFoundryApi", "azureFoundryApiKey"),
    address: "https://unknown.invalid/",
    address_field: Some("azureFoundryEndpoint"),
    most: ("topK", Some("top_n")),
    forgives: false,
    ..COHERE
};

impl NodeKind for RerankNode {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let base = base(inputs);
        let model = connection::model_named(inputs, "model");
        let (credential, field) = self.credential;
        let key = connection::wanted(inputs, credential, field);
        let own = match self.address_field {
            Some(field) => connection::wanted(inputs, credential, field).map(|secret| secret.expose().to_owned()),
            None if self.address_input.is_empty() => None,
            None => inputs.text(self.address_input),
        };
        let most = count(inputs, self.most.0);
        let chunks = if self.cuts { Some(count(inputs, "maxChunksPerDoc").unwrap_or(10)) } else { None };
        let address = own.as_deref().unwrap_or(self.address);
        let endpoint = connection::endpoint_at(inputs, "model", address.trim_end_matches('/'));
        let headers = match (&key, self.address_field) {
            (Some(key), Some(_)) => connection::header(inputs, HeaderName::from_static("api-key"), key.expose()),
            (key, _) => connection::bearer(inputs, key.as_ref()),
        };
        let is_missing = key.is_none() || (self.address_field.is_some() && own.is_none());
        let base = base?;
        // Jina's node does not look at how many the retriever finds.
        let own_most = Arc::clone(&base).store().filter(|_| self.most.0 == "topK").map_or(MOST, |store| store.most());
        let (most_told, most) = (self.most.1, most.unwrap_or(own_most));
        let missing = is_missing.then_some(credential);
        let forgives = self.forgives;
        let rerank =
            Rerank { base, endpoint: endpoint?, headers, model: model?, most, most_told, chunks, forgives, missing };
        Some(output(inputs, Arc::new(rerank)))
    }
}

#[derive(Debug)]
struct Rerank {
    base: Arc<dyn Retriever>,
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    most: usize,
    most_told: Option<&'static str>,
    /// A bound to the pieces that a passage is cut into.
    chunks: Option<usize>,
    forgives: bool,
    /// The credential that is not configured.
    missing: Option<&'static str>,
}

impl Rerank {
    fn body(&self, question: &str, found: &[Document]) -> Value {
        let texts: Vec<&str> = found.iter().map(|document| document.text.as_str()).collect();
        let mut fields = Map::new();
        fields.insert("model".to_owned(), self.model.as_str().into());
        if let Some(name) = self.most_told {
            fields.insert(name.to_owned(), self.most.into());
        }
        if let Some(chunks) = self.chunks {
            fields.insert("max_chunks_per_doc".to_owned(), chunks.into());
            fields.insert("return_documents".to_owned(), false.into());
        }
        fields.insert("query".to_owned(), question.into());
        fields.insert("documents".to_owned(), json!(texts));
        fields.into()
    }

    /// Places of passages, and how relevant each is.
    async fn ranks(&self, question: &str, found: &[Document], run: &Run<'_>) -> Result<Vec<(usize, Value)>, Failure> {
        let unreadable = || Failure::Unreachable("The ranks cannot be read.".to_owned());
        let incoming = self.endpoint.post("", &self.headers, self.body(question, found), run).await?;
        let answer: Value = json::read_answer(&incoming.whole().await?).map_err(|_| unreadable())?;
        let results = answer.get("results").or_else(|| answer.get("data")).and_then(Value::as_array);
        let rank = |result: &Value| {
            let place = usize::try_from(result.get("index")?.as_u64()?).ok()?;
            Some((place, result.get("relevance_score")?.clone()))
        };
        results.ok_or_else(unreadable)?.iter().map(rank).collect::<Option<_>>().ok_or_else(unreadable)
    }
}

impl Retriever for Rerank {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            if let Some(credential) = self.missing {
                return Err(connection::no_credential(credential));
            }
            let found = self.base.find(question, run).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let ranks = match self.ranks(question, &found, run).await {
                Ok(ranks) => ranks,
                Err(failure) if self.forgives && !failure.ends_run() => return Ok(found),
                Err(failure) => return Err(failure),
            };
            let ranked = ranks.into_iter().filter_map(|(place, relevance)| {
                let mut document = found.get(place)?.clone();
                document.metadata.insert("relevance_score".to_owned(), relevance);
                Some(document)
            });
            Ok(ranked.take(self.most).collect())
        })
    }
}

#[cfg(test)]
impl RerankNode {
    /// At the address in that input.
    pub(super) fn at(self, address_input: &'static str) -> Self {
        Self { address_input, ..self }
    }
}
