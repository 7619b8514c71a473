//! What the engine cannot run, said where it stands in the flow.

use std::borrow::Cow;
use std::fmt;

use super::export::ExportNode;
use crate::unprintable::is_unprintable;

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

    pub(crate) fn of_node(node: &ExportNode, input: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            node: node.id.clone(),
            label: node.data.label.clone(),
            kind: node.data.name.clone(),
            input: input.map(str::to_owned),
            message: message.into(),
        }
    }

    /// For where the node is named already.
    pub(crate) fn at_node(&self) -> AtNode<'_> {
        AtNode(self)
    }
}

impl fmt::Display for NodeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kind.is_empty() {
            // One that its author gave no name has its id.
            let label = if self.label.trim().is_empty() { &self.node } else { &self.label };
            write!(f, "node \"{}\" ({})", printable(label), printable(&self.kind))?;
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
            write!(f, "input {}: ", printable(input))?;
        }
        f.write_str(&printable(&self.0.message))
    }
}

/// Letters of a label, an input or an excerpt that are shown.
const MOST_SHOWN: usize = 400;

/// A text of an author's as it may stand in a line of a terminal or a log: without line breaks, control codes, and marks
/// that turn the direction or take no place.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST_SHOWN && !text.contains(is_unprintable) {
        return text.into();
    }
    let mut shown = String::new();
    for letter in text.chars().take(MOST_SHOWN) {
        match letter {
            letter if !is_unprintable(letter) => shown.push(letter),
            // Several in a row are one place.
            _ if shown.ends_with(' ') => {}
            _ => shown.push(' '),
        }
    }
    shown.truncate(shown.trim_end().len());
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authors_write_stays_in_its_line() {
        assert_eq!(printable("a\r\n\tb\u{1b}[31mc\u{202e}d"), "a b [31mc d");
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), MOST_SHOWN + 1);
        assert_eq!((printable("Füße 😀"), printable("\n")), ("Füße 😀".into(), "".into()));
    }
}
