//! A page as plain text, as `html-to-text` 9 writes it: headings in capitals, lists with their signs, addresses of links.

use super::tree::HtmlPage;
use super::words::WordLines;

/// Bytes of the text of one page.
const LONGEST: usize = 32 << 20;
/// Letters of a line that is left of what stands further in.
const SHORTEST_LINE: usize = 20;
const RULE: usize = 40;

/// How a page is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainStyle {
    /// Letters of a line.
    pub(crate) wrapped_at: Option<usize>,
    /// Line ends in texts are line ends.
    pub(crate) keeps_lines: bool,
}

/// # Errors
/// It would be too long.
pub(crate) fn plain(html: &str, style: PlainStyle) -> Result<String, String> {
    let page = HtmlPage::parse(html);
    let blocks = vec![PlainBlock::new(style.wrapped_at, 1)];
    let mut writer = PlainWriter { page: &page, style, blocks, capitals: 0, room: Some(LONGEST) };
    writer.walk(page.body().unwrap_or_else(|| page.root()), false);
    let text = writer.blocks.pop().map(PlainBlock::into_text).unwrap_or_default();
    let is_too_long = writer.room.is_none() || text.len() > LONGEST;
    if is_too_long { Err("the text of a page is too long".to_owned()) } else { Ok(text) }
}

/// Something that stands in lines of its own.
#[derive(Debug)]
struct PlainBlock {
    /// Empty lines before it, and those that are wanted behind it.
    before: usize,
    behind: usize,
    text: String,
    words: WordLines,
    is_pre: bool,
}

impl PlainBlock {
    fn new(longest: Option<usize>, before: usize) -> Self {
        Self { before, behind: 0, text: String::new(), words: WordLines::new(longest), is_pre: false }
    }

    fn into_text(mut self) -> String {
        self.settle();
        self.text
    }

    /// What was said goes into the text.
    fn settle(&mut self) {
        if !self.words.is_empty() {
            self.words.write(&mut self.text);
            self.words.clear();
        }
    }

    fn add(&mut self, text: &str, before: usize, behind: usize) {
        self.settle();
        let breaks = self.behind.max(before);
        if self.text.is_empty() {
            text.clone_into(&mut self.text);
            self.before = breaks;
        } else if self.text.len() + text.len() <= LONGEST {
            self.text.extend(std::iter::repeat_n('\n', breaks));
            self.text.push_str(text);
        }
        self.behind = behind;
    }
}

struct PlainWriter<'p> {
    page: &'p HtmlPage,
    style: PlainStyle,
    /// Those that are open, the innermost last.
    blocks: Vec<PlainBlock>,
    /// Headings around what is said.
    capitals: usize,
    /// Bytes that may still stand before lines, which each list and quote around them adds anew; `None`: more were wanted.
    room: Option<usize>,
}

