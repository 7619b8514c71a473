//! Models that go on with a text instead of taking turns: what Flowise calls LLMs, as a table.

mod answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered};
use super::ollama;
use super::openai::{AZURE_CREDENTIAL, Azure, ModelAddress, azure};
use super::row::ProviderRow;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Content, ContentPart, Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use answer::Continuation;

/// A provider and its node.
#[derive(Debug)]
pub(crate) struct TextModel {
    row: ProviderRow,
    path: &'static str,
    /// Where nothing is set; `None`: the node must say.
    model: Option<&'static str>,
    dialect: TextDialect,
}

/// How a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextDialect {
    /// As `OpenAI`'s completions; the prompt in a list.
    OpenAi,
    /// The same, with the prompt as it is.
    Fireworks,
    Together,
    Cohere,
    HuggingFace,
    Ollama,
}

pub(crate) const OPENAI: TextModel = TextModel {
    row: ProviderRow {
        names: &["openAI"],
        provider: "openai",
        credential: ("openAIApi", "openAIApiKey"),
        address: super::openai::ADDRESS,
        address_input: "basepath",
        ..ProviderRow::PLAIN
    },
    model: Some("gpt-3.5-turbo-instruct"),
    ..PLAIN
};

/// Its address is made of its credential.
pub(crate) const AZURE: TextModel =
    TextModel { row: ProviderRow { names: &["azureOpenAI"], provider: "azure.ai.openai", ..OPENAI.row }, ..OPENAI };

pub(crate) const FIREWORKS: TextModel = TextModel {
    row: ProviderRow {
        names: &["fireworks"],
        provider: "fireworks",
        credential: ("fireworksApi", "fireworksApiKey"),
        address: "https://api.fireworks.ai/inference/v1",
        ..ProviderRow::PLAIN
    },
    model: Some("accounts/fireworks/models/llama-v2-13b"),
    dialect: TextDialect::Fireworks,
    ..PLAIN
};

pub(crate) const SAMBANOVA: TextModel = TextModel {
    row: ProviderRow {
        names: &["sambanova"],
        provider: "sambanova",
        credential: ("sambanovaApi", "sambanovaApiKey"),
        address: "https://api.sambanova.ai/v1",
        ..ProviderRow::PLAIN
    },
    ..PLAIN
};

pub(crate) const TOGETHER: TextModel = TextModel {
    row: ProviderRow {
        names: &["togetherAI"],
        provider: "together",
        credential: ("togetherAIApi", "togetherAIApiKey"),
        address: "https://api.together.xyz",
        ..ProviderRow::PLAIN
    },
    path: "/inference",
    dialect: TextDialect::Together,
    ..PLAIN
};

pub(crate) const COHERE: TextModel = TextModel {
    row: ProviderRow {
        names: &["cohere"],
        provider: "cohere",
        credential: ("cohereApi", "cohereApiKey"),
        address: "https://api.cohere.com",
        ..ProviderRow::PLAIN
    },
    path: "/v1/generate",
    model: Some("command"),
    dialect: TextDialect::Cohere,
};

pub(crate) const HUGGING_FACE: TextModel = TextModel {
    row: ProviderRow {
        names: &["huggingFaceInference_LLMs"],
        provider: "huggingface",
        credential: ("huggingFaceApi", "huggingFaceApiKey"),
        address: "https://router.huggingface.co",
        address_input: "endpoint",
        model_input: "model",
    },
    model: Some("gpt2"),
    dialect: TextDialect::HuggingFace,
    ..PLAIN
};

pub(crate) const OLLAMA: TextModel = TextModel {
    row: ProviderRow {
        names: &["ollama"],
        provider: "ollama",
        address: ollama::ADDRESS,
        address_input: "baseUrl",
        ..ProviderRow::PLAIN
    },
    path: "/api/generate",
    model: Some("llama3"),
    dialect: TextDialect::Ollama,
};

const PLAIN: TextModel =
    TextModel { row: ProviderRow::PLAIN, path: "/completions", model: None, dialect: TextDialect::OpenAi };

