//! Embeddings: texts as vectors, from a provider.

mod clouds;
mod providers;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Embeddings;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::models::ollama;
use crate::engine::models::openai::{AZURE_CREDENTIAL, Azure, ModelAddress, azure};
use crate::engine::provider::ProviderEndpoint;
use crate::wire::json;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &OpenAiEmbeddings,
    &AzureEmbeddings,
    &LocalAiEmbeddings,
    &OllamaEmbeddings,
    &clouds::BEDROCK,
    &clouds::VERTEX,
    &clouds::WATSONX,
    &providers::COHERE,
    &providers::GOOGLE,
    &providers::HUGGING_FACE,
    &providers::JINA,
    &providers::MISTRAL,
    &providers::TOGETHER,
    &providers::VOYAGE,
];

/// What OpenAI's library has where nothing is set.
const MODEL: &str = "text-embedding-ada-002";
/// Texts in one request.
const BATCH: usize = 512;

/// The nodes `openAIEmbeddings` and `openAIEmbeddingsCustom`.
struct OpenAiEmbeddings;

impl NodeKind for OpenAiEmbeddings {
    fn names(&self) -> &'static [&'static str] {
        &["openAIEmbeddings", "openAIEmbeddingsCustom"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let at = ModelAddress::of_openai(inputs);
        let mut fields = Map::new();
        fields.insert("model".to_owned(), inputs.text("modelName").unwrap_or_else(|| MODEL.to_owned()).into());
        if let Some(dimensions) = inputs.integer("dimensions").filter(|dimensions| *dimensions > 0) {
            fields.insert("dimensions".to_owned(), dimensions.into());
        }
        let format = inputs.text("encodingFormat").unwrap_or_else(|| BASE64.to_owned());
        fields.insert("encoding_format".to_owned(), format.into());
        // Flowise cannot switch it off: the library takes new lines out unless it is told not to.
        inputs.ignore(&["stripNewLines"]);
        let batch = batch(inputs, BATCH);
        let ModelAddress { endpoint, headers, missing, .. } = at?;
        if let Some(credential) = missing {
            return Some(Part::Embeddings(Arc::new(EmbeddingsWithoutCredential { credential })));
        }
        let path = "/embeddings".into();
        Some(Part::Embeddings(Arc::new(OpenAiEmbedder { endpoint, path, headers, fields, batch })))
    }
}

/// The node `azureOpenAIEmbeddings`.
struct AzureEmbeddings;

impl NodeKind for AzureEmbeddings {
    fn names(&self) -> &'static [&'static str] {
        &["azureOpenAIEmbeddings"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let at = azure(inputs);
        let batch = batch(inputs, 1);
        let Ok(Azure { endpoint, query, headers }) = at? else {
            return Some(Part::Embeddings(Arc::new(EmbeddingsWithoutCredential { credential: AZURE_CREDENTIAL })));
        };
        let path = format!("/embeddings{query}").into();
        let fields = plain(MODEL);
        Some(Part::Embeddings(Arc::new(OpenAiEmbedder { endpoint, path, headers, fields, batch })))
    }
}

/// The node `localAIEmbeddings`.
struct LocalAiEmbeddings;

impl NodeKind for LocalAiEmbeddings {
    fn names(&self) -> &'static [&'static str] {
        &["localAIEmbeddings"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let at = ModelAddress::of_local_ai(inputs);
        let fields = plain(&model?);
        let ModelAddress { endpoint, headers, .. } = at?;
        let path = "/embeddings".into();
        Some(Part::Embeddings(Arc::new(OpenAiEmbedder { endpoint, path, headers, fields, batch: BATCH })))
    }
}

/// The node `ollamaEmbedding`.
struct OllamaEmbeddings;

impl NodeKind for OllamaEmbeddings {
    fn names(&self) -> &'static [&'static str] {
        &["ollamaEmbedding"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let endpoint = connection::endpoint(inputs, "baseUrl", ollama::ADDRESS);
        let mut options = Map::new();
        for (input, option) in [("numThread", "num_thread"), ("numGpu", "num_gpu")] {
            if let Some(value) = inputs.number(input) {
                options.insert(option.to_owned(), connection::number(value));
            }
        }
        options.insert("use_mmap".to_owned(), inputs.flag("useMMap").unwrap_or(true).into());
        Some(Part::Embeddings(Arc::new(OllamaEmbedder { endpoint: endpoint?, model: model?, options })))
    }
}

