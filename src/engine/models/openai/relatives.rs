//! Nodes of further providers that speak as OpenAI does.

use serde_json::{Map, Value, json};

use super::request::Style;
use super::settings::Settings;
use super::{ChosenModel, ModelAddress};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::models::connection;

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
    /// The input with the model's name.
    model_input: &'static str,
    /// Whether the node works without a key.
    is_open: bool,
    /// Whether a stream is asked to count tokens.
    counts: bool,
    /// Whether Flowise has a library of its own for it, which tells what the model thinks.
    tells_thoughts: bool,
    /// What else differs, beside what all the nodes have.
    differs: fn(&mut Inputs<'_, '_, '_>, &mut Map<String, Value>),
}

const PLAIN: Relative = Relative {
    names: &[],
    provider: "other",
    credential: ("", ""),
    address: None,
    address_input: "",
    model_input: "modelName",
    is_open: false,
    counts: true,
    tells_thoughts: false,
    differs: |_, _| {},
};

pub(crate) const GROQ: Relative = Relative {
    names: &["groqChat"],
    provider: "groq",
    credential: ("groqApi", "groqApiKey"),
    address: Some("https://api.groq.com/openai/v1"),
    tells_thoughts: true,
    differs: |_, fields| {
        // As its own library sends them.
        fields.insert("stop".to_owned(), json!([]));
        if let Some(most) = fields.remove("max_tokens") {
            fields.insert("max_completion_tokens".to_owned(), most);
        }
    },
    ..PLAIN
};

pub(crate) const DEEPSEEK: Relative = Relative {
    names: &["chatDeepseek"],
    provider: "deepseek",
    credential: ("deepseekApi", "deepseekApiKey"),
    address: Some("https://api.deepseek.com"),
    tells_thoughts: true,
    differs: |inputs, fields| {
        if inputs.flag("thinking") == Some(true) {
            fields.insert("thinking".to_owned(), json!({ "type": "enabled" }));
        }
    },
    ..PLAIN
};

pub(crate) const OPEN_ROUTER: Relative = Relative {
    names: &["chatOpenRouter"],
    provider: "openrouter",
    credential: ("openRouterApi", "openRouterApiKey"),
    address: Some("https://openrouter.ai/api/v1"),
    address_input: "basepath",
    ..PLAIN
};

pub(crate) const LITELLM: Relative = Relative {
    names: &["chatLitellm"],
    provider: "litellm",
    credential: ("litellmApi", "litellmApiKey"),
    address_input: "basePath",
    ..PLAIN
};

pub(crate) const FIREWORKS: Relative = Relative {
    names: &["chatFireworks"],
    provider: "fireworks",
    credential: ("fireworksApi", "fireworksApiKey"),
    address: Some("https://api.fireworks.ai/inference/v1"),
    counts: false,
    ..PLAIN
};

pub(crate) const TOGETHER: Relative = Relative {
    names: &["chatTogetherAI"],
    provider: "together",
    credential: ("togetherAIApi", "togetherAIApiKey"),
    address: Some("https://api.together.xyz/v1"),
    ..PLAIN
};

pub(crate) const XAI: Relative = Relative {
    names: &["chatXAI"],
    provider: "x_ai",
    credential: ("xaiApi", "xaiApiKey"),
    address: Some("https://api.x.ai/v1"),
    tells_thoughts: true,
    ..PLAIN
};

pub(crate) const CEREBRAS: Relative = Relative {
    names: &["chatCerebras"],
    provider: "cerebras",
    credential: ("cerebrasAIApi", "cerebrasApiKey"),
    address: Some("https://api.cerebras.ai/v1"),
    address_input: "basepath",
    ..PLAIN
};

pub(crate) const COMET: Relative = Relative {
    names: &["chatCometAPI"],
    provider: "cometapi",
    credential: ("cometApi", "cometApiKey"),
    address: Some("https://api.cometapi.com/v1"),
    ..PLAIN
};

/// Flowise's node goes to `OpenAI` where it names no address.
pub(crate) const SAMBANOVA: Relative = Relative {
    names: &["chatSambanova"],
    provider: "sambanova",
    credential: ("sambanovaApi", "sambanovaApiKey"),
    address: Some("https://api.sambanova.ai/v1"),
    address_input: "basepath",
    ..PLAIN
};

pub(crate) const NVIDIA: Relative = Relative {
    names: &["chatNvidiaNIM"],
    provider: "nvidia",
    credential: ("nvidiaNIMApi", "nvidiaNIMApiKey"),
    address_input: "basePath",
    is_open: true,
    ..PLAIN
};

