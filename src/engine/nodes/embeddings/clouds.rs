//! Embeddings at AWS Bedrock, Google's Vertex AI and IBM's watsonx.ai, where requests are signed or want a token first.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::{EmbeddingsWithoutCredential, in_one_line, unreadable};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Embeddings;
use crate::engine::contract::run::Run;
use crate::engine::models::aws::{self, AwsAccess, AwsHost};
use crate::engine::models::connection;
use crate::engine::models::vertex::access::{GoogleAccess, REGION, stands_in_path};
use crate::engine::models::vertex::{self, access};
use crate::engine::models::watsonx::access::{CREDENTIAL, WatsonxAccess};
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::percent::component;

/// Requests under way at once, of a cloud that takes one text in each.
const AT_ONCE: usize = 8;
/// The most texts that Cohere's models take at once, and watsonx.
const BATCH_OF_COHERE: usize = 96;
const BATCH_OF_WATSONX: usize = 500;

/// A cloud and its node.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloudKind {
    cloud: CloudName,
    /// For tests, the input with the address of everything.
    address_input: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloudName {
    Bedrock,
    Vertex,
    Watsonx,
}

pub(super) const BEDROCK: CloudKind = CloudKind { cloud: CloudName::Bedrock, address_input: "" };
pub(super) const VERTEX: CloudKind = CloudKind { cloud: CloudName::Vertex, address_input: "" };
pub(super) const WATSONX: CloudKind = CloudKind { cloud: CloudName::Watsonx, address_input: "" };

impl NodeKind for CloudKind {
    fn names(&self) -> &'static [&'static str] {
        match self.cloud {
            CloudName::Bedrock => &["AWSBedrockEmbeddings"],
            CloudName::Vertex => &["googlevertexaiEmbeddings"],
            CloudName::Watsonx => &["ibmEmbedding"],
        }
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let here = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let problems = inputs.compiler.problems.len();
        let (cloud, credential) = match self.cloud {
            CloudName::Bedrock => (bedrock(inputs, here.as_deref()), aws::CREDENTIAL),
            CloudName::Vertex => (of_vertex(inputs, here.as_deref()), access::CREDENTIAL),
            CloudName::Watsonx => (watsonx(inputs, here.as_deref()), CREDENTIAL),
        };
        match cloud {
            Some(cloud) => Some(Part::Embeddings(Arc::new(cloud))),
            // Nothing is wrong, so it is the credential that is missing.
            None if inputs.compiler.problems.len() == problems => {
                Some(Part::Embeddings(Arc::new(EmbeddingsWithoutCredential { credential })))
            }
            None => None,
        }
    }
}

fn bedrock(inputs: &mut Inputs<'_, '_, '_>, here: Option<&str>) -> Option<CloudEmbedder> {
    let region = aws::region(inputs)?;
    let model = inputs.text("customModel").or_else(|| inputs.text("model")).map(|model| model.trim().to_owned());
    let model = model.unwrap_or_else(|| "amazon.titan-embed-text-v1".to_owned());
    let purpose = inputs.text("inputType").filter(|_| model.starts_with("cohere"));
    if model.starts_with("cohere") && purpose.is_none() {
        inputs.refuse("inputType", "Cohere's models want to know what for");
    }
    // How many are under way at once, and what is asked again: that is the engine's own business.
    inputs.ignore(&["batchSize", "maxRetries"]);
    let own = inputs.text("endpointHost").map(|own| own.trim().to_owned()).filter(|own| !own.is_empty());
    let own = own.map(|own| if own.contains("://") { own } else { format!("https://{own}") });
    let access = AwsAccess::read(inputs, &region);
    let address = here.map(str::to_owned).or(own);
    let names = ("bedrock", "bedrock-runtime");
    let host = AwsHost::read(inputs, "endpointHost", names, &region, address.as_deref())?;
    let path = format!("/model/{}/invoke", component(&model));
    Some(CloudEmbedder::Bedrock { access: access?, host, path, purpose })
}

fn of_vertex(inputs: &mut Inputs<'_, '_, '_>, here: Option<&str>) -> Option<CloudEmbedder> {
    let model = connection::model_name(inputs).map(|model| model.trim().to_owned())?;
    if !stands_in_path(&model) {
        inputs.refuse("modelName", "it cannot stand in an address");
    }
    let region = inputs.text("region").unwrap_or_else(|| REGION.to_owned());
    let one_line = inputs.flag("stripNewLines").unwrap_or(false);
    let endpoint = vertex::endpoint(inputs, &region, here);
    let access = GoogleAccess::read(inputs)??;
    let project = access.project();
    let path = format!("/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:predict");
    Some(CloudEmbedder::Vertex { endpoint: endpoint?, access, path, one_line })
}