impl NodeKind for TextModel {
    fn names(&self) -> &'static [&'static str] {
        self.row.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.text(self.row.model_input).map(|model| model.trim().to_owned());
        let model = model.or_else(|| self.model.map(str::to_owned));
        if model.is_none() {
            inputs.lacks(self.row.model_input);
        }
        if self.dialect == TextDialect::OpenAi && model.as_deref().is_some_and(is_chat_model) {
            inputs.refuse(self.row.model_input, "it is a model for chats: Flowise wants its chat model's node for it");
        }
        let place = self.place(inputs, model.as_deref().unwrap_or_default());
        let streams = match self.dialect {
            TextDialect::OpenAi if self.row.names == SAMBANOVA.row.names => false,
            TextDialect::OpenAi => inputs.streams(),
            TextDialect::Together => inputs.flag("streaming").unwrap_or(false),
            TextDialect::Ollama => true,
            TextDialect::Fireworks | TextDialect::Cohere | TextDialect::HuggingFace => false,
        };
        let fields = self.fields(inputs, model.as_deref().unwrap_or_default());
        // How many prompts go into one request; there is one.
        inputs.ignore(&["batchSize"]);
        let model = model?;
        let (ModelAddress { endpoint, headers, missing, provider }, path) = place?;
        if let Some(credential) = missing {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential })));
        }
        let dialect = self.dialect;
        Some(Part::Model(Arc::new(Continuing { endpoint, path, headers, model, provider, fields, dialect, streams })))
    }
}

/// As `OpenAI`'s library tells them by their names.
fn is_chat_model(model: &str) -> bool {
    ["gpt-3.5-turbo", "gpt-4", "o1"].iter().any(|name| model.starts_with(name)) && !model.contains("-instruct")
}

