//! XML as office files have it: elements, attributes and texts. Nothing is declared, and so nothing grows.

/// Elements within each other; each is looked at on the stack of the one around it.
const DEEPEST: usize = 200;
const MOST_NODES: usize = 4 << 20;

/// An element with all that is in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct XmlElement {
    /// As it is written, with its prefix.
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<XmlNode>,
}

#[derive(Debug, PartialEq)]
pub(super) enum XmlNode {
    Element(XmlElement),
    Text(String),
}

impl XmlElement {
    /// The one element of a text.
    ///
    /// # Errors
    /// It is none, or too deep.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut open: Vec<Self> = vec![Self::default()];
        let mut rest = text;
        let mut count = 0_usize;
        while !rest.is_empty() {
            count += 1;
            if open.len() > DEEPEST || count > MOST_NODES {
                return Err("the XML of the file is too deep or too large".to_owned());
            }
            let (plain, markup) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            if !plain.is_empty() {
                add(&mut open, XmlNode::Text(unescaped(plain)));
            }
            rest = markup_of(markup, &mut open);
        }
        while open.len() > 1 {
            close(&mut open);
        }
        let root = open.pop().unwrap_or_default();
        let mut elements = root.children.into_iter().filter_map(|node| match node {
            XmlNode::Element(element) => Some(element),
            XmlNode::Text(_) => None,
        });
        elements.next().ok_or_else(|| "there is no XML in the file".to_owned())
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            XmlNode::Element(element) => Some(element),
            XmlNode::Text(_) => None,
        })
    }

    pub(super) fn first(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.name == name)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The name without its prefix.
    pub(super) fn local(&self) -> &str {
        self.name.rsplit_once(':').map_or(&self.name, |(_, local)| local)
    }

    /// The texts that stand in it itself.
    pub(super) fn text(&self) -> String {
        let text = |node: &XmlNode| match node {
            XmlNode::Text(text) => Some(text.clone()),
            XmlNode::Element(_) => None,
        };
        self.children.iter().filter_map(text).collect()
    }

    /// Each element of that local name, at whatever depth, in order.
    pub(super) fn each<'x>(&'x self, local: &str, found: &mut Vec<&'x Self>) {
        for element in self.elements() {
            if element.local() == local {
                found.push(element);
            }
            element.each(local, found);
        }
    }
}

fn add(open: &mut [XmlElement], node: XmlNode) {
    if let Some(last) = open.last_mut() {
        last.children.push(node);
    }
}

fn close(open: &mut Vec<XmlElement>) {
    if open.len() > 1
        && let Some(element) = open.pop()
    {
        add(open, XmlNode::Element(element));
    }
}

/// A tag, a comment or anything else that begins with `<`; what comes after it.
fn markup_of<'t>(markup: &'t str, open: &mut Vec<XmlElement>) -> &'t str {
    let until = |begin: &str, end: &str| {
        let inside = markup.strip_prefix(begin)?;
        Some(inside.split_once(end).unwrap_or((inside, "")))
    };
    if let Some((_, after)) = until("<!--", "-->").or_else(|| until("<?", "?>")) {
        return after;
    }
    if let Some((text, after)) = until("<![CDATA[", "]]>") {
        add(open, XmlNode::Text(text.to_owned()));
        return after;
    }
    if let Some((_, after)) = until("<!", ">") {
        return after;
    }
    if let Some((name, after)) = until("</", ">") {
        // An end that nothing begins is passed over.
        if open.iter().skip(1).any(|element| element.name == name.trim()) {
            while open.last().is_some_and(|element| element.name != name.trim()) {
                close(open);
            }
            close(open);
        }
        return after;
    }
    let Some((element, is_whole, after)) = markup.strip_prefix('<').and_then(tag) else {
        return markup.get(1..).unwrap_or_default();
    };
    open.push(element);
    if is_whole {
        close(open);
    }
    after
}

/// The element that a tag begins, whether that is all of it, and what comes after the tag.
fn tag(inside: &str) -> Option<(XmlElement, bool, &str)> {
    let is_end = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '>' | '/' | '=');
    let (name, mut rest) = inside.split_at(inside.find(is_end)?);
    let mut element = XmlElement { name: name.to_owned(), ..XmlElement::default() };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        let (name, after) = rest.split_at(rest.find(is_end)?);
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            rest = if name.is_empty() { rest.get(1..)? } else { after };
            continue;
        };
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = value.get(1..)?.split_once(quote)?;
        if element.attributes.len() < 256 {
            element.attributes.push((name.to_owned(), unescaped(value)));
        }
        rest = after;
    }
}

/// The five names and the numbers; whatever else looks like one is left as it is.
fn unescaped(text: &str) -> String {
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
    out
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

    #[test]
    fn elements_attributes_and_texts_are_read() {
        let text = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x \"y\">]><w:a b=\"1 &lt; 2\" c='d'>x &amp; &#65;&#x42;&x;\
                    <!-- no --><e/><![CDATA[<raw>]]></w:a>";
        let element = XmlElement::parse(text).unwrap();
        assert_eq!((element.name.as_str(), element.local()), ("w:a", "a"));
        assert_eq!((element.attribute("b"), element.attribute("c")), (Some("1 < 2"), Some("d")));
        assert_eq!(element.text(), "x & AB&x;<raw>");
        assert!(element.first("e").is_some());
    }

    #[test]
    fn what_is_broken_ends() {
        for text in
            ["", "text", "<", "<a", "<a b", "<a b=", "<a b='", "</a>", "<a>", "<a></b></a>", "<!--", "<![CDATA["]
        {
            let _ = XmlElement::parse(text);
        }
        assert!(XmlElement::parse(&"<a>".repeat(300)).is_err());
        assert_eq!(XmlElement::parse("<a><b>x</a>").unwrap().elements().count(), 1);
    }
}
