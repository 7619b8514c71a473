//! What nodes of all providers say about how a provider is reached, read from their inputs.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::Value;

use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::header::secret_header;

/// Headers of every request.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Inputs that say which credential is meant.
const CREDENTIAL_INPUTS: &[&str] = &["credential", "credentialId", "FLOWISE_CREDENTIAL_ID"];

const SHORTEST_SECRET: usize = 8;

/// For the first byte of an answer, where a node says nothing: models think, and are loaded first. As OpenAI's library.
const FIRST_BYTE: Duration = Duration::from_mins(10);

/// The address in an input, or the provider's own.
pub(crate) fn endpoint(inputs: &mut Inputs<'_, '_, '_>, input: &str, otherwise: &str) -> Option<ProviderEndpoint> {
    let mut address = inputs.text(input).unwrap_or_else(|| otherwise.to_owned());
    // `localhost:11434`, where the provider's own is one without TLS.
    if otherwise.starts_with("http://") && !address.contains("://") {
        address = format!("http://{}", address.trim());
    }
    endpoint_at(inputs, input, &address)
}

/// What is wrong with the address is told of the input. The node's `timeout`, in milliseconds, is for the first byte.
/// Paths are put behind addresses, so none may have a query.
pub(crate) fn endpoint_at(inputs: &mut Inputs<'_, '_, '_>, input: &str, address: &str) -> Option<ProviderEndpoint> {
    let timeout = inputs.integer("timeout").filter(|timeout| *timeout > 0).map_or(FIRST_BYTE, Duration::from_millis);
    if address.contains(['?', '#']) {
        inputs.refuse(input, "expected an address without a query");
        return None;
    }
    let endpoint = inputs.compiler.context.targets.endpoint(address, Some(timeout));
    endpoint.map_err(|error| inputs.refuse_address(input, address, error)).ok()
}

/// A field of a credential that the provider wants; noted as missing if it is not configured.
pub(crate) fn wanted(inputs: &mut Inputs<'_, '_, '_>, credential: &str, field: &str) -> Option<Secret> {
    inputs.ignore(CREDENTIAL_INPUTS);
    inputs.credential(credential, field)
}

/// A field of a credential that may be left out.
pub(crate) fn optional(inputs: &mut Inputs<'_, '_, '_>, credential: &str, field: &str) -> Option<Secret> {
    inputs.ignore(CREDENTIAL_INPUTS);
    inputs.optional_credential(credential, field)
}

/// A header with a secret; one that cannot stand in a header is refused.
pub(crate) fn header(inputs: &mut Inputs<'_, '_, '_>, name: HeaderName, text: &str) -> Headers {
    match secret_header(text) {
        Ok(value) => vec![(name, value)],
        Err(error) => {
            inputs.refuse("credential", error);
            Headers::new()
        }
    }
}

pub(crate) fn bearer(inputs: &mut Inputs<'_, '_, '_>, key: Option<&Secret>) -> Headers {
    match key {
        Some(key) => header(inputs, AUTHORIZATION, &format!("Bearer {}", key.expose())),
        None => Headers::new(),
    }
}

/// `baseOptions` of Flowise: further headers, which win over the node's own.
pub(crate) fn with_base_options(inputs: &mut Inputs<'_, '_, '_>, mut headers: Headers) -> Headers {
    let options = match inputs.json("baseOptions") {
        Some(Value::Object(options)) => options,
        Some(_) => {
            inputs.refuse("baseOptions", "expected headers");
            return headers;
        }
        None => return headers,
    };
    for (name, value) in &options {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (name.parse::<HeaderName>(), secret_header(&value)) {
            (Ok(name), Ok(mut value)) => {
                // What is sensitive is struck out of errors, where a short word may mean something else.
                value.set_sensitive(value.len() >= SHORTEST_SECRET);
                headers.retain(|(other, _)| *other != name);
                headers.push((name, value));
            }
            _ => inputs.refuse("baseOptions", format!("{name} is no header")),
        }
    }
    headers
}

/// The model's name, which is required.
pub(crate) fn model_name(inputs: &mut Inputs<'_, '_, '_>) -> Option<String> {
    model_named(inputs, "modelName")
}

/// As [`model_name`], in that input.
pub(crate) fn model_named(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Option<String> {
    let model = inputs.text(input).map(|model| model.trim().to_owned());
    if model.is_none() {
        inputs.lacks(input);
    }
    model
}

/// A number as JavaScript writes it: whole ones without a fraction.
pub(crate) fn number(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    if number.fract() == 0.0 && number.abs() < 1e15 { (number as i64).into() } else { number.into() }
}

pub(crate) fn no_credential(credential: &str) -> Failure {
    Failure::flow(format!("The credential {credential} is not configured."))
}

/// Stands for a model whose credential is not configured: nothing is sent anywhere.
#[derive(Debug)]
pub(super) struct ModelWithoutCredential {
    pub(super) model: String,
    pub(super) credential: &'static str,
}

impl ChatModel for ModelWithoutCredential {
    fn chat<'a>(&'a self, _: ModelRequest<'a>, _: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async { Err(no_credential(self.credential)) })
    }

    fn name(&self) -> &str {
        &self.model
    }
}