impl PlainWriter<'_> {
    fn block(&mut self) -> Option<&mut PlainBlock> {
        self.blocks.last_mut()
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.room = self.room.and_then(|room| room.checked_sub(bytes));
        self.room.is_some()
    }

    fn is_white(&self, letter: char) -> bool {
        matches!(letter, ' ' | '\t' | '\r' | '\u{c}' | '\u{200b}') || (letter == '\n' && !self.style.keeps_lines)
    }

    /// All that is in a node.
    fn walk(&mut self, at: usize, is_in_item: bool) {
        let page = self.page;
        for child in page.children(at) {
            self.node(*child, is_in_item);
        }
    }

    fn node(&mut self, at: usize, is_in_item: bool) {
        let page = self.page;
        let Some(node) = page.nodes.get(at) else { return };
        match node.name.as_str() {
            "" => self.say(&node.text, true),
            "script" | "style" | "head" => {}
            "br" => self.break_line(),
            "wbr" => _ = self.block().map(|block| block.words.may_break = true),
            "a" => self.link(at, node.attribute("href").unwrap_or_default()),
            "img" => self.image(node.attribute("alt").unwrap_or_default(), node.attribute("src").unwrap_or_default()),
            "ul" => self.list(at, is_in_item, |_| " * ".to_owned()),
            "ol" => {
                let first = node.attribute("start").and_then(|start| start.trim().parse().ok()).unwrap_or(1_i64);
                let kind = node.attribute("type").unwrap_or_default().to_owned();
                self.list(at, is_in_item, |number| format!(" {}. ", numbered(first.saturating_add(number), &kind)));
            }
            "article" | "aside" | "div" | "footer" | "form" | "header" | "main" | "nav" | "section" => {
                self.in_block(1, 1, |writer| writer.walk(at, false));
            }
            "p" | "table" => self.in_block(2, 2, |writer| writer.walk(at, false)),
            "h1" | "h2" | "h3" => self.heading(at, 3),
            "h4" | "h5" | "h6" => self.heading(at, 2),
            "hr" => {
                let rule = "-".repeat(self.style.wrapped_at.unwrap_or(RULE));
                self.in_block(2, 2, |writer| writer.say(&rule, true));
            }
            "pre" => self.in_block(2, 2, |writer| {
                _ = writer.block().map(|block| block.is_pre = true);
                writer.walk(at, false);
            }),
            "blockquote" => self.quote(at),
            name => self.walk(at, name == "li"),
        }
    }

    fn open(&mut self, before: usize, reserved: usize) {
        let (longest, is_pre) =
            self.blocks.last().map_or((usize::MAX / 4, false), |block| (block.words.longest, block.is_pre));
        let longest = longest.saturating_sub(reserved).max(SHORTEST_LINE);
        self.blocks.push(PlainBlock { is_pre, ..PlainBlock::new(Some(longest), before) });
    }

    fn close(&mut self) -> (String, usize, usize) {
        let Some(mut block) = self.blocks.pop() else { return Default::default() };
        block.settle();
        (block.text, block.before, block.behind)
    }

    fn in_block(&mut self, before: usize, behind: usize, inside: impl FnOnce(&mut Self)) {
        self.open(before, 0);
        inside(self);
        let (text, before, own) = self.close();
        _ = self.block().map(|block| block.add(&text, before, behind.max(own)));
    }

    fn heading(&mut self, at: usize, before: usize) {
        self.in_block(before, 2, |writer| {
            writer.capitals += 1;
            writer.walk(at, false);
            writer.capitals -= 1;
        });
    }

    fn quote(&mut self, at: usize) {
        self.open(2, 2);
        self.walk(at, false);
        let (text, before, behind) = self.close();
        if !self.has_room(2 * lines_of(&text)) {
            return;
        }
        let lines: Vec<String> = text.trim_matches('\n').split('\n').map(|line| format!("> {line}")).collect();
        _ = self.block().map(|block| block.add(&lines.join("\n"), before, behind.max(2)));
    }

    /// A list's items, each behind its sign.
    fn list(&mut self, at: usize, is_nested: bool, sign: impl Fn(i64) -> String) {
        let page = self.page;
        let is_told = |child: &&usize| {
            let node = page.nodes.get(**child);
            node.is_some_and(|node| !node.name.is_empty() || !node.text.chars().all(char::is_whitespace))
        };
        let mut number = 0;
        let items: Vec<(usize, String)> = page
            .children(at)
            .iter()
            .filter(is_told)
            .map(|child| {
                if page.nodes.get(*child).is_none_or(|node| node.name != "li") {
                    return (*child, String::new());
                }
                let sign = sign(number);
                number += 1;
                (*child, if is_nested { sign.trim_start().to_owned() } else { sign })
            })
            .collect();
        let Some(width) = items.iter().map(|(_, sign)| sign.len()).max() else { return };
        let around = if is_nested { 1 } else { 2 };
        self.open(around, 0);
        for (item, sign) in items {
            self.open(1, width);
            self.node(item, false);
            let (text, before, behind) = self.close();
            if !self.has_room(width.saturating_mul(lines_of(&text))) {
                break;
            }
            let text = format!("{sign:width$}{}", text.replace('\n', &format!("\n{}", " ".repeat(width))));
            _ = self.block().map(|block| block.add(&text, before, behind.max(1)));
        }
        let (text, before, _) = self.close();
        if !text.is_empty() {
            _ = self.block().map(|block| block.add(&text, before, around));
        }
    }

    fn link(&mut self, at: usize, address: &str) {
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        self.walk(at, false);
        if address.is_empty() || address.starts_with('#') {
            return;
        }
        let mut words = String::new();
        self.page.text_of(at, &mut words);
        let has_words = words.chars().any(|letter| !self.is_white(letter) && letter != '\n');
        let address = if has_words { format!(" [{address}]") } else { address.to_owned() };
        self.say(&address, false);
    }

    fn image(&mut self, words: &str, source: &str) {
        let told = match (words, source) {
            (words, "") => words.to_owned(),
            ("", source) => format!("[{source}]"),
            (words, source) => format!("{words} [{source}]"),
        };
        self.say(&told, false);
    }

    fn break_line(&mut self) {
        let Some(block) = self.block() else { return };
        if block.is_pre { block.text.push('\n') } else { block.words.start_line(1) }
    }

    /// Words, and line ends where they count.
    fn pieces<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut pieces = Vec::new();
        let mut word = None;
        for (at, letter) in text.char_indices() {
            let is_end = letter == '\n' && self.style.keeps_lines;
            if !is_end && !self.is_white(letter) {
                word.get_or_insert(at);
                continue;
            }
            pieces.extend(word.take().and_then(|begin| text.get(begin..at)));
            if is_end {
                pieces.push("\n");
            }
        }
        pieces.extend(word.and_then(|begin| text.get(begin..)));
        pieces
    }

    /// `is_word`: headings write it in capitals.
    fn say(&mut self, text: &str, is_word: bool) {
        let pieces = self.pieces(text);
        let capitals = self.capitals > 0 && is_word;
        let starts_white = text.chars().next().is_some_and(|letter| self.is_white(letter));
        let ends_white = text.chars().next_back().is_some_and(|letter| self.is_white(letter));
        let Some(block) = self.blocks.last_mut() else { return };
        if block.is_pre {
            block.text.push_str(text);
            return;
        }
        if text.is_empty() || (block.behind > 0 && pieces.is_empty()) {
            return;
        }
        if !pieces.is_empty() && pieces.iter().all(|piece| *piece == "\n") {
            block.words.start_line(pieces.len());
            return;
        }
        if block.behind > 0 {
            block.words.start_line(std::mem::take(&mut block.behind));
        }
        let had_space = block.words.has_space;
        for (number, piece) in pieces.iter().enumerate() {
            let told = if capitals { piece.to_uppercase() } else { (*piece).to_owned() };
            match (*piece, number) {
                ("\n", _) => block.words.start_line(1),
                (_, 0) if !had_space && !starts_white => block.words.join(told),
                _ => block.words.push(told),
            }
        }
        block.words.has_space = (had_space && pieces.is_empty()) || ends_white;
    }
}

