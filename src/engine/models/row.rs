//! What tables of providers say of each: how its node is called, and where it is reached with which key.

use super::connection::{self, Headers};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::provider::ProviderEndpoint;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProviderRow {
    pub(super) names: &'static [&'static str],
    pub(super) provider: &'static str,
    /// Its name and the field with the key; empty: there is none.
    pub(super) credential: (&'static str, &'static str),
    /// Empty: the node must say.
    pub(super) address: &'static str,
    /// The input with an address, where the node has one; empty: none.
    pub(super) address_input: &'static str,
    pub(super) model_input: &'static str,
}

impl ProviderRow {
    /// Most have a key, and one address.
    pub(super) const PLAIN: Self = Self {
        names: &[],
        provider: "",
        credential: ("", ""),
        address: "",
        address_input: "",
        model_input: "modelName",
    };

    /// The address that the node says.
    pub(super) fn own_address(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<String> {
        if self.address_input.is_empty() { None } else { inputs.text(self.address_input) }
    }

    /// Headers with the key; or the credential that is wanted and not there.
    pub(super) fn headers(&self, inputs: &mut Inputs<'_, '_, '_>) -> Result<Headers, &'static str> {
        let (credential, field) = self.credential;
        let key: Option<Secret> =
            if credential.is_empty() { None } else { connection::wanted(inputs, credential, field) };
        if key.is_none() && !credential.is_empty() {
            return Err(credential);
        }
        Ok(connection::bearer(inputs, key.as_ref()))
    }

    /// At the node's address or the provider's; what is wrong with it is told to the inputs.
    pub(super) fn endpoint(&self, inputs: &mut Inputs<'_, '_, '_>, own: Option<&str>) -> Option<ProviderEndpoint> {
        if own.is_none() && self.address.is_empty() {
            inputs.lacks(self.address_input);
            return None;
        }
        let input = if self.address_input.is_empty() { self.model_input } else { self.address_input };
        connection::endpoint_at(inputs, input, own.unwrap_or(self.address))
    }
}
