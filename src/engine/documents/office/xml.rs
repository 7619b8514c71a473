//! XML as office files have it: elements, attributes and texts. Nothing is declared, and so nothing grows.
//!
//! A document is its text and a few numbers for each element: names, attributes and texts are read where they stand, by
//! whoever asks for them. What a file packs very many of takes no more memory than that.

use std::borrow::Cow;

/// Elements within each other; each is looked at on the stack of the one around it.
const DEEPEST: usize = 200;
const MOST_NODES: usize = 4 << 20;
/// Attributes of one element.
const MOST_ATTRIBUTES: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct XmlDocument<'t> {
    text: &'t str,
    /// In the order of the text; the first is around all others.
    parts: Vec<XmlPart>,
}

/// An element or a text, by its places in the document.
#[derive(Debug, Clone, Copy)]
struct XmlPart {
    /// Where its name or its text begins.
    begin: u32,
    /// Of an element the first part in it, of a text its end.
    inside: u32,
    /// The next part beside it; 0: none.
    next: u32,
    kind: XmlKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlKind {
    /// With the length of its name.
    Element(u16),
    Text,
    /// In which nothing stands for something else.
    Plain,
}

/// An element with all that is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct XmlElement<'x> {
    document: &'x XmlDocument<'x>,
    part: XmlPart,
}

impl<'t> XmlDocument<'t> {
    /// # Errors
    /// It is too deep or too large.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        let around = XmlPart { begin: 0, inside: 0, next: 0, kind: XmlKind::Element(0) };
        let mut reader = XmlReader { document: Self { text, parts: vec![around] }, open: vec![(0, 0)] };
        let mut rest = text;
        while !rest.is_empty() {
            let is_too_large = reader.document.parts.len() > MOST_NODES || u32::try_from(text.len()).is_err();
            if reader.open.len() > DEEPEST || is_too_large {
                return Err("the XML of the file is too deep or too large".to_owned());
            }
            let (plain, markup) = rest.split_at(memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len()));
            reader.text(plain, XmlKind::Text);
            rest = reader.markup(markup);
        }
        Ok(reader.document)
    }

    /// The one element that is all of it.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn root(&self) -> Result<XmlElement<'_>, String> {
        let around = self.parts.first().map(|part| XmlElement { document: self, part: *part });
        around.and_then(|around| around.elements().next()).ok_or_else(|| "there is no XML in the file".to_owned())
    }

    fn part(&self, at: u32) -> Option<XmlPart> {
        // 0 is the one around all others, which is nobody's.
        self.parts.get(at as usize).copied().filter(|_| at > 0)
    }

    fn slice(&self, begin: u32, end: u32) -> &str {
        self.text.get(begin as usize..end as usize).unwrap_or_default()
    }

    /// Nothing: it is an element.
    fn text(&self, part: XmlPart) -> Option<Cow<'_, str>> {
        match part.kind {
            XmlKind::Text => Some(unescaped(self.slice(part.begin, part.inside))),
            XmlKind::Plain => Some(self.slice(part.begin, part.inside).into()),
            XmlKind::Element(_) => None,
        }
    }

    fn name(&self, part: XmlPart) -> &str {
        match part.kind {
            XmlKind::Element(length) => self.slice(part.begin, part.begin.saturating_add(u32::from(length))),
            XmlKind::Text | XmlKind::Plain => "",
        }
    }
}

