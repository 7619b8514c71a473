//! Chat models that take turns of text and nothing else, as a table.

mod answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value, json};

use super::completions::prompt_of;
use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered};
use super::openai::answer::Completion;
use super::row::ProviderRow;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;
use crate::engine::provider::ProviderEndpoint;
use answer::PlainReply;

/// A provider and its node.
#[derive(Debug)]
pub(crate) struct PlainKind {
    row: ProviderRow,
    dialect: PlainDialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainDialect {
    Cloudflare,
    HuggingFace,
    Nemo,
    Tongyi,
}

pub(crate) const CLOUDFLARE: PlainKind = PlainKind {
    row: ProviderRow {
        names: &["chatCloudflareWorkersAI"],
        provider: "cloudflare",
        credential: ("cloudflareApi", "cloudflareApiToken"),
        address: "https://api.cloudflare.com",
        address_input: "baseUrl",
        model_input: "model",
    },
    dialect: PlainDialect::Cloudflare,
};

pub(crate) const HUGGING_FACE: PlainKind = PlainKind {
    row: ProviderRow {
        names: &["chatHuggingFace"],
        provider: "huggingface",
        credential: ("huggingFaceApi", "huggingFaceApiKey"),
        address: "https://router.huggingface.co",
        address_input: "endpoint",
        model_input: "model",
    },
    dialect: PlainDialect::HuggingFace,
};

pub(crate) const NEMO: PlainKind = PlainKind {
    row: ProviderRow {
        names: &["chatNemoGuardrails"],
        provider: "nvidia",
        credential: ("", ""),
        address: "",
        address_input: "baseUrl",
        model_input: "configurationId",
    },
    dialect: PlainDialect::Nemo,
};

pub(crate) const TONGYI: PlainKind = PlainKind {
    row: ProviderRow {
        names: &["chatAlibabaTongyi"],
        provider: "alibaba",
        credential: ("AlibabaApi", "alibabaApiKey"),
        address: "https://dashscope.aliyuncs.com",
        address_input: "",
        model_input: "modelName",
    },
    dialect: PlainDialect::Tongyi,
};

impl NodeKind for PlainKind {
    fn names(&self) -> &'static [&'static str] {
        self.row.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_named(inputs, self.row.model_input);
        let headers = self.row.headers(inputs);
        let place = self.place(inputs, model.as_deref().unwrap_or_default());
        let (fields, streams) = self.fields(inputs, model.as_deref().unwrap_or_default());
        let (model, (endpoint, path)) = (model?, place?);
        let mut headers = match headers {
            Ok(headers) => headers,
            Err(credential) => return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential }))),
        };
        if self.dialect == PlainDialect::Tongyi && streams == Some(true) {
            headers.push((ACCEPT, HeaderValue::from_static("text/event-stream")));
        }
        let (provider, dialect) = (self.row.provider, self.dialect);
        Some(Part::Model(Arc::new(PlainModel { endpoint, path, headers, model, provider, fields, dialect, streams })))
    }
}