const BASE64: &str = "base64";

fn plain(model: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), model.into());
    fields.insert("encoding_format".to_owned(), BASE64.into());
    fields
}

fn batch(inputs: &mut Inputs<'_, '_, '_>, otherwise: usize) -> usize {
    let size = inputs.integer("batchSize").filter(|size| *size > 0);
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(otherwise)
}

/// A server that speaks as OpenAI's.
#[derive(Debug)]
struct OpenAiEmbedder {
    endpoint: ProviderEndpoint,
    path: Box<str>,
    headers: Headers,
    fields: Map<String, Value>,
    batch: usize,
}

impl OpenAiEmbedder {
    async fn ask(&self, input: Value, run: &Run<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        let mut body = self.fields.clone();
        body.insert("input".to_owned(), input);
        let incoming = self.endpoint.post(&self.path, &self.headers, body, run).await?;
        let body = incoming.whole().await?;
        let Listed { data } = json::read(&body).map_err(|_| unreadable())?;
        data.into_iter().map(|item| item.embedding.into_vector()).collect()
    }
}

impl Embeddings for OpenAiEmbedder {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for batch in texts.chunks(self.batch) {
                let input = batch.iter().map(|text| in_one_line(text)).collect();
                let more = self.ask(input, run).await?;
                if more.len() != batch.len() {
                    return Err(unreadable());
                }
                vectors.extend(more);
            }
            Ok(vectors)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async move { self.ask(in_one_line(text).into(), run).await?.pop().ok_or_else(unreadable) })
    }
}

fn in_one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Vector,
}

/// Some servers answer with numbers whatever they are asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    /// Little-endian, four bytes each.
    Base64(String),
}

impl Vector {
    fn into_vector(self) -> Result<Vec<f32>, Failure> {
        match self {
            Self::Numbers(numbers) => Ok(numbers),
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| unreadable())?;
                let (numbers, rest) = bytes.as_chunks();
                if !rest.is_empty() {
                    return Err(unreadable());
                }
                Ok(numbers.iter().copied().map(f32::from_le_bytes).collect())
            }
        }
    }
}

fn unreadable() -> Failure {
    Failure::Unreachable("The embeddings cannot be read.".to_owned())
}

#[derive(Debug)]
struct OllamaEmbedder {
    endpoint: ProviderEndpoint,
    model: String,
    options: Map<String, Value>,
}

impl OllamaEmbedder {
    async fn ask(&self, texts: &[String], run: &Run<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        #[derive(Deserialize)]
        struct Embedded {
            embeddings: Vec<Vec<f32>>,
        }
        let body = json!({ "model": self.model, "input": texts, "options": self.options, "truncate": false });
        let body = self.endpoint.post("/api/embed", &[], body, run).await?.whole().await?;
        let Embedded { embeddings } = json::read(&body).map_err(|_| unreadable())?;
        if embeddings.len() == texts.len() { Ok(embeddings) } else { Err(unreadable()) }
    }
}

impl Embeddings for OllamaEmbedder {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for batch in texts.chunks(BATCH) {
                vectors.extend(self.ask(batch, run).await?);
            }
            Ok(vectors)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async move { self.ask(&[text.to_owned()], run).await?.pop().ok_or_else(unreadable) })
    }
}

/// Stands for embeddings whose credential is not configured: nothing is sent anywhere.
struct EmbeddingsWithoutCredential {
    credential: &'static str,
}

impl fmt::Debug for EmbeddingsWithoutCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithoutCredential")
    }
}

