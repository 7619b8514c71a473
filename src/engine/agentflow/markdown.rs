//! Texts of Flowise's editor are HTML; models are told Markdown, made as the library turndown makes it with its
//! defaults and without escapes.

use std::collections::HashSet;

use super::html::{HtmlNodeKind, Tree, is_block, is_void};

/// Tags that a text of the editor starts with.
const STARTS: &[&str] = &["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table"];
/// Elements that mean something without a text.
const MEANINGFUL: &[&str] =
    &["a", "table", "thead", "tbody", "tfoot", "th", "td", "iframe", "script", "audio", "video"];

/// Markdown of a text that starts with a block of HTML; any other text as it is.
pub(super) fn of(text: &str) -> String {
    let Some(inside) = text.trim_start().strip_prefix('<') else { return text.to_owned() };
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let name = inside.get(..end).unwrap_or_default().to_ascii_lowercase();
    let is_word = inside.get(end..).is_some_and(|after| after.starts_with('_'));
    if is_word || !STARTS.contains(&name.as_str()) {
        return text.to_owned();
    }
    let mut tree = Tree::parse(text);
    collapse(&mut tree);
    let out = Writer { tree: &tree, places: NodePosition::all(&tree) }.children(0);
    out.trim_start_matches(['\t', '\r', '\n']).trim_end().to_owned()
}

