//! OpenAI's chat completions, and whatever speaks the same (`basepath`: Ollama, vLLM, llama.cpp, LocalAI).

pub(super) mod answer;
mod azure;
pub(super) mod relatives;
pub(super) mod request;
mod responses;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;

pub(super) use azure::AzureChatOpenAi;
pub(crate) use azure::{Azure, CREDENTIAL as AZURE_CREDENTIAL, azure};

use std::sync::Arc;

use serde_json::{Map, Value};

use super::connection::{self, Headers, ModelWithoutCredential};
use super::gathering::{AnswerFraming, gathered};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use answer::Completion;
use request::{ChatBody, Style};
use settings::Settings;

pub(crate) const ADDRESS: &str = "https://api.openai.com/v1";

/// The node `chatOpenAI`.
#[derive(Debug)]
pub(crate) struct ChatOpenAi;

impl NodeKind for ChatOpenAi {
    fn names(&self) -> &'static [&'static str] {
        &["chatOpenAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let at = ModelAddress::of_openai(inputs);
        let settings = Settings::read(inputs).with_strictness(inputs);
        let settings = settings.with_reasoning(inputs, model.as_deref().unwrap_or_default());
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        // Of older versions; 3.1.4 leaves it to the provider.
        inputs.ignore(&["imageResolution"]);
        Some(build(model?, at?, &settings, sees_images))
    }
}

/// The node `chatOpenAICustom`: any model, by its name.
#[derive(Debug)]
pub(crate) struct ChatOpenAiCustom;

impl NodeKind for ChatOpenAiCustom {
    fn names(&self) -> &'static [&'static str] {
        &["chatOpenAICustom"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let at = ModelAddress::of_openai(inputs);
        let settings = Settings::read(inputs);
        Some(build(model?, at?, &settings, false))
    }
}

/// The node `chatLocalAI`.
#[derive(Debug)]
pub(crate) struct ChatLocalAi;

impl NodeKind for ChatLocalAi {
    fn names(&self) -> &'static [&'static str] {
        &["chatLocalAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let at = ModelAddress::of_local_ai(inputs);
        let settings = Settings::read(inputs);
        Some(build(model?, at?, &settings, false))
    }
}

/// Where requests go, and with which headers.
#[derive(Debug)]
pub(crate) struct ModelAddress {
    pub(crate) endpoint: ProviderEndpoint,
    pub(crate) headers: Headers,
    /// The credential that is missing, where nothing works without.
    pub(crate) missing: Option<&'static str>,
    /// Who answers there, by OpenTelemetry's name.
    pub(crate) provider: &'static str,
}

impl ModelAddress {
    /// With OpenAI's credential, and `basepath` and `baseOptions` if they are set.
    pub(crate) fn of_openai(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let is_own = !inputs.has("basepath");
        let key = connection::wanted(inputs, "openAIApi", "openAIApiKey");
        // A server of one's own may want no key.
        let missing = (is_own && key.is_none()).then_some("openAIApi");
        let headers = connection::bearer(inputs, key.as_ref());
        let headers = connection::with_base_options(inputs, headers);
        let endpoint = connection::endpoint(inputs, "basepath", ADDRESS)?;
        Some(Self { endpoint, headers, missing, provider: "openai" })
    }

    pub(crate) fn of_local_ai(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let key = connection::optional(inputs, "localAIApi", "localAIApiKey");
        let headers = connection::bearer(inputs, key.as_ref());
        if !inputs.has("basePath") {
            inputs.lacks("basePath");
            inputs.ignore(&["timeout"]);
            return None;
        }
        let endpoint = connection::endpoint(inputs, "basePath", ADDRESS)?;
        Some(Self { endpoint, headers, missing: None, provider: "localai" })
    }
}

fn build(model: String, at: ModelAddress, settings: &Settings, sees_images: bool) -> Part {
    if at.missing.is_none() && settings.wants_responses(&model) {
        let ModelAddress { endpoint, headers, provider, .. } = at;
        let fields = settings.of_responses(&model);
        let style = settings.style(&model);
        let responses = responses::Responses { endpoint, headers, model, provider, fields, style, sees_images };
        return Part::Model(Arc::new(responses));
    }
    let (fields, style) = (settings.of_completions(&model), settings.style(&model));
    at.completions("", ChosenModel { model, fields, style, sees_images, tells_thoughts: false })
}

/// What a node says of the model that is asked for chat completions.
struct ChosenModel {
    model: String,
    fields: Map<String, Value>,
    style: Style,
    sees_images: bool,
    tells_thoughts: bool,
}

impl ModelAddress {
    /// The model there, or what stands for it where a credential is missing; `query`: behind the path.
    fn completions(self, query: &str, chosen: ChosenModel) -> Part {
        let Self { endpoint, headers, missing, provider } = self;
        let ChosenModel { model, fields, style, sees_images, tells_thoughts } = chosen;
        if let Some(credential) = missing {
            return Part::Model(Arc::new(ModelWithoutCredential { model, credential }));
        }
        let path = format!("/chat/completions{query}").into();
        Part::Model(Arc::new(OpenAiModel {
            endpoint,
            path,
            headers,
            model,
            provider,
            fields,
            style,
            sees_images,
            tells_thoughts,
        }))
    }
}

/// One model at one address.
#[derive(Debug)]
pub(super) struct OpenAiModel {
    endpoint: ProviderEndpoint,
    path: Box<str>,
    headers: Headers,
    model: String,
    provider: &'static str,
    fields: Map<String, Value>,
    style: Style,
    sees_images: bool,
    tells_thoughts: bool,
}

impl ChatModel for OpenAiModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = ChatBody { fields: &self.fields, style: self.style, ask };
            let incoming = self.endpoint.post(&self.path, &self.headers, body, run).await?;
            let framing = if self.style.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            let answer = Completion::new("openai", self.style.streams).telling_thoughts(self.tells_thoughts);
            gathered(incoming, framing, answer, ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        self.provider
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}
