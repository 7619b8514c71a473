//! Embeddings of providers that each speak a dialect of their own, as a table.

mod dialect;

use std::sync::Arc;

use super::{EmbeddingsWithoutCredential, unreadable};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Embeddings;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::provider::ProviderEndpoint;
use crate::wire::json;
use dialect::{DialectSettings, EmbeddingDialect, Purpose};

/// A provider and its node.
#[derive(Debug)]
pub(super) struct Provider {
    names: &'static [&'static str],
    /// Its name and the field with the key.
    credential: (&'static str, &'static str),
    /// The header that the key stands in; empty: `Authorization`.
    key_header: &'static str,
    address: &'static str,
    /// The input with an address, where the node has one; empty: none.
    address_input: &'static str,
    /// The field of the credential with one.
    address_field: Option<&'static str>,
    /// Where nothing is set; `None`: the node must say.
    model: Option<&'static str>,
    dialect: EmbeddingDialect,
    /// Texts in one request.
    batch: usize,
}

pub(super) const COHERE: Provider = Provider {
    names: &["cohereEmbeddings"],
    credential: ("cohereApi", "cohereApiKey"),
    address: "https://api.cohere.com",
    dialect: EmbeddingDialect::Cohere,
    batch: 48,
    ..PLAIN
};

pub(super) const GOOGLE: Provider = Provider {
    names: &["googleGenerativeAiEmbeddings"],
    credential: ("googleGenerativeAI", "googleGenerativeAPIKey"),
    key_header: "x-goog-api-key",
    address: "https://generativelanguage.googleapis.com",
    model: Some("embedding-001"),
    dialect: EmbeddingDialect::Google,
    batch: 100,
    ..PLAIN
};

pub(super) const HUGGING_FACE: Provider = Provider {
    names: &["huggingFaceInferenceEmbeddings"],
    credential: ("huggingFaceApi", "huggingFaceApiKey"),
    address: "https://router.huggingface.co",
    address_input: "endpoint",
    model: Some("sentence-transformers/distilbert-base-nli-mean-tokens"),
    dialect: EmbeddingDialect::HuggingFace,
    // Its library sends all at once, which no server takes.
    batch: 512,
    ..PLAIN
};

pub(super) const JINA: Provider = Provider {
    names: &["jinaEmbeddings"],
    credential: ("jinaAIApi", "jinaAIAPIKey"),
    address: "https://api.jina.ai",
    model: Some("jina-clip-v2"),
    dialect: EmbeddingDialect::Jina,
    batch: 24,
    ..PLAIN
};

pub(super) const MISTRAL: Provider = Provider {
    names: &["mistralAIEmbeddings"],
    credential: ("mistralAIApi", "mistralAIAPIKey"),
    address: "https://api.mistral.ai",
    // Flowise's library forgets it.
    address_input: "overrideEndpoint",
    model: Some("mistral-embed"),
    dialect: EmbeddingDialect::Mistral,
    batch: 512,
    ..PLAIN
};

pub(super) const TOGETHER: Provider = Provider {
    names: &["togetherAIEmbedding"],
    credential: ("togetherAIApi", "togetherAIApiKey"),
    address: "https://api.together.xyz",
    model: Some("togethercomputer/m2-bert-80M-8k-retrieval"),
    dialect: EmbeddingDialect::Together,
    batch: 1,
    ..PLAIN
};

pub(super) const VOYAGE: Provider = Provider {
    names: &["voyageAIEmbeddings"],
    credential: ("voyageAIApi", "apiKey"),
    address: "https://api.voyageai.com/v1/embeddings",
    address_field: Some("endpoint"),
    model: Some("voyage-01"),
    dialect: EmbeddingDialect::Voyage,
    batch: 8,
    ..PLAIN
};

const PLAIN: Provider = Provider {
    names: &[],
    credential: ("", ""),
    key_header: "",
    address: "",
    address_input: "",
    address_field: None,
    model: None,
    dialect: EmbeddingDialect::Cohere,
    batch: 1,
};

impl NodeKind for Provider {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (credential, field) = self.credential;
        let key = connection::wanted(inputs, credential, field);
        let model = inputs.text("modelName").map(|model| model.trim().to_owned());
        let model = model.or_else(|| self.model.map(str::to_owned));
        if model.is_none() {
            inputs.lacks("modelName");
        }
        let own = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let own = own.or_else(|| {
            let secret = inputs.optional_credential(credential, self.address_field?)?;
            Some(secret.expose().to_owned()).filter(|address| !address.is_empty())
        });
        let address = own.as_deref().unwrap_or(self.address);
        let way = self.dialect.read(inputs, &model.unwrap_or_default(), own.as_deref());
        let batch = inputs.integer("batchSize").filter(|size| *size > 0);
        let batch = batch.and_then(|size| usize::try_from(size).ok()).unwrap_or(self.batch);
        let input = if self.address_input.is_empty() { "modelName" } else { self.address_input };
        let endpoint = connection::endpoint_at(inputs, input, self.dialect.base(address));
        let Some(key) = key else {
            return Some(Part::Embeddings(Arc::new(EmbeddingsWithoutCredential { credential })));
        };
        let headers = match self.key_header {
            "" => connection::bearer(inputs, Some(&key)),
            name => connection::header(inputs, http::HeaderName::from_static(name), key.expose()),
        };
        Some(Part::Embeddings(Arc::new(ProviderEmbedder { endpoint: endpoint?, headers, way: way?, batch })))
    }
}

#[derive(Debug)]
struct ProviderEmbedder {
    endpoint: ProviderEndpoint,
    headers: Headers,
    way: DialectSettings,
    batch: usize,
}

impl ProviderEmbedder {
    async fn ask(&self, texts: &[String], purpose: Purpose, run: &Run<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        let (path, body) = self.way.request(texts, purpose);
        let incoming = self.endpoint.post(&path, &self.headers, body, run).await?;
        let answer = json::read_answer(&incoming.whole().await?).map_err(|_| unreadable())?;
        let vectors = self.way.vectors(answer).ok_or_else(unreadable)?;
        if vectors.len() == texts.len() { Ok(vectors) } else { Err(unreadable()) }
    }
}

impl Embeddings for ProviderEmbedder {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for batch in texts.chunks(self.batch) {
                vectors.extend(self.ask(batch, Purpose::Passages, run).await?);
            }
            Ok(vectors)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(
            async move { self.ask(&[text.to_owned()], Purpose::Question, run).await?.pop().ok_or_else(unreadable) },
        )
    }
}

#[cfg(test)]
mod tests;
