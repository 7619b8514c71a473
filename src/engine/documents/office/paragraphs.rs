//! Paragraphs of slides and of Word files as `officeparser` 5 tells them: one a line, whatever they stand in.

use std::borrow::Cow;

use super::xml::{XmlDocument, XmlElement};
use super::zip::ZipFolder;

/// Bytes of what is told: paragraphs within others are told again with each of them.
const LONGEST: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// All slides of a presentation in their order, each with its notes behind it.
///
/// # Errors
/// It is no such file, or too large.
pub(crate) fn of_slides(bytes: &[u8]) -> Result<String, String> {
    let no_file = || "the file is no PowerPoint file (PPTX), or it is damaged".to_owned();
    let folder = ZipFolder::open(bytes).ok_or_else(no_file)?;
    let mut parts: Vec<(u64, bool, &str)> = folder.names().filter_map(slide).collect();
    parts.sort_unstable();
    if parts.iter().all(|(_, is_note, _)| *is_note) {
        return Err(no_file());
    }
    told(&folder, parts.into_iter().map(|(_, _, name)| name), ["a:p", "a:t"])
}

/// The text of a Word file, and its notes.
///
/// # Errors
/// As [`of_slides`].
pub(crate) fn of_word(bytes: &[u8]) -> Result<String, String> {
    let no_file = || "the file is no Word file (DOCX), or it is damaged".to_owned();
    let folder = ZipFolder::open(bytes).ok_or_else(no_file)?;
    let is_numbered = |name: &str, stem: &str| {
        let rest = name
            .strip_prefix("word/")
            .and_then(|name| name.strip_prefix(stem))
            .and_then(|rest| rest.strip_suffix(".xml"));
        rest.is_some_and(|rest| rest.len() < 2 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !folder.names().any(|name| is_numbered(name, "document")) {
        return Err(no_file());
    }
    let parts =
        folder.names().filter(|name| ["document", "footnotes", "endnotes"].iter().any(|stem| is_numbered(name, stem)));
    told(&folder, parts, ["w:p", "w:t"])
}

/// A slide or its notes: its number, and whether these are notes.
fn slide(name: &str) -> Option<(u64, bool, &str)> {
    let (rest, is_note) = match name.strip_prefix("ppt/slides/slide") {
        Some(rest) => (rest, false),
        None => (name.strip_prefix("ppt/notesSlides/notesSlide")?, true),
    };
    let digits = rest.strip_suffix(".xml").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((digits.parse().ok()?, is_note, name))
}

fn told<'n>(
    folder: &ZipFolder<'_>,
    parts: impl Iterator<Item = &'n str>,
    [paragraph, text]: [&str; 2],
) -> Result<String, String> {
    let mut all = Vec::new();
    let mut bytes = 0_usize;
    for part in parts {
        let Some(xml) = folder.text(part)? else { continue };
        let document = XmlDocument::parse(&xml)?;
        let mut lines = Vec::new();
        for paragraph in named(document.root()?, paragraph) {
            let texts = named(paragraph, text);
            if texts.is_empty() {
                continue;
            }
            // Texts without a letter are looked at as often as others.
            bytes = bytes.saturating_add(texts.len());
            let mut line = String::new();
            for text in texts.into_iter().filter_map(first_text) {
                bytes = bytes.saturating_add(text.len());
                if bytes > LONGEST {
                    return Err("the text of the file is too long".to_owned());
                }
                line.push_str(&text);
            }
            lines.push(line);
        }
        all.push(lines.join("\n"));
    }
    Ok(all.join("\n"))
}

/// Each element of that name, at whatever depth, in order.
fn named<'x>(root: XmlElement<'x>, name: &str) -> Vec<XmlElement<'x>> {
    let mut found = Vec::new();
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    root.each(local, &mut found);
    found.retain(|element| element.name() == name);
    found
}

fn first_text(element: XmlElement<'_>) -> Option<Cow<'_, str>> {
    element.first_text()
}

#[cfg(test)]
mod tests {
    use super::super::zip::zipped;
    use super::*;

    fn slide(texts: &[&str]) -> String {
        let paragraph = |text: &&str| format!("<a:p><a:r><a:t>{text}</a:t></a:r><a:r><a:t>!</a:t></a:r></a:p>");
        let paragraphs: String = texts.iter().map(paragraph).collect();
        format!("<p:sld xmlns:a='a' xmlns:p='p'><p:txBody>{paragraphs}<a:p/></p:txBody></p:sld>")
    }

    #[test]
    fn slides_are_told_in_their_order_with_their_notes() {
        let parts = [
            ("ppt/slides/slide10.xml", slide(&["ten"])),
            ("ppt/notesSlides/notesSlide2.xml", slide(&["note"])),
            ("ppt/slides/slide2.xml", slide(&["two", "a &amp; b"])),
            ("ppt/slides/_rels/slide2.xml", slide(&["not told"])),
            ("ppt/slideLayouts/slideLayout1.xml", slide(&["not told"])),
        ];
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        assert_eq!(of_slides(&zipped(&parts)).unwrap(), "two!\na &amp; b!\nnote!\nten!".replace("&amp;", "&"));
        assert!(of_slides(&zipped(&parts[1..2])).unwrap_err().contains("no PowerPoint file"));
        assert!(of_slides(b"\xd0\xcf\x11\xe0").is_err());
    }

    #[test]
    fn paragraphs_of_word_are_lines_and_notes_come_with_them() {
        let part = |text: &str| {
            format!("<w:d xmlns:w='w'><w:p><w:r><w:t>{text}</w:t><w:tab/></w:r></w:p><w:p/><w:p><w:t/></w:p></w:d>")
        };
        let (body, notes) = (part("body"), part("note"));
        let file = zipped(&[("word/document.xml", body.as_bytes()), ("word/footnotes.xml", notes.as_bytes())]);
        assert_eq!(of_word(&file).unwrap(), "body\n\nnote\n");
        assert!(of_word(&zipped(&[("word/other.xml", body.as_bytes())])).is_err());
    }

    #[test]
    fn paragraphs_within_others_cannot_make_much_of_little() {
        let deep = format!("{}<w:t>{}</w:t>{}", "<w:p>".repeat(150), "x".repeat(20_000), "</w:p>".repeat(150));
        let body = format!("<w:d>{deep}</w:d>");
        assert!(of_word(&zipped(&[("word/document.xml", body.as_bytes())])).unwrap_err().contains("too long"));
    }
}