impl Embeddings for EmbeddingsWithoutCredential {
    fn embed_all<'a>(&'a self, _: &'a [String], _: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async { Err(connection::no_credential(self.credential)) })
    }

    fn embed_question<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async { Err(connection::no_credential(self.credential)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::models::lab::{HERE, built, embedded};

    fn listed(vectors: &[Value]) -> Value {
        json!({ "data": vectors.iter().map(|vector| json!({ "embedding": vector })).collect::<Vec<_>>() })
    }

    /// As the recorded model answers for the second text.
    const ENCODED: &str = "AACAPwAAAL8=";

    #[tokio::test]
    async fn texts_go_in_batches_as_recorded() {
        let inputs = json!({ "modelName": "stub-embedding", "basepath": format!("{HERE}/v1"), "batchSize": "2",
            "dimensions": 2, "stripNewLines": "" });
        let answers = [listed(&[json!([0.5, 1]), json!(ENCODED)]), listed(&[json!([1, 1])])];
        let (received, vectors) = embedded(&OpenAiEmbeddings, inputs, &["a\nb", "c", "d"], &answers).await;
        assert_eq!(vectors.unwrap(), [[0.5, 1.0], [1.0, -0.5], [1.0, 1.0]]);
        assert_eq!(received[0].line, "POST /v1/embeddings HTTP/1.1");
        let body = json!({ "model": "stub-embedding", "input": ["a b", "c"], "dimensions": 2,
            "encoding_format": "base64" });
        assert_eq!(received[0].body, body);
        assert_eq!(received[1].body["input"], json!(["d"]));
    }

    #[tokio::test]
    async fn questions_go_as_a_text() {
        let inputs = json!({ "basepath": format!("{HERE}/v1"), "encodingFormat": "float" });
        let answers = [listed(&[json!([1, 2])])];
        let (received, vectors) = embedded(&OpenAiEmbeddings, inputs, &["q\nr"], &answers).await;
        assert_eq!(vectors.unwrap(), [[1.0, 2.0]]);
        let body = json!({ "model": MODEL, "input": "q r", "encoding_format": "float" });
        assert_eq!(received[0].body, body);
        assert_eq!(received[0].headers["authorization"], "Bearer a-openAIApiKey");
    }

    #[tokio::test]
    async fn other_servers_are_asked_their_way() {
        let inputs = json!({ "basepath": format!("{HERE}/openai/deployments"), "batchSize": 100 });
        let answers = [listed(&[json!([1]), json!([2])])];
        let (received, _) = embedded(&AzureEmbeddings, inputs, &["a", "b"], &answers).await;
        let path = "/openai/deployments/a-azureOpenAIApiDeploymentName/embeddings";
        assert_eq!(received[0].line, format!("POST {path}?api-version=a-azureOpenAIApiVersion HTTP/1.1"));
        assert_eq!(received[0].body["input"], json!(["a", "b"]));

        let inputs = json!({ "baseUrl": HERE, "modelName": "m", "numThread": 2 });
        let answers = [json!({ "embeddings": [[1], [2]] })];
        let (received, vectors) = embedded(&OllamaEmbeddings, inputs, &["a\nb", "c"], &answers).await;
        assert_eq!(vectors.unwrap(), [[1.0], [2.0]]);
        assert_eq!(received[0].line, "POST /api/embed HTTP/1.1");
        let body = json!({ "model": "m", "input": ["a\nb", "c"], "options": { "num_thread": 2, "use_mmap": true },
            "truncate": false });
        assert_eq!(received[0].body, body);

        let inputs = json!({ "basePath": format!("{HERE}/v1"), "modelName": "m" });
        let (received, _) = embedded(&LocalAiEmbeddings, inputs, &["a"], &[listed(&[json!([1])])]).await;
        assert_eq!(received[0].headers["authorization"], "Bearer a-localAIApiKey");
    }

    #[tokio::test]
    async fn answers_that_do_not_fit_are_failures() {
        let inputs = json!({ "basepath": format!("{HERE}/v1") });
        for answer in [listed(&[json!([1])]), listed(&[json!("AAA="), json!("!")]), json!({ "data": 1 })] {
            let (_, vectors) = embedded(&OpenAiEmbeddings, inputs.clone(), &["a", "b"], &[answer]).await;
            assert!(vectors.is_err());
        }
    }

    #[test]
    fn without_a_credential_nothing_is_sent() {
        for kind in [&OpenAiEmbeddings as &dyn NodeKind, &AzureEmbeddings] {
            let part = built(kind, json!({}), false).unwrap();
            assert_eq!(format!("{:?}", part.into_embeddings().unwrap()), "WithoutCredential");
        }
    }
}
