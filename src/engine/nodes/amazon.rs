//! Services of Amazon's that take and give JSON.

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::no_credential;
use crate::engine::provider::amazon::{AmazonCall, AmazonKeys, signature};
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::wire::json;

/// A service in a region, and who asks.
#[derive(Debug)]
pub(super) struct AmazonService {
    endpoint: ProviderEndpoint,
    host: String,
    service: &'static str,
    region: String,
    credential: &'static str,
    /// `None`: the credential is not configured.
    keys: Option<AmazonKeys>,
}

/// Where a service's credential has its keys.
pub(super) struct KeyFields {
    pub(super) credential: &'static str,
    pub(super) id: &'static str,
    pub(super) secret: &'static str,
    pub(super) token: &'static str,
}

impl AmazonService {
    /// `host`: before the region; `service`: what is signed for.
    pub(super) fn read(
        inputs: &mut Inputs<'_, '_, '_>,
        (host, service): (&str, &'static str),
        fields: &KeyFields,
    ) -> Option<Self> {
        let region = inputs.text("region").unwrap_or_else(|| "us-east-1".to_owned());
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            inputs.refuse("region", "expected a region such as us-east-1");
            return None;
        }
        let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let host = format!("{host}.{region}.{end}");
        inputs.ignore(&["credential", "FLOWISE_CREDENTIAL_ID"]);
        let KeyFields { credential, id, secret, token } = *fields;
        if inputs.optional_credential(credential, "roleArn").is_some() {
            inputs.refuse("credential", "the engine takes on no roles: give it keys");
        }
        let (id, secret) = (inputs.credential(credential, id), inputs.credential(credential, secret));
        let token = Some(token)
            .filter(|token| !token.is_empty())
            .and_then(|token| inputs.optional_credential(credential, token));
        let keys = id.zip(secret).map(|(id, secret)| AmazonKeys { id: id.expose().to_owned(), secret, token });
        let endpoint = inputs.compiler.context.targets.endpoint(&format!("https://{host}"), None);
        let endpoint = endpoint.map_err(|error| inputs.refuse("region", error)).ok()?;
        Some(Self { endpoint, host, service, region, credential, keys })
    }

    /// Sends JSON; `target`: the operation, of services that have one address for all.
    pub(super) async fn ask(
        &self,
        path: &str,
        target: Option<&'static str>,
        body: &Value,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let keys = self.keys.as_ref().ok_or_else(|| no_credential(self.credential))?;
        let body = body.to_string().into_bytes();
        let kind = if target.is_some() { "application/x-amz-json-1.0" } else { "application/json" };
        let mut more = vec![(CONTENT_TYPE, HeaderValue::from_static(kind))];
        let named = target.map(|target| (HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target)));
        more.extend(named);
        let Self { host, service, region, .. } = self;
        let call = AmazonCall { service, region, method: &Method::POST, host, path, more: &more, body: &body };
        let signature = signature(&call, keys, Timestamp::now());
        let mut headers = signature.ok_or_else(|| Failure::flow("the keys of the credential cannot be sent"))?;
        headers.extend(more);
        let call = ProviderCall { method: Method::POST, path, headers: &headers, body: body.into() };
        let answer = self.endpoint.send(call, run).await?.whole().await?;
        json::read(&answer).map_err(|_| Failure::Unreachable("The answer of the service cannot be read.".to_owned()))
    }
}
