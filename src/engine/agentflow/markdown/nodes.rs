//! What is known of a text's nodes before they are written: each is looked at once.

use super::super::html::{HtmlNodeKind, Tree, is_block, is_void};

/// Elements that mean something without a text.
const MEANINGFUL: &[&str] =
    &["a", "table", "thead", "tbody", "tfoot", "th", "td", "iframe", "script", "audio", "video"];

/// What a node is to those around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NodeClass {
    #[default]
    Text,
    Block,
    Break,
    Void,
    Inline,
}

impl NodeClass {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "" => Self::Text,
            "br" => Self::Break,
            name if is_block(name) => Self::Block,
            name if is_void(name) => Self::Void,
            _ => Self::Inline,
        }
    }
}

/// Which nodes say nothing. Children stand behind their parents, so each is looked at once.
pub(super) fn blanks(tree: &Tree) -> Vec<bool> {
    let mut blanks = vec![true; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        let is_blank = match &node.kind {
            HtmlNodeKind::Text(text) => text.trim().is_empty(),
            HtmlNodeKind::Element { name, .. } => {
                let is_void = is_void(name) || MEANINGFUL.contains(&&**name);
                !is_void && node.children.iter().all(|&child| blanks.get(child).copied().unwrap_or(true))
            }
        };
        if let Some(blank) = blanks.get_mut(at) {
            *blank = is_blank;
        }
    }
    blanks
}

/// Where a node stands in its parent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NodePosition {
    pub(super) among_children: usize,
    /// Texts left out.
    pub(super) among_elements: usize,
    pub(super) is_last_element: bool,
}

impl NodePosition {
    /// Of every node.
    pub(super) fn all(tree: &Tree) -> Vec<Self> {
        let mut places = vec![Self::default(); tree.nodes.len()];
        for node in &tree.nodes {
            let mut elements = 0;
            let mut last = None;
            for (among_children, &child) in node.children.iter().enumerate() {
                if let Some(place) = places.get_mut(child) {
                    *place = Self { among_children, among_elements: elements, is_last_element: false };
                }
                if tree.node(child).is_some_and(|child| !child.name().is_empty()) {
                    elements += 1;
                    last = Some(child);
                }
            }
            if let Some(place) = last.and_then(|last| places.get_mut(last)) {
                place.is_last_element = true;
            }
        }
        places
    }
}
