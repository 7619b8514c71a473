//! What a node proves itself with, from the configuration.

use super::Inputs;
use crate::config::Secret;

impl Inputs<'_, '_, '_> {
    pub(crate) fn credential(&mut self, name: &str, field: &str) -> Option<Secret> {
        let chosen = self.chosen_credential();
        self.compiler.credential(self.node, chosen.as_deref(), name, field)
    }

    /// The same of one that may be left out.
    pub(crate) fn optional_credential(&self, name: &str, field: &str) -> Option<Secret> {
        self.compiler.context.credential(self.chosen_credential().as_deref(), name, field)
    }

    /// A field of the very credential that the node's author chose.
    pub(crate) fn chosen_field(&self, field: &str) -> Option<Secret> {
        let found = self.compiler.context.credentials.get(&self.chosen_credential()?)?.get(field);
        found.filter(|secret| !secret.expose().is_empty()).cloned()
    }

    /// The id of the credential that the node's author chose. A node that stands in another's inputs has it in its own.
    fn chosen_credential(&self) -> Option<String> {
        let inside = ["FLOWISE_CREDENTIAL_ID", "credential"].iter().find_map(|input| self.values.get(*input)?.as_str());
        self.node.data.credential.as_deref().or(inside).map(str::to_owned)
    }
}