pub(super) fn lines_of(text: &str) -> usize {
    1 + text.bytes().filter(|byte| *byte == b'\n').count()
}

/// An item's number as lists write it.
fn numbered(number: i64, kind: &str) -> String {
    match kind {
        "a" => letters(number, 'a'),
        "A" => letters(number, 'A'),
        "i" => roman(number).to_lowercase(),
        "I" => roman(number),
        _ => number.to_string(),
    }
}

fn letters(number: i64, first: char) -> String {
    let mut left = number;
    let mut written = Vec::new();
    while left > 0 {
        left -= 1;
        let place = u8::try_from(left % 26).unwrap_or_default();
        written.push(char::from(u8::try_from(first).unwrap_or(b'a') + place));
        left /= 26;
    }
    written.iter().rev().collect()
}

fn roman(number: i64) -> String {
    const SIGNS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut left = number.clamp(0, 3999);
    let mut written = String::new();
    for (value, sign) in SIGNS {
        while left >= value {
            left -= value;
            written.push_str(sign);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What `html-to-text` 9.0.5 made of some pages.
    #[derive(Deserialize)]
    struct Recorded {
        html: String,
        wrapped: String,
        kept: String,
    }

    #[test]
    fn pages_are_told_as_html_to_text_tells_them() {
        let recorded: Vec<Recorded> = serde_json::from_str(include_str!("plain.json")).unwrap();
        for Recorded { html, wrapped, kept } in recorded {
            let told = plain(&html, PlainStyle { wrapped_at: Some(80), keeps_lines: false }).unwrap();
            assert_eq!(told, wrapped, "{html}");
            assert_eq!(plain(&html, PlainStyle { wrapped_at: None, keeps_lines: true }).unwrap(), kept, "{html}");
        }
    }

    #[test]
    fn lists_within_lists_make_no_more_of_a_page_than_it_may_have() {
        let lines = "x\n".repeat(400_000);
        let deep = |depth: usize, (open, close): (&str, &str)| {
            format!("{}<pre>{lines}</pre>{}", open.repeat(depth), close.repeat(depth))
        };
        let style = PlainStyle { wrapped_at: None, keeps_lines: true };
        for tags in [("<ol start=\"9223372036854775807\"><li>", "</li></ol>"), ("<blockquote>", "</blockquote>")] {
            assert!(plain(&deep(2, tags), style).is_ok());
            assert!(plain(&deep(60, tags), style).is_err());
        }
    }

    #[test]
    fn items_are_numbered_as_lists_number_them() {
        let of = |number, kind| numbered(number, kind);
        assert_eq!((of(1, "a"), of(26, "A"), of(28, "a")), ("a".to_owned(), "Z".to_owned(), "ab".to_owned()));
        assert_eq!((of(4, "I"), of(1994, "i"), of(7, "")), ("IV".to_owned(), "mcmxciv".to_owned(), "7".to_owned()));
    }
}
