//! Reads HTML as Flowise's editor writes it, forgiving of everything else.
//!
//! Pages of the web are read as browsers read them (`engine/documents/html`), which moves what stands in the wrong place:
//! here it stays where its author put it, and texts are changed in place.

use crate::engine::text::blocks::BLOCKS;

/// A tree of elements and texts; the root is the first.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<HtmlNode>,
}

#[derive(Debug)]
pub(super) struct HtmlNode {
    pub(super) kind: HtmlNodeKind,
    pub(super) parent: usize,
    pub(super) children: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum HtmlNodeKind {
    /// Its name in lower case.
    Element {
        name: String,
        attributes: Vec<(String, String)>,
    },
    Text(String),
}

/// Elements nested deeper than this stay at this depth: each is written on the stack of the one around it, and copied by
/// it.
const DEEPEST: usize = 32;
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

pub(super) fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

pub(super) fn is_void(name: &str) -> bool {
    VOID.contains(&name)
}

impl HtmlNode {
    /// Empty: a text.
    pub(super) fn name(&self) -> &str {
        match &self.kind {
            HtmlNodeKind::Element { name, .. } => name,
            HtmlNodeKind::Text(_) => "",
        }
    }

    pub(super) fn attribute(&self, wanted: &str) -> Option<&str> {
        match &self.kind {
            HtmlNodeKind::Element { attributes, .. } => {
                attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
            }
            HtmlNodeKind::Text(_) => None,
        }
    }
}

impl Tree {
    pub(super) fn parse(text: &str) -> Self {
        let root = HtmlNodeKind::Element { name: "x-root".to_owned(), attributes: Vec::new() };
        let mut tree = Self { nodes: vec![HtmlNode { kind: root, parent: 0, children: Vec::new() }] };
        let mut open = vec![0];
        let mut rest = text;
        while !rest.is_empty() {
            rest = match rest.find('<') {
                Some(0) => tree.markup(rest, &mut open),
                at => {
                    let (plain, after) = rest.split_at(at.unwrap_or(rest.len()));
                    tree.text(&htmlize::unescape(plain), &open);
                    after
                }
            };
        }
        tree
    }

    pub(super) fn node(&self, at: usize) -> Option<&HtmlNode> {
        self.nodes.get(at)
    }

    /// All text below a node.
    pub(super) fn text_of(&self, at: usize) -> String {
        let mut out = String::new();
        self.collect(at, &mut out);
        out
    }

    fn collect(&self, at: usize, out: &mut String) {
        let Some(node) = self.node(at) else { return };
        if let HtmlNodeKind::Text(text) = &node.kind {
            out.push_str(text);
        }
        for &child in &node.children {
            self.collect(child, out);
        }
    }

    fn push(&mut self, kind: HtmlNodeKind, open: &[usize]) -> usize {
        let (parent, at) = (open.last().copied().unwrap_or(0), self.nodes.len());
        self.nodes.push(HtmlNode { kind, parent, children: Vec::new() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(at);
        }
        at
    }

    fn text(&mut self, text: &str, open: &[usize]) {
        let last = open.last().and_then(|&at| self.nodes.get(at)).and_then(|node| node.children.last().copied());
        if let Some(HtmlNodeKind::Text(before)) = last.and_then(|at| self.nodes.get_mut(at)).map(|node| &mut node.kind)
        {
            before.push_str(text);
        } else {
            self.push(HtmlNodeKind::Text(text.to_owned()), open);
        }
    }

    /// A tag, a comment, or a `<` that is only that; what comes after it.
    fn markup<'t>(&mut self, rest: &'t str, open: &mut Vec<usize>) -> &'t str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.split_once("-->").map_or("", |(_, after)| after);
        }
        if let Some(end) = rest.strip_prefix("</").filter(|end| end.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let Some((name, after)) = end.split_once('>') else { return "" };
            let name = name.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            self.close(&name, open);
            return after;
        }
        let inside = rest.get(1..).unwrap_or_default();
        if inside.starts_with(['!', '?', '/']) {
            return inside.split_once('>').map_or("", |(_, after)| after);
        }
        if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.text("<", open);
            return inside;
        }
        let (name, attributes, closes_itself, after) = tag(inside);
        self.close_before(&name, open);
        let is_void = is_void(&name);
        let at = self.push(HtmlNodeKind::Element { name, attributes }, open);
        if !is_void && !closes_itself && open.len() < DEEPEST {
            open.push(at);
        }
        after
    }

    fn name(&self, at: usize) -> &str {
        self.node(at).map_or("", HtmlNode::name)
    }

    fn close(&self, name: &str, open: &mut Vec<usize>) {
        if let Some(at) = open.iter().rposition(|&at| self.name(at) == name).filter(|&at| at > 0) {
            open.truncate(at);
        }
    }

    /// A block ends the paragraph before it, and an item the item before it.
    fn close_before(&self, name: &str, open: &mut Vec<usize>) {
        let ends = match name {
            "li" => "li",
            name if is_block(name) => "p",
            _ => return,
        };
        let barrier = |name: &str| matches!(name, "ul" | "ol" | "table" | "td" | "th");
        let within = open.iter().rposition(|&at| barrier(self.name(at))).map_or(0, |at| at + 1);
        if let Some(at) = open.iter().rposition(|&at| self.name(at) == ends).filter(|&at| at >= within && at > 0) {
            open.truncate(at);
        }
    }
}

/// Name, attributes, whether it closes itself, and what comes after a tag; `<` is gone.
fn tag(inside: &str) -> (String, Vec<(String, String)>, bool, &str) {
    let end = inside.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/')).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(end);
    let mut attributes = Vec::new();
    let mut closes_itself = false;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return (name.to_ascii_lowercase(), attributes, closes_itself, after);
        }
        if let Some(after) = rest.strip_prefix('/') {
            (closes_itself, rest) = (true, after);
            continue;
        }
        if rest.is_empty() {
            return (name.to_ascii_lowercase(), attributes, closes_itself, "");
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '=')).unwrap_or(rest.len());
        let (attribute, after) = rest.split_at(end.max(usize::from(rest.starts_with('='))));
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(after) => value(after.trim_start()),
            None => ("", after),
        };
        attributes.push((attribute.to_ascii_lowercase(), htmlize::unescape_attribute(value).into_owned()));
        rest = after;
    }
}

fn value(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inside) = rest.strip_prefix(quote) {
            return inside.split_once(quote).unwrap_or((inside, ""));
        }
    }
    rest.split_at(rest.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(rest.len()))
}