pub(crate) const PERPLEXITY: Relative = Relative {
    names: &["chatPerplexity"],
    provider: "perplexity",
    credential: ("perplexityApi", "perplexityApiKey"),
    address: Some("https://api.perplexity.ai"),
    model_input: "model",
    counts: false,
    differs: |inputs, fields| {
        // Flowise only warns of it.
        inputs.ignore(&["proxyUrl"]);
        for (input, field) in
            [("returnImages", "return_images"), ("returnRelatedQuestions", "return_related_questions")]
        {
            if inputs.flag(input) == Some(true) {
                fields.insert(field.to_owned(), true.into());
            }
        }
        if let Some(most) = inputs.integer("topK").filter(|most| *most > 0) {
            fields.insert("top_k".to_owned(), most.into());
        }
        if let Some(recency) = inputs.text("searchRecencyFilter") {
            fields.insert("search_recency_filter".to_owned(), recency.into());
        }
        if let Some(domains) = inputs.json("searchDomainFilter") {
            fields.insert("search_domain_filter".to_owned(), domains);
        }
    },
    ..PLAIN
};

impl NodeKind for Relative {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_named(inputs, self.model_input);
        let place = self.place(inputs);
        let settings = Settings::read(inputs);
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        let mut fields = settings.of_completions(model.as_deref().unwrap_or_default());
        (self.differs)(inputs, &mut fields);
        let model = model?;
        let style = Style { counts: self.counts, ..settings.style(&model) };
        let tells_thoughts = self.tells_thoughts;
        Some(place?.completions("", ChosenModel { model, fields, style, sees_images, tells_thoughts }))
    }
}

impl Relative {
    fn place(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<ModelAddress> {
        let (credential, field) = self.credential;
        let is_elsewhere = !self.address_input.is_empty() && inputs.has(self.address_input);
        let (key, missing) = if is_elsewhere || self.is_open {
            (connection::optional(inputs, credential, field), None)
        } else {
            let key = connection::wanted(inputs, credential, field);
            let missing = key.is_none().then_some(credential);
            (key, missing)
        };
        let headers = connection::bearer(inputs, key.as_ref());
        let headers = connection::with_base_options(inputs, headers);
        let endpoint = match self.address {
            Some(address) if !is_elsewhere => connection::endpoint_at(inputs, self.model_input, address),
            Some(address) => connection::endpoint(inputs, self.address_input, address),
            None if is_elsewhere => connection::endpoint(inputs, self.address_input, ""),
            None => {
                inputs.lacks(self.address_input);
                inputs.ignore(&["timeout"]);
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
    use crate::engine::models::lab::{HERE, asked, built, needs, problems};

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

    #[tokio::test]
    async fn some_are_not_asked_to_count_and_some_have_further_fields() {
        let answer = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n";
        let fireworks = Relative { address_input: "basepath", ..FIREWORKS };
        let inputs = json!({ "modelName": "accounts/f/m", "basepath": HERE, "temperature": 0.9 });
        let seen = asked(&fireworks, inputs, ModelRequest::of(&[]), 200, answer).await;
        let body = json!({ "model": "accounts/f/m", "temperature": 0.9, "stream": true, "messages": [] });
        assert_eq!((seen.received.body, seen.answered.unwrap().text), (body, "Hi".to_owned()));

        let perplexity = Relative { address_input: "basepath", ..PERPLEXITY };
        let inputs = json!({ "model": "sonar", "basepath": HERE, "topK": "3", "returnImages": true,
            "returnRelatedQuestions": false, "searchDomainFilter": "[\"a.com\"]", "searchRecencyFilter": "day" });
        let body = asked(&perplexity, inputs, ModelRequest::of(&[]), 200, answer).await.received.body;
        let expected = json!({ "model": "sonar", "top_k": 3, "return_images": true, "stream": true, "messages": [],
            "search_domain_filter": ["a.com"], "search_recency_filter": "day" });
        assert_eq!(body, expected);

        let together = Relative { address_input: "basepath", ..TOGETHER };
        let inputs = json!({ "modelName": "m", "basepath": HERE });
        let body = asked(&together, inputs, ModelRequest::of(&[]), 200, answer).await.received.body;
        assert_eq!(body["stream_options"], json!({ "include_usage": true }));
    }

    #[test]
    fn without_a_credential_or_an_address_nothing_is_sent() {
        let kinds =
            [&GROQ, &DEEPSEEK, &OPEN_ROUTER, &FIREWORKS, &TOGETHER, &XAI, &CEREBRAS, &COMET, &SAMBANOVA, &PERPLEXITY];
        for kind in kinds {
            let model = built(kind, json!({ kind.model_input: "m" }), false).unwrap().into_model().unwrap();
            assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
        }
        for kind in [&LITELLM, &NVIDIA] {
            assert!(needs(kind, json!({ "modelName": "m" })).contains(&"basePath".to_owned()));
        }
        assert!(
            problems(&GROQ, json!({ "modelName": "m", "cache": "{{x.data.instance}}" }))[0]
                .contains("a node x that is not in it")
        );
    }
}
