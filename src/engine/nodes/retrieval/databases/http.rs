//! A database's HTTP interface.

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::Headers;
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::wire::json;

/// Where a database listens, and what every request has.
#[derive(Debug, Clone)]
pub(super) struct HttpApi {
    pub(super) endpoint: ProviderEndpoint,
    pub(super) headers: Headers,
}

impl HttpApi {
    pub(super) async fn get(&self, path: &str, run: &Run<'_>) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None, run).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body.to_string()), run).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        self.ask(Method::PUT, path, Some(body.to_string()), run).await
    }

    /// The answer; a body is JSON, unless the headers say what else.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let mut headers = self.headers.clone();
        if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let body = body.unwrap_or_default().into_bytes().into();
        let incoming = self.endpoint.send(ProviderCall { method, path, headers: &headers, body }, run).await?;
        let answer = incoming.whole().await?;
        if answer.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        json::read_answer(&answer).map_err(|_| unreadable())
    }
}

pub(super) fn unreadable() -> Failure {
    Failure::Unreachable("The database's answer cannot be read.".to_owned())
}

/// The address that a flow names. It leads to the open internet, or where `allow_networks` says.
pub(super) fn endpoint(inputs: &mut Inputs<'_, '_, '_>, input: &str, address: &str) -> Option<ProviderEndpoint> {
    if address.contains(['?', '#']) {
        inputs.refuse(input, "expected an address without a query");
        return None;
    }
    let endpoint = inputs.compiler.context.targets.outward(address, None);
    let endpoint = endpoint.map_err(|error| inputs.refuse(input, error)).ok()?;
    inputs.look_at(&endpoint);
    Some(endpoint)
}

/// The address that a credential names, which whoever runs the gateway chose.
pub(super) fn endpoint_of_operator(inputs: &mut Inputs<'_, '_, '_>, address: &str) -> Option<ProviderEndpoint> {
    if address.contains(['?', '#']) {
        inputs.refuse("credential", "expected an address without a query");
        return None;
    }
    let endpoint = inputs.compiler.context.targets.endpoint(address, None);
    endpoint.map_err(|error| inputs.refuse("credential", error)).ok()
}

/// A name of the author's as one segment of a path.
pub(super) fn segment(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Option<String> {
    let name = inputs.required_text(input)?.trim().to_owned();
    if name.is_empty() {
        inputs.lacks(input);
        return None;
    }
    if matches!(&*name, "." | "..") {
        inputs.refuse(input, "it cannot stand in an address");
        return None;
    }
    Some(crate::engine::text::percent::component(&name))
}
