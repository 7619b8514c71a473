//! Settings that a node cannot do without. Where one is empty the flow is loaded all the same: it is noted as what the
//! node needs, and the node, with whatever refers to it, fails when a question comes to it. What nobody has connected is
//! no setting: such a drawing is not finished, and is refused.

use std::sync::Arc;

use serde_json::Value;

use super::Inputs;
use crate::engine::compile::context::Need;
use crate::engine::compile::part::Part;
use crate::engine::compile::unset::{Unset, UnsetField};
use crate::engine::provider::ProviderEndpoint;

impl Inputs<'_, '_, '_> {
    /// Notes that nothing stands in an input that the node cannot do without.
    pub(crate) fn lacks(&mut self, name: &str) {
        let field = self.field(name);
        self.wants(field);
    }

    /// Notes that nothing is connected to an input where the node cannot do without `wanted`.
    pub(crate) fn lacks_connection(&mut self, name: &str, wanted: &'static str) {
        let field = UnsetField { wants: wanted, ..self.field(name) };
        self.wants(field);
    }

    /// Notes that nobody chose a file in an input; the node is made without.
    pub(crate) fn lacks_file(&mut self, name: &str) {
        let field = self.field(name);
        self.compiler.miss(self.node, Need::File { field, path: None });
    }

    /// An input as its author sees it.
    pub(crate) fn field(&self, name: &str) -> UnsetField {
        // A node that stands for another has its settings.
        let outer = self.compiler.export.node(&self.node.id).map(|node| &node.data);
        let params = self.node.data.input_params.iter().chain(outer.into_iter().flat_map(|outer| &outer.input_params));
        let param = params.into_iter().find(|param| param.name == name);
        let label = param.map(|param| param.label.clone()).unwrap_or_default();
        let is_inside = param.is_none() && outer.is_some_and(|outer| outer.name != self.node.data.name);
        let inside = if is_inside { self.node.data.name.clone() } else { String::new() };
        UnsetField { input: name.to_owned(), label, inside, wants: "" }
    }

    fn wants(&mut self, field: UnsetField) {
        self.ignore(&[&field.input]);
        self.lacking.insert(field.input.clone());
        self.compiler.miss(self.node, Need::Setting(field.clone()));
        let label = if self.node.data.label.trim().is_empty() { &self.node.id } else { &self.node.data.label };
        self.be_unset(Arc::new(Unset { label: label.clone(), field }));
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        if !self.has(name) {
            self.lacks(name);
        }
        self.text(name)
    }

    /// An address that cannot be read. One that is none at all, such as `...`, is what its author left to whoever takes
    /// the flow.
    pub(crate) fn refuse_address(&mut self, name: &str, written: &str, error: impl Into<String>) {
        let is_own = self.values.get(name).and_then(Value::as_str).is_some_and(|own| own.trim() == written.trim());
        if !is_own || written.contains("://") || written.contains("{{") {
            self.refuse(name, error);
        } else {
            self.lacks(name);
        }
    }

    /// Notes it if the endpoint is one that may not be called.
    pub(crate) fn look_at(&mut self, endpoint: &ProviderEndpoint) {
        if let Some(host) = endpoint.denied() {
            self.compiler.miss(self.node, Need::Network { host: host.to_owned() });
        }
    }

    /// The part that a node becomes.
    pub(crate) fn part_of(&mut self, id: &str) -> Option<Part> {
        let part = self.compiler.part(id);
        self.made(part)
    }

    /// As [`part_of`](Self::part_of), of a node that an input leads to.
    pub(super) fn part_at(&mut self, name: &str, id: &str) -> Option<Part> {
        let part = self.compiler.part(id);
        if matches!(part, Some(Part::Unset(_))) {
            self.lacking.insert(name.to_owned());
        }
        self.made(part)
    }

    /// Whether the node cannot be made, which is said already.
    pub(crate) fn is_unset(&self) -> bool {
        self.unset.is_some()
    }

    /// See [`is_unset`](Self::is_unset); the reason.
    pub(crate) fn take_unset(&mut self) -> Option<Arc<Unset>> {
        self.unset.take()
    }

    /// A part that this one needs.
    pub(crate) fn made(&mut self, part: Option<Part>) -> Option<Part> {
        match part? {
            Part::Unset(unset) => {
                self.be_unset(unset);
                None
            }
            part => Some(part),
        }
    }

    fn be_unset(&mut self, unset: Arc<Unset>) {
        self.unset.get_or_insert(unset);
    }
}
