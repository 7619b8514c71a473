//! Where a service is, and what its calls are proved with.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

use super::jira;
use super::oauth::OAuthCredential;
use super::service::{OfficeService, ServiceAddress};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::provider::address::Address;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;

/// For the head of an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct Account {
    pub(super) service: &'static OfficeService,
    pub(super) endpoint: ProviderEndpoint,
    pub(super) origin: String,
    /// Of the path that its author gives.
    pub(super) above: Mustache,
    /// Behind it, before every path.
    pub(super) base: &'static str,
    pub(super) proof: ServiceProof,
}

#[derive(Debug)]
pub(super) enum ServiceProof {
    Token(OAuthCredential),
    Fixed(HeaderValue),
    /// The configuration has none.
    Missing,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("service", &self.service.names)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

impl Account {
    pub(super) fn read(service: &'static OfficeService, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        match service.place {
            ServiceAddress::Fixed { credential, origin, base, issuer } => {
                let proof = ServiceProof::Token(OAuthCredential::read(credential, issuer, inputs)?);
                let endpoint = inputs.compiler.context.targets.outward(origin, Some(PATIENCE));
                let endpoint = endpoint.map_err(|error| inputs.compiler.of_node(inputs.node, None, error)).ok()?;
                let above = Mustache::default();
                Some(Self { service, endpoint, origin: origin.to_owned(), above, base, proof })
            }
            ServiceAddress::Jira => {
                // It only shows a field that is refused by itself.
                inputs.ignore(&["enableSSL"]);
                let (proof, base) = jira::proof(inputs);
                if !inputs.has("jiraHost") {
                    inputs.lacks("jiraHost");
                }
                let host = inputs.mustache("jiraHost")?;
                let address = Address::read(&host, &inputs.compiler.context.targets, PATIENCE);
                let address =
                    address.map_err(|error| inputs.refuse_address("jiraHost", &host.written(), error)).ok()?;
                inputs.look_at(&address.endpoint);
                let Address { endpoint, origin, path } = address;
                Some(Self { service, endpoint, origin, above: path, base, proof })
            }
        }
    }

    /// What stands before every path.
    ///
    /// # Errors
    /// A value would lead elsewhere.
    pub(super) fn base(&self, run: &Run<'_>) -> Result<String, Failure> {
        let above = self.above.address(run).map_err(Failure::flow)?;
        Ok(format!("{}{}", above.trim_end_matches('/'), self.base))
    }

    /// # Errors
    /// There is none, or it cannot be renewed.
    pub(super) async fn proof(&self, run: &Run<'_>) -> Result<HeaderValue, Failure> {
        match &self.proof {
            ServiceProof::Fixed(proof) => Ok(proof.clone()),
            ServiceProof::Missing => {
                Err(Failure::flow("Invalid credentials: provide either Bearer Token or Username + Access Token"))
            }
            ServiceProof::Token(credential) => {
                let token = credential.token(run).await?;
                secret_header(&format!("Bearer {}", token.expose())).map_err(Failure::flow)
            }
        }
    }
}
