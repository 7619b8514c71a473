//! A page as Markdown, as `node-html-markdown` writes it with its own settings.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::marked::{escaped, filled, in_lines, item, joined, quoted, row_of, spaced, surrounded, table, without_runs};
use super::names::IGNORED;
use super::plain::lines_of;
use super::tree::HtmlPage;
use crate::engine::text::blocks::BLOCKS;

/// Bytes of the Markdown of one page.
const LONGEST: usize = if cfg!(test) { 1 << 20 } else { 32 << 20 };
/// Bytes that its elements finish, each anew what those in it have finished.
const MOST_FINISHED: usize = 4 * LONGEST;

/// Which elements are written in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkdownPlace {
    Page,
    Code,
    Link,
    Table,
    Row,
    Cell,
}

/// What is known of where a node stands.
#[derive(Debug, Clone)]
struct MarkdownContext {
    place: MarkdownPlace,
    keeps_space: bool,
    is_plain: bool,
    /// Whether the list is numbered, and the number of its last item.
    list: Option<(bool, Rc<Cell<usize>>)>,
    /// Lists within each other.
    indent: usize,
    caption: Rc<RefCell<Option<String>>>,
}

/// How an element is written.
#[derive(Debug, Default)]
struct MarkdownRule {
    lines: usize,
    before: String,
    after: String,
    /// In place of what is in it.
    content: Option<String>,
    finish: MarkdownFinish,
    inside: Option<MarkdownPlace>,
    is_plain: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum MarkdownFinish {
    #[default]
    None,
    Surround(&'static str),
    Item,
    Quote,
    Code,
    Table,
    Caption,
    Row,
    Cell,
    Link,
}

/// What became of an element's content.
enum MarkdownDone {
    Same,
    As(String),
    /// Nothing is left of the element.
    Nothing,
}

impl MarkdownFinish {
    /// How much longer than what is inside it could be, where that is much: what is put before each line, cells that are
    /// filled up.
    fn more(self, inside: &str, around: &MarkdownContext) -> usize {
        match self {
            Self::Item => lines_of(inside).saturating_mul(3 * around.indent),
            Self::Table => filled(inside),
            _ => 0,
        }
    }

    fn done(self, inside: &str, around: &MarkdownContext) -> MarkdownDone {
        let is_blank = inside.trim().is_empty();
        let done = match self {
            Self::None => return MarkdownDone::Same,
            Self::Surround(mark) => (!is_blank).then(|| surrounded(inside, mark)),
            Self::Item => {
                if is_blank && let Some((_, number)) = &around.list {
                    number.set(number.get().saturating_sub(1));
                }
                (!is_blank).then(|| item(inside, around.indent.saturating_sub(1)))
            }
            Self::Quote => Some(quoted(inside)),
            Self::Code => Some(in_lines(inside)),
            Self::Table => table(inside, around.caption.take()),
            Self::Caption => {
                let caption = joined(inside);
                around.caption.replace(Some(format!("__{}__", caption.trim())).filter(|_| !caption.trim().is_empty()));
                None
            }
            Self::Row => row_of(inside),
            Self::Cell => Some(joined(&inside.trim_matches('\n').replacen('|', "\\|", 1)).trim().to_owned()),
            Self::Link => Some(joined(inside)),
        };
        done.map_or(MarkdownDone::Nothing, MarkdownDone::As)
    }
}

struct MarkdownWriter<'p> {
    page: &'p HtmlPage,
    out: String,
    /// Bytes that may still be finished; `None`: more were wanted.
    room: Option<usize>,
}

/// The Markdown of a text that may hold HTML.
///
/// # Errors
/// It would be too long.
pub(crate) fn markdown(text: &str) -> Result<String, String> {
    let page = HtmlPage::parse(text);
    let mut writer = MarkdownWriter { page: &page, out: String::new(), room: Some(MOST_FINISHED) };
    let around = MarkdownContext {
        place: MarkdownPlace::Page,
        keeps_space: false,
        is_plain: false,
        list: None,
        indent: 0,
        caption: Rc::default(),
    };
    if let Some(body) = page.body() {
        for child in page.children(body) {
            writer.visit(*child, &around);
        }
    }
    if writer.room.is_none() || writer.out.len() > LONGEST {
        return Err("the Markdown of a page is too long".to_owned());
    }
    Ok(without_runs(&writer.out).trim_matches('\n').to_owned())
}

impl MarkdownWriter<'_> {
    fn visit(&mut self, at: usize, around: &MarkdownContext) {
        let Some(node) = self.page.nodes.get(at) else { return };
        if node.name.is_empty() {
            self.text(&node.text, around);
            return;
        }
        if self.room.is_none() || self.out.len() > LONGEST || !self.is_kept(at) {
            return;
        }
        let mut around = around.clone();
        match node.name.as_str() {
            "ul" | "ol" => {
                around.indent += 1;
                around.list = Some((node.name == "ol", Rc::default()));
            }
            "li" => {
                if let Some((true, number)) = &around.list {
                    number.set(number.get() + 1);
                }
            }
            "pre" => around.keeps_space = true,
            "table" => around.caption = Rc::default(),
            _ => {}
        }
        let Some(rule) = self.rule(at, &around) else { return };
        self.element(at, &rule, around);
    }

