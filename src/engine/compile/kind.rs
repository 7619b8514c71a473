//! Kinds of nodes: what each is called, and how a node of it is built.

use super::inputs::Inputs;
use super::part::Part;

/// A kind of node.
pub(crate) trait NodeKind: Sync {
    /// Flowise's names of it, such as `chatOpenAI`.
    fn names(&self) -> &'static [&'static str];

    /// Makes the part; what is wrong is told to the inputs.
    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part>;
}

/// All kinds of nodes of the first generation, handed down by whoever knows them.
#[derive(Clone, Copy)]
pub(crate) struct NodeKinds {
    /// All but the models.
    pub(crate) families: &'static [&'static [&'static dyn NodeKind]],
    pub(crate) models: &'static [&'static dyn NodeKind],
}

impl NodeKinds {
    /// The kind of that name.
    pub(crate) fn find(self, name: &str) -> Option<&'static dyn NodeKind> {
        let all = self.families.iter().copied().chain([self.models]).flatten();
        all.copied().find(|kind| kind.names().contains(&name))
    }

    /// Names of all of them, those of one kind together.
    #[cfg(test)]
    pub(crate) fn names(self) -> impl Iterator<Item = &'static [&'static str]> {
        let all = self.families.iter().copied().chain([self.models]).flatten();
        all.map(|kind| kind.names())
    }

    /// The kind of chat model of that name.
    pub(crate) fn model(self, name: &str) -> Option<&'static dyn NodeKind> {
        self.models.iter().copied().find(|kind| kind.names().contains(&name))
    }
}