impl<'x> XmlElement<'x> {
    /// As it is written, with its prefix.
    pub(super) fn name(&self) -> &'x str {
        self.document.name(self.part)
    }

    /// The name without its prefix.
    pub(super) fn local(&self) -> &'x str {
        self.name().rsplit_once(':').map_or(self.name(), |(_, local)| local)
    }

    /// Names and values, as far as they are looked at.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'x str, Cow<'x, str>)> + use<'x> {
        let behind = self.part.begin as usize + self.name().len();
        let attributes = XmlAttributes { rest: self.document.text.get(behind..).unwrap_or_default() };
        attributes.take(MOST_ATTRIBUTES).map(|(name, value)| (name, unescaped(value)))
    }

    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'x, str>> {
        self.attributes().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn parts(&self) -> impl Iterator<Item = XmlPart> + use<'x> {
        let document = self.document;
        std::iter::successors(document.part(self.part.inside), move |part| document.part(part.next))
    }

    /// The text that it begins with.
    pub(super) fn first_text(&self) -> Option<Cow<'x, str>> {
        self.document.text(self.parts().next()?)
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = XmlElement<'x>> + use<'x> {
        let document = self.document;
        let elements = self.parts().filter(|part| matches!(part.kind, XmlKind::Element(_)));
        elements.map(move |part| XmlElement { document, part })
    }

    pub(super) fn first(&self, name: &str) -> Option<XmlElement<'x>> {
        self.elements().find(|element| element.name() == name)
    }

    /// The texts that stand in it itself.
    pub(super) fn text(&self) -> String {
        let document = self.document;
        self.parts().filter_map(|part| document.text(part)).collect()
    }

    /// Each element of that local name, at whatever depth, in order.
    pub(super) fn each(&self, local: &str, found: &mut Vec<XmlElement<'x>>) {
        for element in self.elements() {
            if element.local() == local {
                found.push(element);
            }
            element.each(local, found);
        }
    }
}

struct XmlReader<'t> {
    document: XmlDocument<'t>,
    /// Elements whose end has not come, and the last part in each so far; the first is around all others.
    open: Vec<(u32, u32)>,
}

impl<'t> XmlReader<'t> {
    /// Where a piece of the text is in it. All are shorter than 4 GiB.
    fn place(&self, piece: &str) -> u32 {
        let begin = piece.as_ptr().addr().saturating_sub(self.document.text.as_ptr().addr());
        u32::try_from(begin).unwrap_or(u32::MAX)
    }

    fn add(&mut self, part: XmlPart) -> u32 {
        let at = u32::try_from(self.document.parts.len()).unwrap_or(u32::MAX);
        self.document.parts.push(part);
        if let Some((around, last)) = self.open.last_mut() {
            let (before, is_first) = if *last == 0 { (*around, true) } else { (*last, false) };
            *last = at;
            match self.document.parts.get_mut(before as usize) {
                Some(around) if is_first => around.inside = at,
                Some(before) => before.next = at,
                None => {}
            }
        }
        at
    }

    fn text(&mut self, text: &str, kind: XmlKind) {
        if !text.is_empty() {
            let begin = self.place(text);
            let inside = begin.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
            self.add(XmlPart { begin, inside, next: 0, kind });
        }
    }

    /// A tag, a comment or anything else that begins with `<`; what comes after it.
    fn markup(&mut self, markup: &'t str) -> &'t str {
        let until = |begin: &str, end: &str| {
            let inside = markup.strip_prefix(begin)?;
            Some(inside.split_once(end).unwrap_or((inside, "")))
        };
        if let Some((_, after)) = until("<!--", "-->").or_else(|| until("<?", "?>")) {
            return after;
        }
        if let Some((text, after)) = until("<![CDATA[", "]]>") {
            self.text(text, XmlKind::Plain);
            return after;
        }
        if let Some((_, after)) = until("<!", ">") {
            return after;
        }
        if let Some((name, after)) = until("</", ">") {
            self.end(name.trim());
            return after;
        }
        let Some((name, is_whole, after)) = markup.strip_prefix('<').and_then(tag) else {
            return markup.get(1..).unwrap_or_default();
        };
        let (begin, length) = (self.place(name), u16::try_from(name.len()).unwrap_or_default());
        let at = self.add(XmlPart { begin, inside: 0, next: 0, kind: XmlKind::Element(length) });
        if !is_whole {
            self.open.push((at, 0));
        }
        after
    }

    /// An end that nothing begins is passed over.
    fn end(&mut self, name: &str) {
        let is_meant =
            |(at, _): &(u32, u32)| self.document.part(*at).is_some_and(|part| self.document.name(part) == name);
        if let Some(place) = self.open.iter().rposition(is_meant) {
            self.open.truncate(place.max(1));
        }
    }
}

/// What ends a name. None has a `<` in it: so no part of a text is looked at again and again for the end of a tag.
fn is_end(letter: char) -> bool {
    letter.is_ascii_whitespace() || matches!(letter, '>' | '/' | '=' | '<')
}

/// The name of the element that a tag begins, whether that is all of it, and what comes after the tag.
fn tag(inside: &str) -> Option<(&str, bool, &str)> {
    let (name, rest) = inside.split_at(inside.find(is_end)?);
    if u16::try_from(name.len()).is_err() {
        return None;
    }
    let mut attributes = XmlAttributes { rest };
    attributes.by_ref().for_each(drop);
    match (attributes.rest.strip_prefix("/>"), attributes.rest.strip_prefix('>')) {
        (Some(after), _) => Some((name, true, after)),
        (None, after) => Some((name, false, after?)),
    }
}

/// Attributes, from behind an element's name on. What is left begins with the end of the tag, if there is one.
struct XmlAttributes<'t> {
    rest: &'t str,
}

