//! What the engine cannot run, said where it stands in the flow.

use std::fmt;

/// One obstacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeProblem {
    /// The node's id; empty: of the flow as a whole.
    pub(crate) node: String,
    /// What its author calls it.
    pub(crate) label: String,
    /// The node's kind, such as `chatOpenAI`.
    pub(crate) kind: String,
    pub(crate) input: Option<String>,
    pub(crate) message: String,
}

impl NodeProblem {
    /// Of the flow as a whole.
    pub(crate) fn of_flow(message: impl Into<String>) -> Self {
        let (node, label, kind) = (String::new(), String::new(), String::new());
        Self { node, label, kind, input: None, message: message.into() }
    }

    /// For where the node is named already.
    pub(crate) fn at_node(&self) -> AtNode<'_> {
        AtNode(self)
    }
}

impl fmt::Display for NodeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kind.is_empty() {
            write!(f, "node \"{}\" ({})", self.label, self.kind)?;
            f.write_str(if self.input.is_some() { ", " } else { ": " })?;
        }
        self.at_node().fmt(f)
    }
}

/// See [`NodeProblem::at_node`].
pub(crate) struct AtNode<'a>(&'a NodeProblem);

impl fmt::Display for AtNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(input) = &self.0.input {
            write!(f, "input {input}: ")?;
        }
        f.write_str(&self.0.message)
    }
}