    fn element(&mut self, at: usize, rule: &MarkdownRule, mut around: MarkdownContext) {
        around.is_plain |= rule.is_plain;
        around.place = rule.inside.unwrap_or(around.place);
        let outer = self.out.len();
        self.lines(rule.lines);
        self.out.push_str(&rule.before);
        if let Some(content) = &rule.content {
            self.out.push_str(content);
        } else {
            let begin = self.out.len();
            for child in self.page.children(at) {
                self.visit(*child, &around);
            }
            let inside = self.out.get(begin..).unwrap_or_default();
            if rule.finish != MarkdownFinish::None {
                let finished = inside.len().saturating_add(rule.finish.more(inside, &around));
                self.room = self.room.and_then(|room| room.checked_sub(finished));
                if self.room.is_none() {
                    return;
                }
            }
            match rule.finish.done(inside, &around) {
                MarkdownDone::As(done) => {
                    self.out.truncate(begin);
                    let spaced = matches!(rule.finish, MarkdownFinish::Surround(_) | MarkdownFinish::Code)
                        && self.out.chars().next_back().is_some_and(|last| done.starts_with(last));
                    if spaced {
                        self.out.push(' ');
                    }
                    self.out.push_str(&done);
                }
                MarkdownDone::Nothing => {
                    self.out.truncate(outer);
                    return;
                }
                MarkdownDone::Same => {}
            }
        }
        self.out.push_str(&rule.after);
        self.lines(rule.lines);
    }

    /// Whether there is anything in an element.
    fn is_kept(&self, at: usize) -> bool {
        let mut left = vec![at];
        while let Some(at) = left.pop() {
            let Some(node) = self.page.nodes.get(at) else { continue };
            let speaks = matches!(
                node.name.as_str(),
                "" | "br"
                    | "hr"
                    | "img"
                    | "h1"
                    | "h2"
                    | "h3"
                    | "h4"
                    | "h5"
                    | "h6"
                    | "ol"
                    | "ul"
                    | "li"
                    | "code"
                    | "table"
                    | "a"
            );
            if speaks && (node.children.is_empty() || matches!(node.name.as_str(), "br" | "hr" | "img")) {
                return true;
            }
            left.extend(&node.children);
        }
        false
    }

    fn text(&mut self, text: &str, around: &MarkdownContext) {
        if text.chars().all(char::is_whitespace) && !around.keeps_space {
            if !self.out.is_empty() && !self.out.ends_with(char::is_whitespace) {
                self.out.push(' ');
            }
            return;
        }
        let text = if around.keeps_space { text.to_owned() } else { spaced(text.trim_matches('\n')) };
        if around.is_plain {
            self.out.push_str(&text);
        } else {
            self.out.push_str(&escaped(&text));
        }
    }

    /// So many line breaks at the end, as far as the last ten letters tell.
    fn lines(&mut self, count: usize) {
        let tail = self.out.chars().rev().take(10).take_while(|letter| letter.is_whitespace());
        let there = tail.filter(|letter| matches!(letter, '\n' | '\r')).count();
        self.out.extend(std::iter::repeat_n('\n', count.saturating_sub(there)));
    }

