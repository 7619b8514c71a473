//! White space of HTML, as it is shown.

use super::super::html::{HtmlNode, HtmlNodeKind, Tree};
use super::nodes::NodeClass;

/// Runs of white space become one space; none at the edges of blocks.
pub(super) fn collapse(tree: &mut Tree, kinds: &[NodeClass]) {
    let mut order = Vec::new();
    in_order(tree, 0, &mut order);
    let mut last_text: Option<usize> = None;
    let mut keeps_leading = false;
    for at in order {
        let class = kinds.get(at).copied().unwrap_or_default();
        if class == NodeClass::Text {
            let ends_in_space = match last_text {
                Some(last) => text_at(tree, last).is_some_and(|text| text.ends_with(' ')),
                None => true,
            };
            let Some(text) = text_at(tree, at) else { continue };
            *text = collapsed(text);
            if ends_in_space && !keeps_leading && text.starts_with(' ') {
                text.remove(0);
            }
            if !text.is_empty() {
                last_text = Some(at);
            }
        } else if matches!(class, NodeClass::Block | NodeClass::Break) {
            trim_end(tree, last_text.take());
            keeps_leading = false;
        } else if class == NodeClass::Void {
            (last_text, keeps_leading) = (None, true);
        } else if last_text.is_some() {
            keeps_leading = false;
        }
    }
    trim_end(tree, last_text);
    let is_gone = |node: &HtmlNode| matches!(&node.kind, HtmlNodeKind::Text(text) if text.is_empty());
    let gone: Vec<bool> = tree.nodes.iter().map(is_gone).collect();
    for node in &mut tree.nodes {
        node.children.retain(|&child| !gone.get(child).copied().unwrap_or_default());
    }
}

/// Nodes before their children, as each is met; and blocks once more behind them. What is preformatted stays as it is.
fn in_order(tree: &Tree, at: usize, order: &mut Vec<usize>) {
    let Some(node) = tree.node(at) else { return };
    for &child in &node.children {
        order.push(child);
        if tree.node(child).is_some_and(|node| node.name() != "pre" && !node.children.is_empty()) {
            in_order(tree, child, order);
            order.push(child);
        }
    }
}

fn text_at(tree: &mut Tree, at: usize) -> Option<&mut String> {
    match &mut tree.nodes.get_mut(at)?.kind {
        HtmlNodeKind::Text(text) => Some(text),
        HtmlNodeKind::Element { .. } => None,
    }
}

fn trim_end(tree: &mut Tree, at: Option<usize>) {
    if let Some(text) = at.and_then(|at| text_at(tree, at)).filter(|text| text.ends_with(' ')) {
        text.pop();
    }
}

fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if !matches!(letter, ' ' | '\r' | '\n' | '\t') {
            out.push(letter);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}
