//! Servers over HTTP: each request by a session of its own, as Flowise does it, so that no server mixes up whom it
//! answers.

mod events;
mod session;

use aws_lc_rs::digest::{Context, SHA256};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use self::session::RemoteSession;
use super::listed;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::contract::servers::ListedTool;
use crate::engine::provider::address::Address;
use crate::engine::text::mustache::Mustache;
use crate::engine::text::percent::located;

/// A server as a flow's author names it, with places for values.
#[derive(Debug)]
pub(crate) struct RemoteServer {
    pub(crate) address: Address,
    pub(crate) headers: Vec<(HeaderName, Mustache)>,
}

impl RemoteServer {
    /// For this request, with further headers.
    ///
    /// # Errors
    /// A value would lead elsewhere, or cannot stand in a header.
    pub(crate) fn place(
        &self,
        further: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        run: &Run<'_>,
    ) -> Result<RemoteTarget<'_>, Failure> {
        let path = located(&self.address.path.address(run).map_err(Failure::flow)?);
        let header = |(name, value): &(HeaderName, Mustache)| {
            let mut value = value.header(name, run).map_err(Failure::flow)?;
            value.set_sensitive(true);
            Ok((name.clone(), value))
        };
        let mut headers = self.headers.iter().map(header).collect::<Result<Vec<_>, Failure>>()?;
        headers.extend(further);
        Ok(RemoteTarget { address: &self.address, path, headers })
    }
}

/// Where a request goes, and with what.
#[derive(Debug)]
pub(crate) struct RemoteTarget<'a> {
    address: &'a Address,
    /// With its query.
    path: String,
    /// All of them may hold secrets.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl RemoteTarget<'_> {
    /// The same for the same place, with the same headers.
    pub(super) fn key(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut add = |text: &[u8]| {
            context.update(&text.len().to_be_bytes());
            context.update(text);
        };
        add(self.address.origin.as_bytes());
        add(self.path.as_bytes());
        for (name, value) in &self.headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        context.finish().as_ref().try_into().unwrap_or_default()
    }

    pub(super) async fn list(&self, run: &Run<'_>) -> Result<Vec<ListedTool>, Failure> {
        let listing = async {
            let mut session = RemoteSession::open(self, run).await?;
            listed::all_pages(async |params| session.request("tools/list", &params).await, run).await
        };
        listing.await.map_err(|failure| self.without_secrets(failure))
    }

    pub(super) async fn call(&self, params: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let calling = async {
            let mut session = RemoteSession::open(self, run).await?;
            session.request("tools/call", &params).await
        };
        calling.await.map_err(|failure| self.without_secrets(failure))
    }

    fn without_secrets(&self, failure: Failure) -> Failure {
        let secrets: Vec<_> = self.headers.iter().map(|(_, value)| value.clone()).collect();
        failure.without(&secrets)
    }
}