impl TextModel {
    /// With the path.
    fn place(&self, inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Option<(ModelAddress, String)> {
        let provider = self.row.provider;
        if self.row.names == AZURE.row.names {
            let found = azure(inputs)?;
            return Some(if let Ok(Azure { endpoint, query, headers }) = found {
                (ModelAddress { endpoint, headers, missing: None, provider }, format!("{}{query}", self.path))
            } else {
                let endpoint = connection::endpoint_at(inputs, "basepath", self.row.address)?;
                let missing = Some(AZURE_CREDENTIAL);
                (ModelAddress { endpoint, headers: Headers::new(), missing, provider }, String::new())
            });
        }
        if self.row.names == OPENAI.row.names {
            return Some((ModelAddress::of_openai(inputs)?, self.path.to_owned()));
        }
        let own = self.row.own_address(inputs);
        let (headers, missing) = match self.row.headers(inputs) {
            Ok(headers) => (headers, None),
            Err(credential) => (Headers::new(), Some(credential)),
        };
        let path = match (self.dialect, &own) {
            (TextDialect::HuggingFace, None) => {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
                if !model.chars().all(fits) || model.contains("..") {
                    inputs.refuse(self.row.model_input, "it cannot stand in an address");
                    return None;
                }
                format!("/hf-inference/models/{model}/v1/completions")
            }
            (TextDialect::HuggingFace, Some(own)) => match own.trim().trim_end_matches('/') {
                own if own.ends_with("/completions") => String::new(),
                own if own.ends_with("/v1") => "/completions".to_owned(),
                _ => "/v1/completions".to_owned(),
            },
            _ => self.path.to_owned(),
        };
        let endpoint = self.row.endpoint(inputs, own.as_deref())?;
        Some((ModelAddress { endpoint, headers, missing, provider }, path))
    }

    /// What goes into each request beside the prompt.
    fn fields(&self, inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
        let names: &[(&str, &str)] = match self.dialect {
            TextDialect::OpenAi if self.row.names == SAMBANOVA.row.names => &[],
            TextDialect::OpenAi => &[
                ("temperature", "temperature"),
                ("maxTokens", "max_tokens"),
                ("topP", "top_p"),
                ("frequencyPenalty", "frequency_penalty"),
                ("presencePenalty", "presence_penalty"),
                ("bestOf", "best_of"),
            ],
            TextDialect::Fireworks => &[],
            TextDialect::Together => &[
                ("temperature", "temperature"),
                ("maxTokens", "max_tokens"),
                ("topP", "top_p"),
                ("topK", "top_k"),
                ("repeatPenalty", "repetition_penalty"),
            ],
            TextDialect::Cohere => &[("temperature", "temperature"), ("maxTokens", "max_tokens")],
            TextDialect::HuggingFace => &[
                ("temperature", "temperature"),
                ("maxTokens", "max_tokens"),
                ("topP", "top_p"),
                ("hfTopK", "top_k"),
                ("frequencyPenalty", "repetition_penalty"),
            ],
            TextDialect::Ollama => ollama::OPTIONS,
        };
        let mut set = Map::new();
        for (input, field) in names {
            // Of Ollama a zero counts, such as of GPUs.
            let counts = |value: &f64| *value != 0.0 || matches!(*input, "temperature" | "numGpu");
            if let Some(value) = inputs.number(input).filter(counts) {
                set.insert((*field).to_owned(), number(value));
            }
        }
        let stop: Vec<String> = match self.dialect {
            TextDialect::Together | TextDialect::Ollama => inputs.text("stop").unwrap_or_default(),
            _ => String::new(),
        }
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
        if !stop.is_empty() {
            set.insert("stop".to_owned(), stop.into());
        }
        let of = |value: Value| value.as_object().cloned().unwrap_or_default();
        match self.dialect {
            TextDialect::OpenAi | TextDialect::Fireworks => {
                set.extend(of(json!({ "model": model, "n": 1 })));
                set
            }
            TextDialect::Together => {
                let mut fields = of(
                    json!({ "model": model, "temperature": 0.7, "top_k": 50, "top_p": 0.7, "repetition_penalty": 1 }),
                );
                fields.extend(set);
                fields
            }
            TextDialect::Cohere => {
                let mut fields = of(json!({ "model": model, "max_tokens": 250, "temperature": 0 }));
                fields.extend(set);
                fields
            }
            TextDialect::HuggingFace => {
                // A model of one's own is called by its address.
                let own = inputs.text(self.row.address_input);
                let mut fields = of(json!({ "model": own.as_deref().unwrap_or(model), "return_full_text": false }));
                fields.extend(set);
                fields
            }
            TextDialect::Ollama => of(json!({ "model": model, "options": set })),
        }
    }
}

/// One model at one address.
#[derive(Debug)]
struct Continuing {
    endpoint: ProviderEndpoint,
    path: String,
    headers: Headers,
    model: String,
    provider: &'static str,
    fields: Map<String, Value>,
    dialect: TextDialect,
    streams: bool,
}

impl ChatModel for Continuing {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let prompt = prompt_of(ask.messages);
            let mut body = self.fields.clone();
            let own = match self.dialect {
                TextDialect::OpenAi => json!({ "prompt": [prompt], "stream": self.streams }),
                TextDialect::Fireworks | TextDialect::Cohere => json!({ "prompt": prompt, "stream": false }),
                TextDialect::HuggingFace => json!({ "prompt": prompt }),
                TextDialect::Together => json!({ "prompt": prompt, "stream_tokens": self.streams }),
                TextDialect::Ollama => json!({ "prompt": prompt, "stream": true }),
            };
            body.extend(own.as_object().cloned().unwrap_or_default());
            let incoming = self.endpoint.post(&self.path, &self.headers, body, run).await?;
            let framing = match self.dialect {
                TextDialect::Ollama => AnswerFraming::Lines,
                _ if self.streams => AnswerFraming::Events,
                _ => AnswerFraming::Whole,
            };
            gathered(incoming, framing, Continuation::new(framing), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        self.provider
    }
}

/// The messages as one text, the way `LangChain` writes a chat for models that take none. A single message of the
/// user's is what a prompt template made: that is the text.
pub(super) fn prompt_of(messages: &[Message]) -> String {
    if let [Message { role: Role::User, content, .. }] = messages {
        return text_of(content);
    }
    let line = |message: &Message| {
        let speaker = match message.role {
            Role::System | Role::Developer => "System",
            Role::User => "Human",
            Role::Assistant => "AI",
            Role::Tool => "Tool",
        };
        format!("{speaker}: {}", text_of(&message.content))
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn text_of(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Pieces(pieces) => {
            let texts = pieces.iter().filter_map(|piece| match piece {
                ContentPart::Text(text) => Some(text.as_str()),
                ContentPart::Image(_) => None,
            });
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}
