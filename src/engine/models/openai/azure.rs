//! OpenAI's models at Azure: an address per deployment, and the key in a header of its own.

use std::sync::Arc;

use http::header::HeaderName;

use super::settings::Settings;
use super::{ChosenModel, ModelAddress};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::models::connection::{self, Headers, ModelWithoutCredential};
use crate::engine::provider::ProviderEndpoint;

pub(crate) const CREDENTIAL: &str = "azureOpenAIApi";

/// What the library that Flowise uses sends where a node names no model; Azure goes by the deployment.
const UNNAMED: &str = "gpt-3.5-turbo";

/// The node `azureChatOpenAI`.
#[derive(Debug)]
pub(crate) struct AzureChatOpenAi;

impl NodeKind for AzureChatOpenAi {
    fn names(&self) -> &'static [&'static str] {
        &["azureChatOpenAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.text("modelName").unwrap_or_else(|| UNNAMED.to_owned());
        let at = azure(inputs);
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        inputs.ignore(&["imageResolution"]);
        let settings = Settings::read(inputs).with_reasoning(inputs, &model);
        if settings.has_summary() {
            inputs.refuse("reasoningSummary", "summaries are not to be had at addresses of Azure's deployments");
        }
        let Azure { endpoint, query, headers } = match at? {
            Ok(azure) => azure,
            Err(Incomplete) => {
                return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
            }
        };
        let (fields, style) = (settings.of_completions(&model), settings.style(&model));
        let at = ModelAddress { endpoint, headers, missing: None, provider: "azure.ai.openai" };
        Some(at.completions(&query, ChosenModel { model, fields, style, sees_images, tells_thoughts: false }))
    }
}

/// A deployment.
#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) endpoint: ProviderEndpoint,
    /// Behind every path.
    pub(crate) query: String,
    pub(crate) headers: Headers,
}

/// The credential is not configured, or lacks a field; it is noted as missing.
#[derive(Debug)]
pub(crate) struct Incomplete;

/// `None`: it cannot be reached as it is described, and a problem says why.
pub(crate) fn azure(inputs: &mut Inputs<'_, '_, '_>) -> Option<Result<Azure, Incomplete>> {
    let basepath = inputs.text("basepath");
    let key = connection::wanted(inputs, CREDENTIAL, "azureOpenAIApiKey");
    let deployment = connection::wanted(inputs, CREDENTIAL, "azureOpenAIApiDeploymentName");
    let version = connection::wanted(inputs, CREDENTIAL, "azureOpenAIApiVersion");
    let instance = match &basepath {
        Some(_) => None,
        None => connection::wanted(inputs, CREDENTIAL, "azureOpenAIApiInstanceName"),
    };
    let key_header = match &key {
        Some(key) => connection::header(inputs, HeaderName::from_static("api-key"), key.expose()),
        None => Headers::new(),
    };
    let headers = connection::with_base_options(inputs, key_header);
    let (Some(_), Some(deployment), Some(version)) = (key, deployment, version) else {
        inputs.ignore(&["timeout"]);
        return Some(Err(Incomplete));
    };
    let (deployment, version) = (deployment.expose(), version.expose());
    let address = match (basepath, instance) {
        (Some(basepath), _) => below(basepath.trim_end_matches('/'), deployment),
        (None, Some(instance)) => {
            let origin = format!("https://{}.openai.azure.com/openai/deployments", instance.expose());
            below(&origin, deployment)
        }
        (None, None) => {
            inputs.ignore(&["timeout"]);
            return Some(Err(Incomplete));
        }
    };
    let plain = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !plain(deployment) || !plain(version) {
        inputs.refuse("credential", "the deployment's name or the version cannot stand in an address");
        return None;
    }
    let endpoint = connection::endpoint_at(inputs, "basepath", &address)?;
    Some(Ok(Azure { endpoint, query: format!("?api-version={version}"), headers }))
}

/// A deployment's address: the library puts its name behind any base, and once more where the base knows no
/// deployments.
fn below(base: &str, deployment: &str) -> String {
    let address = format!("{base}/{deployment}");
    if address.contains("/deployments") { address } else { format!("{address}/deployments/{deployment}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_librarys() {
        for (base, address) in [
            ("https://i.openai.azure.com/openai/deployments", "https://i.openai.azure.com/openai/deployments/dep"),
            ("http://127.0.0.1:1/d", "http://127.0.0.1:1/d/dep/deployments/dep"),
        ] {
            assert_eq!(below(base, "dep"), address);
        }
    }
}
