//! Texts of Flowise's editor are HTML; models are told Markdown, made as the library turndown makes it with its
//! defaults and without escapes.
//!
//! The crate `htmd` was tried in its place: it agrees on 19 of the 30 pairs below, escapes what it is not told to (of
//! `{{ a_b }}` another name becomes), and overflows the stack where elements lie deep within each other.

mod collapse;
mod nodes;

use std::collections::HashSet;

use self::collapse::collapse;
use self::nodes::{NodeClass, NodePosition, blanks};
use super::html::{HtmlNodeKind, Tree};

/// Tags that a text of the editor starts with.
const STARTS: &[&str] = &["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table"];
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
    let kinds: Vec<NodeClass> = tree.nodes.iter().map(|node| NodeClass::of(node.name())).collect();
    collapse(&mut tree, &kinds);
    let writer = Writer { tree: &tree, places: NodePosition::all(&tree), blanks: blanks(&tree), kinds };
    let out = writer.children(0);
    out.trim_start_matches(['\t', '\r', '\n']).trim_end().to_owned()
}

struct Writer<'t> {
    tree: &'t Tree,
    kinds: Vec<NodeClass>,
    places: Vec<NodePosition>,
    /// Whether there is nothing in a node that says anything.
    blanks: Vec<bool>,
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
            return if self.is_block(at) { "\n\n".to_owned() } else { self.edges(at).0 };
        }
        let content = self.children(at);
        let (leading, trailing) = self.edges(at);
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
            _ if self.is_block(at) => format!("\n\n{content}\n\n"),
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

    fn is_block(&self, at: usize) -> bool {
        self.kinds.get(at) == Some(&NodeClass::Block)
    }

    fn is_blank(&self, at: usize) -> bool {
        self.blanks.get(at).copied().unwrap_or(true)
    }

    /// White space at the edges of an inline element goes outside it, where none is yet.
    fn edges(&self, at: usize) -> (String, String) {
        let (mut leading, mut trailing) = (String::new(), String::new());
        if self.is_block(at) {
            return (leading, trailing);
        }
        // Where there is nothing else, all of it leads.
        if !self.leading(at, &mut leading) {
            self.trailing(at, &mut trailing);
        }
        if leading.starts_with(|c: char| c.is_ascii_whitespace()) && self.is_flanked(at, false) {
            leading = leading.trim_start_matches(|c: char| c.is_ascii_whitespace()).to_owned();
        }
        if trailing.ends_with(|c: char| c.is_ascii_whitespace()) && self.is_flanked(at, true) {
            trailing = trailing.trim_end_matches(|c: char| c.is_ascii_whitespace()).to_owned();
        }
        (leading, trailing)
    }

    /// Adds the white space that a node begins with; whether there is nothing else in it.
    fn leading(&self, at: usize, out: &mut String) -> bool {
        let Some(node) = self.tree.node(at) else { return true };
        if let HtmlNodeKind::Text(text) = &node.kind {
            let rest = text.trim_start();
            out.push_str(text.get(..text.len() - rest.len()).unwrap_or_default());
            return rest.is_empty();
        }
        node.children.iter().all(|&child| self.leading(child, out))
    }

    /// The same of its end.
    fn trailing(&self, at: usize, out: &mut String) -> bool {
        let Some(node) = self.tree.node(at) else { return true };
        if let HtmlNodeKind::Text(text) = &node.kind {
            let rest = text.trim_end();
            out.insert_str(0, text.get(rest.len()..).unwrap_or_default());
            return rest.is_empty();
        }
        node.children.iter().rev().all(|&child| self.trailing(child, out))
    }

    fn is_flanked(&self, at: usize, behind: bool) -> bool {
        let Some(siblings) = self.tree.node(self.parent(at)).map(|parent| &parent.children) else { return false };
        let own = self.place(at).among_children;
        let sibling = if behind { siblings.get(own + 1) } else { own.checked_sub(1).and_then(|at| siblings.get(at)) };
        let Some(&sibling) = sibling.filter(|&&sibling| !self.is_block(sibling)) else { return false };
        self.edge(sibling, !behind) == Some(' ')
    }

    /// The first letter in a node, or the last.
    fn edge(&self, at: usize, is_last: bool) -> Option<char> {
        let node = self.tree.node(at)?;
        match &node.kind {
            HtmlNodeKind::Text(text) if is_last => text.chars().next_back(),
            HtmlNodeKind::Text(text) => text.chars().next(),
            HtmlNodeKind::Element { .. } if is_last => {
                node.children.iter().rev().find_map(|&child| self.edge(child, true))
            }
            HtmlNodeKind::Element { .. } => node.children.iter().find_map(|&child| self.edge(child, false)),
        }
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
