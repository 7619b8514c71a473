//! Who asks watsonx.ai: with a key that a token is got for, or with a token.

use std::sync::Arc;

use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::models::tokens::TokenSource;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::percent::component;

pub(crate) const CREDENTIAL: &str = "ibmWatsonx";
const TOKENS: &str = "https://iam.cloud.ibm.com";

/// Where it is, and how one is let in.
#[derive(Debug, Clone)]
pub(crate) struct WatsonxAccess {
    pub(crate) endpoint: ProviderEndpoint,
    pub(crate) project: String,
    /// Behind every path.
    pub(crate) query: String,
    auth: WatsonxAuth,
}

#[derive(Debug, Clone)]
enum WatsonxAuth {
    Token(Headers),
    Key(Secret, Arc<TokenSource>),
}

impl WatsonxAccess {
    /// `None`: fields of the credential are missing, and noted so. `tokens`: who gives tokens, if it is not IBM.
    pub(crate) fn read(inputs: &mut Inputs<'_, '_, '_>, tokens: Option<&str>) -> Option<Self> {
        let version = connection::wanted(inputs, CREDENTIAL, "version");
        let address = connection::wanted(inputs, CREDENTIAL, "serviceUrl");
        let project = connection::wanted(inputs, CREDENTIAL, "projectId");
        let kind = connection::optional(inputs, CREDENTIAL, "watsonxAIAuthType");
        let auth = if kind.is_some_and(|kind| kind.expose() == "bearertoken") {
            let token = connection::wanted(inputs, CREDENTIAL, "watsonxAIBearerToken")?;
            WatsonxAuth::Token(connection::bearer(inputs, Some(&token)))
        } else {
            let key = connection::wanted(inputs, CREDENTIAL, "watsonxAIApikey")?;
            let endpoint = connection::endpoint_at(inputs, "credential", tokens.unwrap_or(TOKENS))?;
            WatsonxAuth::Key(key, Arc::new(TokenSource::new(endpoint, "/identity/token")))
        };
        let endpoint = connection::endpoint_at(inputs, "credential", address?.expose())?;
        let query = format!("?version={}", component(version?.expose()));
        Some(Self { endpoint, project: project?.expose().to_owned(), query, auth })
    }

    /// The header that lets in.
    pub(crate) async fn headers(&self, run: &Run<'_>) -> Result<Headers, Failure> {
        match &self.auth {
            WatsonxAuth::Token(headers) => Ok(headers.clone()),
            WatsonxAuth::Key(key, giver) => {
                let form = || {
                    let grant = "urn:ibm:params:oauth:grant-type:apikey".to_owned();
                    let key = key.expose().to_owned();
                    Ok(vec![("apikey", key), ("grant_type", grant), ("response_type", "cloud_iam".to_owned())])
                };
                giver.headers(form, run).await
            }
        }
    }
}
