//! The node `promptLangFuse`: a prompt whose words lie with `LangFuse`, and are fetched for each run.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::AUTHORIZATION;
use serde_json::Value;

use super::{prompt_values, without_strays};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::prompt::{Form, Prompt, PromptSource};
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::percent::component;
use crate::engine::text::template::{Template, counted};
use crate::wire::json;

const ADDRESS: &str = "https://cloud.langfuse.com";
const CREDENTIAL: &str = "langfuseApi";

pub(super) struct LangFusePrompt {
    /// For tests, the input with an address.
    pub(super) address_input: &'static str,
}

impl NodeKind for LangFusePrompt {
    fn names(&self) -> &'static [&'static str] {
        &["promptLangFuse"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("template").map(|name| name.trim().to_owned());
        let given = prompt_values::read(inputs, "promptValues");
        let public = connection::wanted(inputs, CREDENTIAL, "langFusePublicKey");
        let secret = connection::wanted(inputs, CREDENTIAL, "langFuseSecretKey");
        let address = connection::optional(inputs, CREDENTIAL, "langFuseEndpoint");
        let own = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let address = own.as_deref().or(address.as_ref().map(|address| address.expose().trim_end_matches('/')));
        let endpoint = connection::endpoint_at(inputs, "credential", address.unwrap_or(ADDRESS));
        let reached = match (public, secret) {
            (Some(public), Some(secret)) => {
                let keys = STANDARD.encode(format!("{}:{}", public.expose(), secret.expose()));
                Some((endpoint?, connection::header(inputs, AUTHORIZATION, &format!("Basic {keys}"))))
            }
            _ => None,
        };
        let words = Arc::new(LangFuse { name: name?, reached });
        Some(Part::Prompt(Arc::new(Prompt {
            turns: Vec::new(),
            names: Vec::new(),
            given,
            form: Form::Plain,
            earlier: None,
            elsewhere: Some(words),
        })))
    }
}

#[derive(Debug)]
struct LangFuse {
    /// Of the prompt.
    name: String,
    /// `None`: the credential is not configured.
    reached: Option<(ProviderEndpoint, Headers)>,
}

impl PromptSource for LangFuse {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, (Template, Vec<String>)> {
        Box::pin(async move {
            let (endpoint, headers) = self.reached.as_ref().ok_or_else(|| connection::no_credential(CREDENTIAL))?;
            let path = format!("/api/public/v2/prompts/{}", component(&self.name));
            let call = ProviderCall { method: Method::GET, path: &path, headers, body: Vec::new().into() };
            let answer = endpoint.send(call, run).await?.whole().await?;
            let unreadable = |_| Failure::Unreachable("LangFuse's answer cannot be read.".to_owned());
            let answer: Value = json::read_answer(&answer).map_err(unreadable)?;
            let Some(text) = answer.get("prompt").and_then(Value::as_str) else {
                return Err(Failure::flow("What LangFuse has under this name is no text prompt."));
            };
            read(text).map_err(Failure::flow)
        })
    }
}

/// What stands there, as a template in the form of the other prompts.
fn read(text: &str) -> Result<(Template, Vec<String>), String> {
    let text = in_single_braces(&with_literal_json(text));
    let template = Template::parse_plain(&text)?.without_known();
    let names = counted(&text);
    without_strays(&template, &names)?;
    Ok((template, names))
}

/// Braces before a quotation mark are JSON, no place: they are doubled, with those that end them.
fn with_literal_json(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    let mut open: Vec<bool> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(before);
        let (brace, left) = after.split_at(1);
        if let Some(left) = left.strip_prefix(brace) {
            literal.push_str(brace);
            literal.push_str(brace);
            rest = left;
            continue;
        }
        let is_json = if brace == "{" {
            let is_json = left.trim_start().starts_with(['\'', '"']);
            open.push(is_json);
            is_json
        } else {
            open.pop().unwrap_or(false)
        };
        literal.push_str(if is_json { brace } else { "" });
        literal.push_str(brace);
        rest = left;
    }
    literal + rest
}

/// Its places, `{{name}}`, as those of the others are.
fn in_single_braces(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.find("{{").and_then(|at| rest.split_at_checked(at)) {
        single.push_str(before);
        let is_named = |name: &str| {
            !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
        };
        single.push('{');
        let place = after.get(2..).and_then(|after| after.split_once("}}")).filter(|(name, _)| is_named(name));
        rest = if let Some((name, left)) = place {
            single.push_str(name);
            single.push('}');
            left
        } else {
            after.get(1..).unwrap_or_default()
        };
    }
    single + rest
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::engine::models::lab::{self, CREDENTIALS, HERE};

    const LANGFUSE: LangFusePrompt = LangFusePrompt { address_input: "here" };

    fn rendered(text: &str, values: &Value) -> Result<String, String> {
        let values = values.as_object().cloned().unwrap_or_else(Map::new);
        read(text)?.0.render(&values)
    }

    #[test]
    fn places_are_what_stands_in_two_braces_and_json_is_text() {
        let values = json!({ "name": "Ada" });
        assert_eq!(rendered("Hi {{name}}!", &values).unwrap(), "Hi Ada!");
        assert_eq!(rendered("{ \"a\": {\"b\": \"{{name}}\"} }", &values).unwrap(), "{ \"a\": {\"b\": \"Ada\"} }");
        assert_eq!(rendered("{{a b}} {{{name}}}", &values).unwrap(), "{a b} {name}");
        assert_eq!(rendered("{{$vars.key}}", &values).unwrap(), "{$vars.key}");
        assert!(read("{ 'a': 1 } {").is_err());
    }

    #[tokio::test]
    async fn words_are_fetched_by_the_prompts_name() {
        let credential = json!({ "langFusePublicKey": "p", "langFuseSecretKey": "s" });
        let config = json!({ "here": HERE, "template": "kettle help", CREDENTIALS: { "langfuseApi": credential } });
        let answers =
            [json!({ "type": "text", "prompt": "About {{topic}}." }), json!({ "prompt": [{ "role": "user" }] })];
        let (received, [text, chat]) = lab::at_provider(config, &answers, async |config, run| {
            let prompt = lab::built(&LANGFUSE, config, false).unwrap().into_prompt().unwrap();
            [prompt.read(run).await, prompt.read(run).await]
        })
        .await;
        assert_eq!(received[0].line, "GET /api/public/v2/prompts/kettle%20help HTTP/1.1");
        assert_eq!(received[0].headers["authorization"], "Basic cDpz");
        assert_eq!(text.unwrap().names, ["topic"]);
        assert!(chat.unwrap_err().to_string().contains("no text prompt"));
    }
}