impl PlainKind {
    /// Where requests go, with the path.
    fn place(&self, inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Option<(ProviderEndpoint, String)> {
        let own = self.row.own_address(inputs);
        let path = match self.dialect {
            PlainDialect::Cloudflare => {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || "@-_./".contains(letter);
                if !model.chars().all(fits) || model.contains("..") {
                    inputs.refuse(self.row.model_input, "it cannot stand in an address");
                    return None;
                }
                let account = connection::wanted(inputs, self.row.credential.0, "cloudflareAccountId");
                let account = account.map(|account| crate::engine::text::percent::component(account.expose()));
                match own {
                    Some(_) => format!("/{model}"),
                    None => format!("/client/v4/accounts/{}/ai/run/{model}", account.unwrap_or_default()),
                }
            }
            PlainDialect::HuggingFace | PlainDialect::Nemo => "/v1/chat/completions".to_owned(),
            PlainDialect::Tongyi => "/api/v1/services/aigc/text-generation/generation".to_owned(),
        };
        // The router finds a model's provider by itself; an address of one's own does not go with it.
        let is_router = |own: &str| {
            model.contains(':') || own.contains("/v1/chat/completions") || own.contains("router.huggingface.co")
        };
        let own = own.filter(|own| self.dialect != PlainDialect::HuggingFace || !is_router(own));
        let of_endpoint = own.as_deref().filter(|_| self.dialect == PlainDialect::HuggingFace);
        let path = match of_endpoint.map(|own| own.trim_end_matches('/')) {
            Some(own) if own.ends_with("/v1") => "/chat/completions".to_owned(),
            Some(own) if own.ends_with("/chat/completions") => String::new(),
            _ => path,
        };
        Some((self.row.endpoint(inputs, own.as_deref())?, path))
    }

    /// What goes into each request beside the messages; and whether it is answered in pieces, if the node says so.
    fn fields(&self, inputs: &mut Inputs<'_, '_, '_>, model: &str) -> (Map<String, Value>, Option<bool>) {
        let mut fields = Map::new();
        match self.dialect {
            PlainDialect::Cloudflare => (fields, None),
            PlainDialect::Nemo => {
                fields.insert("config_id".to_owned(), model.into());
                (fields, Some(false))
            }
            PlainDialect::HuggingFace => {
                fields.insert("model".to_owned(), model.into());
                for (input, field) in [("temperature", "temperature"), ("maxTokens", "max_tokens")] {
                    fields.extend(inputs.number(input).map(|value| (field.to_owned(), number(value))));
                }
                if let Some(words) = inputs.text("stop") {
                    fields.insert("stop".to_owned(), words.split(',').collect());
                }
                for (input, field) in
                    [("topP", "top_p"), ("hfTopK", "top_k"), ("frequencyPenalty", "frequency_penalty")]
                {
                    let value = inputs.number(input).filter(|value| *value != 0.0);
                    fields.extend(value.map(|value| (field.to_owned(), number(value))));
                }
                (fields, None)
            }
            PlainDialect::Tongyi => {
                let streams = inputs.streams();
                let mut parameters = Map::new();
                parameters.insert("stream".to_owned(), streams.into());
                let warmth = inputs.number("temperature");
                parameters.extend(warmth.map(|value| ("temperature".to_owned(), number(value))));
                parameters.insert("result_format".to_owned(), "text".into());
                if streams {
                    parameters.insert("incremental_output".to_owned(), true.into());
                }
                fields.insert("model".to_owned(), model.into());
                fields.insert("parameters".to_owned(), parameters.into());
                (fields, Some(streams))
            }
        }
    }
}

/// One model at one address.
#[derive(Debug)]
struct PlainModel {
    endpoint: ProviderEndpoint,
    path: String,
    headers: Headers,
    model: String,
    provider: &'static str,
    fields: Map<String, Value>,
    dialect: PlainDialect,
    /// `None`: where its pieces are told to somebody.
    streams: Option<bool>,
}

impl PlainModel {
    fn body(&self, ask: ModelRequest<'_>, streams: bool) -> Value {
        let mut body = self.fields.clone();
        let turns = || ask.messages.iter().map(|turn| self.turn(turn)).collect::<Value>();
        match self.dialect {
            PlainDialect::Cloudflare | PlainDialect::Nemo => {
                body.insert("messages".to_owned(), turns());
            }
            // One text, whatever was said before.
            PlainDialect::HuggingFace => {
                let message = json!({ "role": "user", "content": prompt_of(ask.messages) });
                body.insert("messages".to_owned(), json!([message]));
                if !ask.stop.is_empty() {
                    body.insert("stop".to_owned(), json!(ask.stop));
                }
            }
            PlainDialect::Tongyi => {
                body.insert("input".to_owned(), json!({ "messages": turns() }));
            }
        }
        if streams && matches!(self.dialect, PlainDialect::Cloudflare | PlainDialect::HuggingFace) {
            body.insert("stream".to_owned(), true.into());
        }
        body.into()
    }

    fn turn(&self, turn: &Message) -> Value {
        let role = match turn.role {
            // There is no system there.
            Role::System | Role::Developer if self.dialect == PlainDialect::Nemo => "user",
            Role::System | Role::Developer => "system",
            Role::Tool if self.dialect == PlainDialect::Nemo => "assistant",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": turn.content.plain() })
    }
}

impl ChatModel for PlainModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let streams = self.streams.unwrap_or_else(|| ask.tokens.is_some_and(Sink::streams));
            let incoming = self.endpoint.post(&self.path, &self.headers, self.body(ask, streams), run).await?;
            let framing = if streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            if self.dialect == PlainDialect::HuggingFace {
                return gathered(incoming, framing, Completion::new("huggingface", streams), ask).await;
            }
            gathered(incoming, framing, PlainReply::new(streams), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        self.provider
    }
}
