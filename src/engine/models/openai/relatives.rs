//! Nodes of further providers that speak as OpenAI does.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::settings::Settings;
use super::{ModelAddress, OpenAiModel};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::models::connection::{self, ModelWithoutCredential};

/// A provider and its node.
#[derive(Debug)]
pub(crate) struct Relative {
    names: &'static [&'static str],
    /// OpenTelemetry's name of it.
    provider: &'static str,
    /// Its name and the field with the key.
    credential: (&'static str, &'static str),
    /// `None`: the node must say where it is.
    address: Option<&'static str>,
    /// The input with an address, where the node has one.
    address_input: &'static str,
    /// Whether Flowise has a library of its own for it, which tells what the model thinks.
    tells_thoughts: bool,
    /// What else differs, beside what all the nodes have.
    differs: fn(&mut Inputs<'_, '_, '_>, &mut Map<String, Value>),
}

pub(crate) const GROQ: Relative = Relative {
    names: &["groqChat"],
    provider: "groq",
    credential: ("groqApi", "groqApiKey"),
    address: Some("https://api.groq.com/openai/v1"),
    address_input: "",
    tells_thoughts: true,
    differs: |_, fields| {
        // As its own library sends them.
        fields.insert("stop".to_owned(), json!([]));
        if let Some(most) = fields.remove("max_tokens") {
            fields.insert("max_completion_tokens".to_owned(), most);
        }
    },
};

pub(crate) const DEEPSEEK: Relative = Relative {
    names: &["chatDeepseek"],
    provider: "deepseek",
    credential: ("deepseekApi", "deepseekApiKey"),
    address: Some("https://api.deepseek.com"),
    address_input: "",
    tells_thoughts: true,
    differs: |inputs, fields| {
        if inputs.flag("thinking") == Some(true) {
            fields.insert("thinking".to_owned(), json!({ "type": "enabled" }));
        }
    },
};

pub(crate) const OPEN_ROUTER: Relative = Relative {
    names: &["chatOpenRouter"],
    provider: "openrouter",
    credential: ("openRouterApi", "openRouterApiKey"),
    address: Some("https://openrouter.ai/api/v1"),
    address_input: "basepath",
    tells_thoughts: false,
    differs: |_, _| {},
};

pub(crate) const LITELLM: Relative = Relative {
    names: &["chatLitellm"],
    provider: "litellm",
    credential: ("litellmApi", "litellmApiKey"),
    address: None,
    address_input: "basePath",
    tells_thoughts: false,
    differs: |_, _| {},
};

impl NodeKind for Relative {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let place = self.place(inputs);
        let settings = Settings::read(inputs);
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        let mut fields = settings.of_completions(model.as_deref().unwrap_or_default());
        (self.differs)(inputs, &mut fields);
        let model = model?;
        let ModelAddress { endpoint, headers, missing, provider } = place?;
        if let Some(credential) = missing {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential })));
        }
        let style = settings.style(&model);
        let (path, tells_thoughts) = ("/chat/completions".into(), self.tells_thoughts);
        Some(Part::Model(Arc::new(OpenAiModel {
            endpoint,
            path,
            headers,
            model,
            provider,
            fields,
            style,
            sees_images,
            tells_thoughts,
        })))
    }
}

impl Relative {
    fn place(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<ModelAddress> {
        let (credential, field) = self.credential;
        let is_elsewhere = !self.address_input.is_empty() && inputs.has(self.address_input);
        let (key, missing) = if is_elsewhere {
            (connection::optional(inputs, credential, field), None)
        } else {
            let key = connection::wanted(inputs, credential, field);
            let missing = key.is_none().then_some(credential);
            (key, missing)
        };
        let headers = connection::bearer(inputs, key.as_ref());
        let headers = connection::with_base_options(inputs, headers);
        let endpoint = match self.address {
            Some(address) if !is_elsewhere => connection::endpoint_at(inputs, "modelName", address),
            Some(address) => connection::endpoint(inputs, self.address_input, address),
            None if is_elsewhere => connection::endpoint(inputs, self.address_input, ""),
            None => {
                inputs.refuse(self.address_input, "an address is required");
                None
            }
        };
        Some(ModelAddress { endpoint: endpoint?, headers, missing, provider: self.provider })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::model::ModelRequest;
    use crate::engine::models::lab::{HERE, asked, built, problems};

    #[tokio::test]
    async fn requests_go_where_the_node_says() {
        let answer = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
        let inputs = json!({ "modelName": "openai/gpt-4o", "basepath": format!("{HERE}/v1"), "maxTokens": 9,
            "streaming": false, "allowImageUploads": true });
        let asked = asked(&OPEN_ROUTER, inputs, ModelRequest::of(&[]), 200, answer).await;
        assert_eq!(asked.received.line, "POST /v1/chat/completions HTTP/1.1");
        let body = json!({ "model": "openai/gpt-4o", "max_tokens": 9, "stream": false, "messages": [] });
        assert_eq!(asked.received.body, body);
        assert_eq!(asked.answered.unwrap().text, "Hi");
    }

    #[tokio::test]
    async fn each_has_its_ways() {
        let answer = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
        let inputs = json!({ "modelName": "m", "basepath": HERE, "maxTokens": 5, "streaming": false });
        let groq = Relative { address_input: "basepath", ..GROQ };
        let body = asked(&groq, inputs.clone(), ModelRequest::of(&[]), 200, answer).await.received.body;
        let expected = json!({ "model": "m", "stop": [], "max_completion_tokens": 5, "stream": false, "messages": [] });
        assert_eq!(body, expected);
        let deepseek = Relative { address_input: "basepath", ..DEEPSEEK };
        let mut inputs = inputs;
        inputs["thinking"] = true.into();
        let body = asked(&deepseek, inputs, ModelRequest::of(&[]), 200, answer).await.received.body;
        assert_eq!((&body["thinking"], &body["max_tokens"]), (&json!({ "type": "enabled" }), &json!(5)));
    }

    #[test]
    fn without_a_credential_or_an_address_nothing_is_sent() {
        for kind in [&GROQ, &DEEPSEEK, &OPEN_ROUTER] {
            let model = built(kind, json!({ "modelName": "m" }), false).unwrap().into_model().unwrap();
            assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
        }
        assert!(problems(&LITELLM, json!({ "modelName": "m" }))[0].contains("input basePath"));
        assert!(problems(&GROQ, json!({ "modelName": "m", "cache": "{{x.data.instance}}" }))[0].contains("cache"));
    }
}