fn watsonx(inputs: &mut Inputs<'_, '_, '_>, here: Option<&str>) -> Option<CloudEmbedder> {
    let model = inputs.text("modelName").unwrap_or_else(|| "ibm/slate-30m-english-rtrvr".to_owned());
    let mut parameters = Map::new();
    if let Some(most) = inputs.integer("truncateInputTokens").filter(|most| *most > 0) {
        parameters.insert("truncate_input_tokens".to_owned(), most.into());
    }
    inputs.ignore(&["maxRetries", "maxConcurrency"]);
    let access = WatsonxAccess::read(inputs, here)?;
    Some(CloudEmbedder::Watsonx { access, model, parameters })
}

/// See the module.
#[derive(Debug)]
enum CloudEmbedder {
    Bedrock {
        access: AwsAccess,
        host: AwsHost,
        path: String,
        /// What Cohere's models are told that it is for; `None`: another's model.
        purpose: Option<String>,
    },
    Vertex {
        endpoint: ProviderEndpoint,
        access: GoogleAccess,
        path: String,
        one_line: bool,
    },
    Watsonx {
        access: WatsonxAccess,
        model: String,
        parameters: Map<String, Value>,
    },
}

impl CloudEmbedder {
    /// Texts in one request.
    fn batch(&self) -> usize {
        match self {
            Self::Bedrock { purpose: Some(_), .. } => BATCH_OF_COHERE,
            Self::Bedrock { .. } | Self::Vertex { .. } => 1,
            Self::Watsonx { .. } => BATCH_OF_WATSONX,
        }
    }

    async fn ask(&self, texts: &[String], run: &Run<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        let vectors = match self {
            Self::Bedrock { access, host, path, purpose } => {
                let mut texts: Vec<String> = texts.iter().map(|text| in_one_line(text)).collect();
                let body = match purpose {
                    Some(purpose) => json!({ "texts": texts, "input_type": purpose, "truncate": "END" }),
                    None => json!({ "inputText": texts.pop().unwrap_or_default() }),
                };
                let answer = access.post(host, path, &body, run).await?.json().await?;
                if purpose.is_some() {
                    answer.get("embeddings").cloned()
                } else {
                    answer.get("embedding").map(|one| json!([one]))
                }
            }
            Self::Vertex { endpoint, access, path, one_line } => {
                let text = |text: &String| if *one_line { in_one_line(text) } else { text.clone() };
                let instances: Value = texts.iter().map(|one| json!({ "content": text(one) })).collect();
                let body = json!({ "instances": instances, "parameters": { "streaming": false } });
                let answer = endpoint.post(path, &access.headers(run).await?, body, run).await?.json().await?;
                listed(&answer, "predictions", "/embeddings/values")
            }
            Self::Watsonx { access, model, parameters } => {
                let project = access.project.as_str();
                let body =
                    json!({ "model_id": model, "inputs": texts, "project_id": project, "parameters": parameters });
                let path = format!("/ml/v1/text/embeddings{}", access.query);
                let headers = access.headers(run).await?;
                let answer = access.endpoint.post(&path, &headers, body, run).await?.json().await?;
                listed(&answer, "results", "/embedding")
            }
        };
        let vectors: Vec<Vec<f32>> = vectors.and_then(|all| serde_json::from_value(all).ok()).ok_or_else(unreadable)?;
        if vectors.len() == texts.len() { Ok(vectors) } else { Err(unreadable()) }
    }
}

/// Of each item of a list what stands there.
fn listed(answer: &Value, list: &str, place: &str) -> Option<Value> {
    Some(answer.get(list)?.as_array()?.iter().map(|item| item.pointer(place).cloned().unwrap_or_default()).collect())
}

impl Embeddings for CloudEmbedder {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            let asking = texts.chunks(self.batch()).map(|batch| self.ask(batch, run));
            let mut asking = stream::iter(asking).buffered(AT_ONCE);
            while let Some(more) = asking.next().await {
                vectors.extend(more?);
            }
            Ok(vectors)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async move { self.ask(&[text.to_owned()], run).await?.pop().ok_or_else(unreadable) })
    }
}