impl<'t> Iterator for XmlAttributes<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with(['>', '<']) || self.rest.starts_with("/>") {
                return None;
            }
            let (name, after) = self.rest.split_at(self.rest.find(is_end)?);
            let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
                self.rest = if name.is_empty() { self.rest.get(1..)? } else { after };
                continue;
            };
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, after) = value.get(1..)?.split_once(quote)?;
            self.rest = after;
            return Some((name, value));
        }
    }
}

/// The five names and the numbers; whatever else looks like one is left as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let known = part.split_once(';').and_then(|(name, after)| Some((letter(name)?, after)));
        if let Some((letter, after)) = known {
            out.push(letter);
            out.push_str(after);
        } else {
            out.push('&');
            out.push_str(part);
        }
    }
    out.into()
}

fn letter(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(element: XmlElement<'_>) -> String {
        let document = element.document;
        let part = |part| document.text(part).map_or_else(|| shown(XmlElement { document, part }), Cow::into_owned);
        let inside: Vec<String> = element.parts().map(part).collect();
        format!("{}({})", element.name(), inside.join(","))
    }

    fn told(text: &str) -> String {
        let document = XmlDocument::parse(text).unwrap();
        document.root().map_or_else(|error| error, shown)
    }

    #[test]
    fn elements_attributes_and_texts_are_read() {
        let text = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x \"y\">]><w:a b=\"1 &lt; 2\" c='d'>x &amp; &#65;&#x42;&x;\
                    <!-- no --><e/><![CDATA[<raw>]]></w:a>";
        let document = XmlDocument::parse(text).unwrap();
        let element = document.root().unwrap();
        assert_eq!((element.name(), element.local()), ("w:a", "a"));
        assert_eq!((element.attribute("b").as_deref(), element.attribute("c").as_deref()), (Some("1 < 2"), Some("d")));
        assert_eq!(element.text(), "x & AB&x;<raw>");
        assert!(element.first("e").is_some());
        assert_eq!(told("<a>1<b>2<c/>3</b><d e f='/>'>4</d>5</a><g/>"), "a(1,b(2,c(),3),d(4),5)");
    }

    #[test]
    fn what_is_broken_ends() {
        for text in [
            "",
            "text",
            "<",
            "<a",
            "<a b",
            "<a b=",
            "<a b='",
            "</a>",
            "<a>",
            "<a></b></a>",
            "<!--",
            "<![CDATA[",
            "<a/b>",
        ] {
            let document = XmlDocument::parse(text).unwrap();
            let _ = document.root().map(|root| root.text());
        }
        assert!(XmlDocument::parse(&"<a>".repeat(300)).is_err());
        assert_eq!(told("<a><b>x</a>y"), "a(b(x))");
        assert_eq!(told("<a>1<b<c>2</c>3</a>"), "a(1,b,c(2),3)");
        assert_eq!(told("no"), "there is no XML in the file");
    }

    #[test]
    fn signs_that_begin_no_tag_are_read_once() {
        for sign in ["<", "<a", "<a =", "<a b=\"", "<a b='\"", "</a", "<a/", "&", "<!", "<a <"] {
            let text = format!("<r>{}", sign.repeat(200_000));
            let document = XmlDocument::parse(&text).unwrap();
            assert!(document.parts.len() <= text.len(), "{sign}");
        }
    }

    #[test]
    fn what_is_read_of_a_text_is_no_larger_than_it() {
        assert!(size_of::<XmlPart>() <= 16);
        let text = format!("<r>{}</r>", "<a b='' c='' d='' e='' f='' g='' h=''/>".repeat(1000));
        assert_eq!(XmlDocument::parse(&text).unwrap().parts.len(), 1002);
    }
}