    /// `None`: the element is left out.
    fn rule(&self, at: usize, around: &MarkdownContext) -> Option<MarkdownRule> {
        let node = self.page.nodes.get(at)?;
        let name = node.name.as_str();
        let has_blocks = matches!(around.place, MarkdownPlace::Page | MarkdownPlace::Code);
        if has_blocks && IGNORED.contains(&name) {
            return None;
        }
        let lines = if has_blocks && BLOCKS.contains(&name) { 2 } else { 0 };
        let plain = MarkdownRule { lines, ..MarkdownRule::default() };
        let as_content =
            |content: &str| MarkdownRule { content: Some(content.to_owned()), lines, ..MarkdownRule::default() };
        let is_marked = !matches!(around.place, MarkdownPlace::Code | MarkdownPlace::Table | MarkdownPlace::Row);
        Some(match (name, around.place) {
            ("strong" | "b", _) if is_marked => MarkdownRule { finish: MarkdownFinish::Surround("**"), ..plain },
            ("del" | "s" | "strike", _) if is_marked => {
                MarkdownRule { finish: MarkdownFinish::Surround("~~"), ..plain }
            }
            ("em" | "i", _) if is_marked => MarkdownRule { finish: MarkdownFinish::Surround("_"), ..plain },
            ("img", _) if is_marked => self.picture(at)?,
            ("a", MarkdownPlace::Page | MarkdownPlace::Cell) => self.link(at),
            ("br", MarkdownPlace::Page) => as_content("  \n"),
            ("br", MarkdownPlace::Code) | ("br" | "hr", MarkdownPlace::Link) => as_content("\n"),
            ("hr", MarkdownPlace::Page | MarkdownPlace::Code) => as_content("---"),
            ("h1" | "h2" | "h3" | "h4" | "h5" | "h6", MarkdownPlace::Page) => {
                let level = name.get(1..).and_then(|level| level.parse().ok()).unwrap_or(1);
                MarkdownRule { before: format!("{} ", "#".repeat(level)), ..plain }
            }
            ("h1" | "h2" | "h3" | "h4" | "h5" | "h6", MarkdownPlace::Code) => {
                MarkdownRule { before: "[".to_owned(), after: "]".to_owned(), ..plain }
            }
            // Its own kind is known by then, so that it is always one within a list.
            ("ol" | "ul", MarkdownPlace::Page) | ("ol" | "ul" | "tr", MarkdownPlace::Code) => {
                MarkdownRule { lines: 1, ..plain }
            }
            ("li", MarkdownPlace::Page | MarkdownPlace::Code) => {
                let mark = match &around.list {
                    Some((true, number)) => format!("{}. ", number.get()),
                    _ => "* ".to_owned(),
                };
                let before = "   ".repeat(around.indent.saturating_sub(1)) + &mark;
                MarkdownRule { lines: 1, before, finish: MarkdownFinish::Item, ..MarkdownRule::default() }
            }
            ("blockquote", MarkdownPlace::Page) => MarkdownRule { finish: MarkdownFinish::Quote, ..plain },
            ("pre", MarkdownPlace::Page | MarkdownPlace::Link) => MarkdownRule { is_plain: true, ..plain },
            ("code", MarkdownPlace::Page) => self.code(at),
            ("table", MarkdownPlace::Page) => {
                MarkdownRule { finish: MarkdownFinish::Table, inside: Some(MarkdownPlace::Table), ..plain }
            }
            ("caption", MarkdownPlace::Table) => {
                MarkdownRule { finish: MarkdownFinish::Caption, inside: Some(MarkdownPlace::Cell), ..plain }
            }
            ("tr", MarkdownPlace::Table) => {
                let (before, after) = ("| ".to_owned(), "\n".to_owned());
                MarkdownRule { before, after, finish: MarkdownFinish::Row, inside: Some(MarkdownPlace::Row), ..plain }
            }
            ("th" | "td", MarkdownPlace::Table | MarkdownPlace::Row) => {
                let (before, after) = (" ".to_owned(), " |".to_owned());
                MarkdownRule { before, after, finish: MarkdownFinish::Cell, inside: Some(MarkdownPlace::Cell), ..plain }
            }
            ("img", MarkdownPlace::Code) => as_content(""),
            _ => plain,
        })
    }

    fn attribute(&self, at: usize, name: &str) -> &str {
        self.page.nodes.get(at).and_then(|node| node.attribute(name)).unwrap_or_default()
    }

    fn picture(&self, at: usize) -> Option<MarkdownRule> {
        let (source, alt, title) = (self.attribute(at, "src"), self.attribute(at, "alt"), self.attribute(at, "title"));
        if source.is_empty() || source.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("data:")) {
            return None;
        }
        let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
        Some(MarkdownRule { content: Some(format!("![{alt}]({source}{title})")), ..MarkdownRule::default() })
    }

    fn link(&self, at: usize) -> MarkdownRule {
        let (target, title) = (self.attribute(at, "href"), self.attribute(at, "title"));
        if target.is_empty() {
            return MarkdownRule::default();
        }
        let address = target.replace('(', "%28").replace(')', "%29").replace('_', "%5F").replace('*', "%2A");
        let mut text = String::new();
        self.page.text_of(at, &mut text);
        if text == target {
            return MarkdownRule { content: Some(format!("<{address}>")), ..MarkdownRule::default() };
        }
        let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
        MarkdownRule {
            before: "[".to_owned(),
            after: format!("]({address}{title})"),
            finish: MarkdownFinish::Link,
            inside: Some(MarkdownPlace::Link),
            ..MarkdownRule::default()
        }
    }

    /// A block within `pre` that holds nothing else, else a word.
    fn code(&self, at: usize) -> MarkdownRule {
        let parent = self.page.nodes.get(at).and_then(|node| self.page.nodes.get(node.parent));
        if !parent.is_some_and(|parent| parent.name == "pre" && parent.children.len() < 2) {
            return MarkdownRule { is_plain: true, finish: MarkdownFinish::Code, ..MarkdownRule::default() };
        }
        let class = self.attribute(at, "class");
        let language = class.split_once("language-").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("");
        MarkdownRule {
            before: format!("```{language}\n"),
            after: "\n```".to_owned(),
            inside: Some(MarkdownPlace::Code),
            is_plain: true,
            ..MarkdownRule::default()
        }
    }
}
