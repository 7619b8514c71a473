//! The tree of a page. The rules are those of HTML's standard as far as they move text: what opens and closes by itself,
//! what belongs into the head, and what stands in a table but does not belong there.

use super::names::{CLOSE_PARAGRAPH, HEAD, HEADINGS, ROWS, SCOPE, SPECIAL, TABULAR, VOID};
use super::tags::{BeginTag, HtmlPiece, next, raw};

/// Elements within each other; deeper ones stay at this depth.
const DEEPEST: usize = 256;
/// Elements and texts of a page.
const MOST_NODES: usize = 1 << 19;

#[derive(Debug)]
pub(super) struct PageNode {
    /// Empty: a text.
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) parent: usize,
    pub(super) children: Vec<usize>,
}

/// A page; its first node is the document.
#[derive(Debug)]
pub(crate) struct HtmlPage {
    pub(super) nodes: Vec<PageNode>,
    open: Vec<usize>,
    pub(super) html: usize,
    head: Option<usize>,
    pub(super) body: Option<usize>,
    /// How many of those that are open are drawings and formulas, and what is in them.
    foreign: usize,
}

impl HtmlPage {
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self { nodes: Vec::new(), open: vec![0], html: 1, head: None, body: None, foreign: 0 };
        page.nodes.push(PageNode::element("#document".to_owned(), Vec::new(), 0));
        let html = page.insert("html".to_owned(), Vec::new());
        page.open.push(html);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let mut rest = text.as_str();
        while !rest.is_empty() && page.nodes.len() < MOST_NODES {
            let (piece, after) = next(rest, page.foreign > 0);
            rest = after;
            match piece {
                HtmlPiece::Text(text) => page.text(&htmlize::unescape(text).replace('\0', "")),
                HtmlPiece::Plain(text) => page.text(text),
                HtmlPiece::End(name) => page.end(&name),
                HtmlPiece::Begin(tag) => rest = page.begin(tag, rest),
                HtmlPiece::Nothing => {}
            }
        }
        page
    }

    fn name(&self, at: usize) -> &str {
        self.nodes.get(at).map_or("", |node| &node.name)
    }

    fn current(&self) -> usize {
        self.open.last().copied().unwrap_or(0)
    }

    fn is_in(&self, names: &[&str]) -> bool {
        names.contains(&self.name(self.current()))
    }

    /// Where the last open one of these is; not beyond `until`.
    fn last_open(&self, names: &[&str], until: &[&str]) -> Option<usize> {
        for (place, at) in self.open.iter().enumerate().rev() {
            let name = self.name(*at);
            if names.contains(&name) {
                return Some(place);
            }
            if until.contains(&name) {
                break;
            }
        }
        None
    }

    fn is_in_template(&self) -> bool {
        self.last_open(&["template"], &[]).is_some()
    }

    fn close_to(&mut self, place: usize) {
        self.open.truncate(place.max(2));
        self.foreign = self.open.iter().filter(|at| matches!(self.name(**at), "svg" | "math")).count();
    }

    fn close_last(&mut self, names: &[&str], until: &[&str]) {
        if let Some(place) = self.last_open(names, until) {
            self.close_to(place);
        }
    }

    /// Where something new goes: before the table, if it is in one and does not belong there.
    fn place(&self, belongs: bool) -> (usize, Option<usize>) {
        let current = self.current();
        let is_in_table = matches!(self.name(current), "table" | "tbody" | "tfoot" | "thead" | "tr");
        if belongs || !is_in_table {
            return (current, None);
        }
        let table = self.last_open(&["table"], &[]).and_then(|place| self.open.get(place)).copied();
        let Some(table) = table else { return (current, None) };
        let parent = self.nodes.get(table).map_or(0, |node| node.parent);
        let at = self.nodes.get(parent).and_then(|node| node.children.iter().rposition(|child| *child == table));
        (parent, at)
    }

    fn add(&mut self, mut node: PageNode, (parent, before): (usize, Option<usize>)) -> usize {
        let at = self.nodes.len();
        node.parent = parent;
        self.nodes.push(node);
        if at > 0
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.insert(before.unwrap_or(parent.children.len()), at);
        }
        at
    }

    fn insert(&mut self, name: String, attributes: Vec<(String, String)>) -> usize {
        let belongs = TABULAR.contains(&name.as_str()) || matches!(name.as_str(), "script" | "style" | "template");
        let place = self.place(belongs);
        self.add(PageNode::element(name, attributes, 0), place)
    }

    fn begin_body(&mut self) {
        if self.body.is_none() {
            self.close_to(2);
            let body = self.insert("body".to_owned(), Vec::new());
            self.body = Some(body);
            self.open.push(body);
        }
    }

    fn text(&mut self, text: &str) {
        let mut text = text;
        if self.body.is_none() && !self.is_in_template() {
            let plain = text.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
            if plain.is_empty() {
                // Between head and body it is kept, before the head it is not.
                if self.head.is_some() {
                    self.append(text);
                }
                return;
            }
            self.begin_body();
            text = plain;
        }
        self.append(text);
    }

    fn append(&mut self, text: &str) {
        let is_space = text.bytes().all(|byte| byte.is_ascii_whitespace());
        let (parent, before) = self.place(is_space);
        let children = self.nodes.get(parent).map(|node| node.children.as_slice()).unwrap_or_default();
        let last = match before {
            Some(at) => at.checked_sub(1).and_then(|at| children.get(at)),
            None => children.last(),
        };
        if let Some(last) = last.copied().and_then(|at| self.nodes.get_mut(at)).filter(|node| node.name.is_empty()) {
            last.text.push_str(text);
            return;
        }
        let node = PageNode { text: text.to_owned(), ..PageNode::element(String::new(), Vec::new(), 0) };
        self.add(node, (parent, before));
    }

    /// What comes after an element whose tag this is.
    fn begin<'t>(&mut self, tag: BeginTag<'_>, rest: &'t str) -> &'t str {
        let BeginTag { name, attributes, closes_itself, .. } = tag;
        if self.foreign > 0 {
            self.foreign_element(name, attributes, closes_itself);
            return rest;
        }
        match name.as_str() {
            "html" => return rest,
            "head" => {
                if self.head.is_none() && self.body.is_none() {
                    let head = self.insert(name, attributes);
                    self.head = Some(head);
                    self.open.push(head);
                }
                return rest;
            }
            "body" | "frameset" => {
                if self.body.is_none() {
                    self.close_to(2);
                    let body = self.insert("body".to_owned(), attributes);
                    self.body = Some(body);
                    self.open.push(body);
                }
                return rest;
            }
            _ => {}
        }
        if self.body.is_none() && !self.is_in_template() {
            if HEAD.contains(&name.as_str()) {
                self.enter_head();
            } else {
                self.begin_body();
            }
        }
        self.make_room(&name);
        if TABULAR.contains(&name.as_str()) && self.last_open(&["table", "template"], &[]).is_none() {
            return rest;
        }
        let name = if name == "image" { "img".to_owned() } else { name };
        let at = self.insert(name.clone(), attributes);
        self.opened(&name, at, rest)
    }

    fn enter_head(&mut self) {
        let head = if let Some(head) = self.head {
            head
        } else {
            let head = self.insert("head".to_owned(), Vec::new());
            self.head = Some(head);
            head
        };
        if self.open.len() < 3 {
            self.open.push(head);
        }
    }

    fn opened<'t>(&mut self, name: &str, at: usize, rest: &'t str) -> &'t str {
        let is_deep = self.open.len() >= DEEPEST;
        match name {
            "script" | "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" | "plaintext" => {
                let (text, after) = raw(name, rest);
                self.inside(at, text.to_owned());
                after
            }
            "title" | "textarea" => {
                let (text, after) = raw(name, rest);
                let text = if name == "textarea" { text.strip_prefix('\n').unwrap_or(text) } else { text };
                self.inside(at, htmlize::unescape(text).into_owned());
                after
            }
            _ if VOID.contains(&name) || is_deep => rest,
            _ => {
                self.open.push(at);
                self.foreign += usize::from(matches!(name, "svg" | "math"));
                if matches!(name, "pre" | "listing") { rest.strip_prefix('\n').unwrap_or(rest) } else { rest }
            }
        }
    }

    fn inside(&mut self, at: usize, text: String) {
        if !text.is_empty() {
            let node = PageNode { text, ..PageNode::element(String::new(), Vec::new(), 0) };
            self.add(node, (at, None));
        }
    }

    /// Elements of a page end a drawing.
    fn foreign_element(&mut self, name: String, attributes: Vec<(String, String)>, closes_itself: bool) {
        let is_text = self.is_in(&["foreignobject", "desc", "title", "annotation-xml"]);
        let ends =
            CLOSE_PARAGRAPH.contains(&name.as_str()) || matches!(name.as_str(), "b" | "i" | "span" | "img" | "br");
        if ends && !is_text {
            while self.foreign > 0 {
                self.close_to(self.open.len().saturating_sub(1));
                if self.open.len() <= 3 {
                    break;
                }
            }
        }
        let is_void = closes_itself || (ends && VOID.contains(&name.as_str()));
        let at = self.insert(name, attributes);
        if !is_void && self.open.len() < DEEPEST {
            self.open.push(at);
        }
    }

    /// Closes what a new element ends, and opens what it stands in.
    fn make_room(&mut self, name: &str) {
        if CLOSE_PARAGRAPH.contains(&name) && !self.is_in(&["select"]) {
            self.close_last(
                &["p"],
                &["button", "applet", "caption", "html", "table", "td", "th", "object", "template"],
            );
        }
        match name {
            _ if HEADINGS.contains(&name) && self.is_in(HEADINGS) => self.close_to(self.open.len().saturating_sub(1)),
            "li" => self.close_item(&["li"]),
            "dd" | "dt" => self.close_item(&["dd", "dt"]),
            "button" => self.close_last(&["button"], SCOPE),
            "option" | "optgroup" if self.is_in(&["option"]) => self.close_to(self.open.len().saturating_sub(1)),
            "a" => self.close_last(&["a"], SPECIAL),
            "caption" | "colgroup" | "tbody" | "tfoot" | "thead" => self.back_to(&["table"]),
            "col" => {
                self.back_to(&["table", "colgroup"]);
                self.stand_in("colgroup", &["colgroup"]);
            }
            "tr" => {
                self.back_to(&["tbody", "tfoot", "thead", "table"]);
                self.stand_in("tbody", ROWS);
            }
            "td" | "th" => {
                self.back_to(&["tr", "tbody", "tfoot", "thead", "table"]);
                self.stand_in("tbody", &["tbody", "tfoot", "thead", "tr"]);
                self.stand_in("tr", &["tr"]);
            }
            _ => {}
        }
    }

    fn close_item(&mut self, names: &[&str]) {
        let until: Vec<&str> =
            SPECIAL.iter().copied().filter(|name| !matches!(*name, "address" | "div" | "p")).collect();
        self.close_last(names, &until);
    }

    /// Closes what is open within a part of a table.
    fn back_to(&mut self, names: &[&str]) {
        if let Some(place) = self.last_open(names, &["html", "template"]) {
            self.close_to(place + 1);
        }
    }

    /// Opens a part of a table that a page may leave out.
    fn stand_in(&mut self, name: &str, known: &[&str]) {
        if !self.is_in(known) && self.last_open(&["table"], &["html", "template"]).is_some() {
            let at = self.insert(name.to_owned(), Vec::new());
            self.open.push(at);
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "html" | "body" => {}
            "head" => {
                if self.body.is_none() && self.head.is_some() {
                    self.close_to(2);
                }
            }
            "br" => {
                self.begin_body();
                self.insert("br".to_owned(), Vec::new());
            }
            _ if HEADINGS.contains(&name) => self.close_last(HEADINGS, SCOPE),
            "table" => self.close_last(&["table"], &["html", "template"]),
            _ if TABULAR.contains(&name) => self.close_last(&[name], &["html", "table", "template"]),
            "p" => {
                self.close_last(
                    &["p"],
                    &["button", "applet", "caption", "html", "table", "td", "th", "object", "template"],
                );
            }
            _ if self.foreign > 0 => self.close_last(&[name], &["html", "body"]),
            _ => {
                let until: Vec<&str> = if SPECIAL.contains(&name) { SCOPE.to_vec() } else { SPECIAL.to_vec() };
                self.close_last(&[name], &until);
            }
        }
    }
}

impl PageNode {
    fn element(name: String, attributes: Vec<(String, String)>, parent: usize) -> Self {
        Self { name, attributes, text: String::new(), parent, children: Vec::new() }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