/// Runs of white space become one space; none at the edges of blocks.
fn collapse(tree: &mut Tree) {
    let mut order = Vec::new();
    in_order(tree, 0, &mut order);
    let mut last_text: Option<usize> = None;
    let mut keeps_leading = false;
    for at in order {
        let Some(name) = tree.node(at).map(|node| node.name().to_owned()) else { continue };
        if name.is_empty() {
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
        } else if is_block(&name) || name == "br" {
            trim_end(tree, last_text.take());
            keeps_leading = false;
        } else if is_void(&name) {
            (last_text, keeps_leading) = (None, true);
        } else if last_text.is_some() {
            keeps_leading = false;
        }
    }
    trim_end(tree, last_text);
    let is_gone = |node: &super::html::HtmlNode| matches!(&node.kind, HtmlNodeKind::Text(text) if text.is_empty());
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

/// Where a node stands in its parent.
#[derive(Debug, Clone, Copy, Default)]
struct NodePosition {
    among_children: usize,
    /// Texts left out.
    among_elements: usize,
    is_last_element: bool,
}

impl NodePosition {
    /// Of every node.
    fn all(tree: &Tree) -> Vec<Self> {
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

struct Writer<'t> {
    tree: &'t Tree,
    places: Vec<NodePosition>,
}

impl Writer<'_> {
    fn children(&self, at: usize) -> String {
        let mut out = String::new();
        for &child in self.tree.node(at).map_or(&[][..], |node| &node.children) {
            join(&mut out, &self.node(child));
        }
        out
    }

    fn node(&self, at: usize) -> String {
        let Some(node) = self.tree.node(at) else { return String::new() };
        let name = match &node.kind {
            HtmlNodeKind::Text(text) => return text.clone(),
            HtmlNodeKind::Element { name, .. } => name.as_str(),
        };
        if self.is_blank(at) {
            return if is_block(name) { "\n\n".to_owned() } else { self.edges(at, name).0 };
        }
        let content = self.children(at);
        let (leading, trailing) = self.edges(at, name);
        let has_edges = !leading.is_empty() || !trailing.is_empty();
        let content = if has_edges { content.trim().to_owned() } else { content };
        let written = self.element(at, name, content);
        format!("{leading}{written}{trailing}")
    }

    fn element(&self, at: usize, name: &str, content: String) -> String {
        let is_empty = content.trim().is_empty();
        match name {
            "br" => "  \n".to_owned(),
            "hr" => "\n\n* * *\n\n".to_owned(),
            "h1" => format!("\n\n{content}\n{}\n\n", "=".repeat(content.encode_utf16().count())),
            "h2" => format!("\n\n{content}\n{}\n\n", "-".repeat(content.encode_utf16().count())),
            "h3" => format!("\n\n### {content}\n\n"),
            "h4" => format!("\n\n#### {content}\n\n"),
            "h5" => format!("\n\n##### {content}\n\n"),
            "h6" => format!("\n\n###### {content}\n\n"),
            "blockquote" => {
                let lines: Vec<String> =
                    content.trim_matches('\n').split('\n').map(|line| format!("> {line}")).collect();
                format!("\n\n{}\n\n", lines.join("\n"))
            }
            "ul" | "ol" => self.list(at, &content),
            "li" => self.item(at, &content),
            "pre" => match self.code_in(at) {
                Some(code) => format!("\n\n    {}\n\n", code.replace('\n', "\n    ")),
                None => format!("\n\n{content}\n\n"),
            },
            "code" if !self.is_code_block(at) => inline_code(&content),
            "em" | "i" | "strong" | "b" if is_empty => String::new(),
            "em" | "i" => format!("_{content}_"),
            "strong" | "b" => format!("**{content}**"),
            "a" => self.link(at, content),
            "img" => self.image(at),
            name if is_block(name) => format!("\n\n{content}\n\n"),
            _ => content,
        }
    }

    fn parent(&self, at: usize) -> usize {
        self.tree.node(at).map_or(0, |node| node.parent)
    }

    fn place(&self, at: usize) -> NodePosition {
        self.places.get(at).copied().unwrap_or_default()
    }

    fn name(&self, at: usize) -> &str {
        self.tree.node(at).map_or("", |node| node.name())
    }

    /// Elements below a node, texts left out.
    fn elements(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let children = self.tree.node(at).map_or(&[][..], |node| &node.children);
        children.iter().copied().filter(|&child| !self.name(child).is_empty())
    }

    fn list(&self, at: usize, content: &str) -> String {
        let parent = self.parent(at);
        if self.name(parent) == "li" && self.place(at).is_last_element {
            format!("\n{content}")
        } else {
            format!("\n\n{content}\n\n")
        }
    }

    fn item(&self, at: usize, content: &str) -> String {
        let parent = self.parent(at);
        let prefix = if self.name(parent) == "ol" {
            let start = self.tree.node(parent).and_then(|list| list.attribute("start")?.parse::<usize>().ok());
            let index = self.place(at).among_elements;
            format!("{}.  ", start.unwrap_or(1) + index)
        } else {
            "*   ".to_owned()
        };
        let end = if content.ends_with('\n') { "\n" } else { "" };
        let content = format!("{}{end}", content.trim_matches('\n'));
        let content = content.replace('\n', &format!("\n{}", " ".repeat(prefix.len())));
        let is_last = self.tree.node(parent).and_then(|list| list.children.last()) == Some(&at);
        format!("{prefix}{content}{}", if is_last { "" } else { "\n" })
    }

    /// The code of a block of code.
    fn code_in(&self, at: usize) -> Option<String> {
        let first = *self.tree.node(at)?.children.first()?;
        (self.name(first) == "code").then(|| self.tree.text_of(first))
    }

    fn is_code_block(&self, at: usize) -> bool {
        let parent = self.parent(at);
        self.name(parent) == "pre" && self.tree.node(parent).is_some_and(|pre| pre.children.len() == 1)
    }

    fn link(&self, at: usize, content: String) -> String {
        let attribute = |name| self.tree.node(at).and_then(|node| node.attribute(name)).unwrap_or_default();
        match attribute("href") {
            "" => content,
            href => format!("[{content}]({}{})", destination(href), title(attribute("title"))),
        }
    }

    fn image(&self, at: usize) -> String {
        let attribute = |name| self.tree.node(at).and_then(|node| node.attribute(name)).unwrap_or_default();
        match attribute("src") {
            "" => String::new(),
            src => format!("![{}]({}{})", attribute("alt"), destination(src), title(attribute("title"))),
        }
    }

    fn is_blank(&self, at: usize) -> bool {
        let name = self.name(at);
        let speaks = |name: &str| is_void(name) || MEANINGFUL.contains(&name);
        !speaks(name) && self.tree.text_of(at).trim().is_empty() && !self.has(at, &speaks)
    }

    fn has(&self, at: usize, wanted: &impl Fn(&str) -> bool) -> bool {
        self.elements(at).any(|child| wanted(self.name(child)) || self.has(child, wanted))
    }

    /// White space at the edges of an inline element goes outside it, where none is yet.
    fn edges(&self, at: usize, name: &str) -> (String, String) {
        if is_block(name) {
            return Default::default();
        }
        let text = self.tree.text_of(at);
        let start = text.len() - text.trim_start().len();
        let end = text.trim_end().len();
        let mut leading = text.get(..start).unwrap_or_default().to_owned();
        let mut trailing =
            if start < text.len() { text.get(end..).unwrap_or_default().to_owned() } else { String::new() };
        if leading.starts_with(|c: char| c.is_ascii_whitespace()) && self.is_flanked(at, false) {
            leading = leading.trim_start_matches(|c: char| c.is_ascii_whitespace()).to_owned();
        }
        if trailing.ends_with(|c: char| c.is_ascii_whitespace()) && self.is_flanked(at, true) {
            trailing = trailing.trim_end_matches(|c: char| c.is_ascii_whitespace()).to_owned();
        }
        (leading, trailing)
    }

    fn is_flanked(&self, at: usize, behind: bool) -> bool {
        let Some(siblings) = self.tree.node(self.parent(at)).map(|parent| &parent.children) else { return false };
        let own = self.place(at).among_children;
        let sibling = if behind { siblings.get(own + 1) } else { own.checked_sub(1).and_then(|at| siblings.get(at)) };
        let Some(&sibling) = sibling.filter(|&&sibling| !is_block(self.name(sibling))) else { return false };
        let text = self.tree.text_of(sibling);
        if behind { text.starts_with(' ') } else { text.ends_with(' ') }
    }
}

/// At most one empty line where two pieces meet.
fn join(out: &mut String, next: &str) {
    let before = out.len() - out.trim_end_matches('\n').len();
    let behind = next.len() - next.trim_start_matches('\n').len();
    out.truncate(out.len() - before);
    out.push_str("\n\n".get(..before.max(behind).min(2)).unwrap_or_default());
    out.push_str(next.trim_start_matches('\n'));
}

fn inline_code(content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let content = content.replace("\r\n", " ").replace(['\r', '\n'], " ");
    let is_padded = content.starts_with(' ') && content.ends_with(' ') && !content.trim_matches(' ').is_empty();
    let space = if content.starts_with('`') || content.ends_with('`') || is_padded { " " } else { "" };
    let runs: HashSet<usize> = content.split(|c| c != '`').map(str::len).filter(|&run| run > 0).collect();
    let mut ticks = 1;
    while runs.contains(&ticks) {
        ticks += 1;
    }
    let fence = "`".repeat(ticks);
    format!("{fence}{space}{content}{space}{fence}")
}

fn destination(address: &str) -> String {
    let mut out = String::new();
    for letter in address.chars() {
        if matches!(letter, '<' | '>' | '(' | ')') {
            out.push('\\');
        }
        out.push(letter);
    }
    if out.contains(' ') { format!("<{out}>") } else { out }
}

fn title(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!(" \"{}\"", title.replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::of;

    /// Pairs that turndown made.
    const MADE: &str = include_str!("markdown.tests.json");

    #[test]
    fn html_becomes_what_turndown_makes_of_it() {
        let made: Vec<(String, String)> = serde_json::from_str(MADE).unwrap();
        for (html, markdown) in made {
            assert_eq!(of(&html), markdown, "{html}");
        }
    }

    /// Siblings are not counted anew for each of them, and what lies deep within each other fits on the stack.
    #[test]
    fn long_and_deep_texts_are_read_once() {
        const COUNT: usize = 20_000;
        assert!(of(&format!("<ol>{}</ol>", "<li>x</li>".repeat(COUNT))).ends_with("\n20000.  x"));
        assert_eq!(of(&format!("<p>{}</p>", "<i>x</i> ".repeat(COUNT))).len(), 4 * COUNT - 1);
        assert_eq!(of(&format!("<p>{}</p>", "&".repeat(300_000))).len(), 300_000);
        assert_eq!(of(&format!("<p><code>{}x", "`".repeat(1000))).len(), 1000 + 2 + 2 + 1);
        for tag in ["<div>", "<ul><li>", "<blockquote>", "<b>", "<p><i>"] {
            assert!(of(&format!("<div>{}x", tag.repeat(COUNT))).ends_with('x') || tag.len() < 9, "{tag}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in ["plain", "<b>x</b>", "<instruction><div>x</div></instruction>", "<path>", "a <p>b</p>"] {
            assert_eq!(of(text), text);
        }
    }
}
