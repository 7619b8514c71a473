//! The text of PDF files, page by page, as Flowise's loader has it: `LangChain`'s, with the pdf.js 1.10 of `pdf-parse`.
//!
//! A file is anybody's: everything that is followed is bounded (`budget.rs`), what is broken is passed over, and pictures
//! are not looked at.

mod bidi;
mod budget;
mod cmap;
mod content;
mod crypt;
mod file;
mod filter;
mod font;
mod lexer;
mod object;
mod tables;

use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use self::budget::{PdfBudget, PdfLimitExceeded};
use self::content::{PageReader, PdfFonts, TextItem};
use self::file::{PdfFile, PdfRefusal};
use self::object::{PdfFields, PdfObject};

/// For one file.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of one file.
const MOST_PAGES: usize = 20_000;
/// Bytes of one page's content.
const LONGEST_CONTENT: usize = 64 << 20;
/// Nodes of the tree of pages.
const DEEPEST: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct PdfText {
    /// Those that have any text, by their number.
    pub(crate) pages: Vec<(usize, String)>,
    /// Whether they have text or not.
    pub(crate) page_count: usize,
    /// What the file says about itself.
    pub(crate) info: Map<String, Value>,
}

/// A page and what it has from those above it.
struct PdfPage {
    fields: Rc<PdfFields>,
    resources: Rc<PdfFields>,
}

/// Where the file begins: some have something before their head.
fn head_of(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes.get(..1024).unwrap_or(bytes), b"%PDF-")
}

/// Whether it begins as such a file does.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    head_of(bytes).is_some()
}

/// The text of a file.
///
/// # Errors
/// It is no such file, nobody may read it, or there is no end to it.
pub(crate) fn read(bytes: &[u8]) -> Result<PdfText, String> {
    read_until(bytes, Instant::now() + PATIENCE).map_err(|refusal| {
        let words = match refusal {
            PdfRefusal::NoPdf => "the file is no PDF file, or it is damaged",
            PdfRefusal::Locked => "the PDF file asks for a password",
            PdfRefusal::LimitExceeded => "the PDF file takes too much work to read",
        };
        words.to_owned()
    })
}

fn read_until(bytes: &[u8], deadline: Instant) -> Result<PdfText, PdfRefusal> {
    let budget = PdfBudget::until(deadline);
    // What comes before the head moves all places.
    let begin = head_of(bytes).ok_or(PdfRefusal::NoPdf)?;
    let bytes = bytes.get(begin..).unwrap_or_default();
    let file = PdfFile::open(bytes, &budget)?;
    let info = info(&file, bytes)?;
    let pages = pages(&file)?;
    let page_count = pages.len();
    let mut fonts = PdfFonts::new();
    let mut texts = Vec::new();
    for (number, page) in (1..).zip(pages) {
        let mut reader = PageReader { file: &file, fonts: &mut fonts, items: Vec::new() };
        reader.page(&content(&file, &page)?, page.resources)?;
        if !reader.items.is_empty() {
            texts.push((number, joined(&reader.items)));
        }
    }
    Ok(PdfText { pages: texts, page_count, info })
}

/// A new line where the height changes; a height of nothing is as good as none.
fn joined(items: &[TextItem]) -> String {
    let mut text = String::new();
    let mut last: Option<f64> = None;
    for item in items {
        let is_same = last.is_none_or(|last| last == 0.0 || last.is_nan() || last.to_bits() == item.y.to_bits());
        if !is_same {
            text.push('\n');
        }
        text.push_str(&item.text);
        last = Some(item.y);
    }
    text
}

fn content(file: &PdfFile<'_>, page: &PdfPage) -> Result<Vec<u8>, PdfLimitExceeded> {
    let contents = file.field(&page.fields, "Contents")?;
    let mut content = Vec::new();
    for part in file.each(&contents)? {
        if let Some(stream) = part.stream() {
            content.append(&mut file.unpacked(stream)?);
            if content.len() > LONGEST_CONTENT {
                return Err(PdfLimitExceeded);
            }
        }
    }
    Ok(content)
}

fn pages(file: &PdfFile<'_>) -> Result<Vec<PdfPage>, PdfLimitExceeded> {
    let root = file.field(&file.trailer, "Root")?;
    let first = root.fields().and_then(|root| root.get("Pages")).cloned().unwrap_or_default();
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    let mut left = vec![(first, Rc::new(PdfFields::new()), 0)];
    while let Some((node, above, depth)) = left.pop() {
        file.budget.object()?;
        if let PdfObject::Ref(id) = node
            && !seen.insert(id)
        {
            continue;
        }
        let node = file.resolved(&node)?;
        let Some(fields) = node.fields().filter(|_| depth < DEEPEST && pages.len() < MOST_PAGES) else { continue };
        let own = file.field(fields, "Resources")?;
        let resources = own.fields().map_or(above, Rc::clone);
        let kids = file.field(fields, "Kids")?;
        if let Some(kids) = kids.list() {
            left.extend(kids.iter().rev().map(|kid| (kid.clone(), Rc::clone(&resources), depth + 1)));
        } else {
            pages.push(PdfPage { fields: Rc::clone(fields), resources });
        }
    }
    Ok(pages)
}

fn info(file: &PdfFile<'_>, bytes: &[u8]) -> Result<Map<String, Value>, PdfLimitExceeded> {
    let root = file.field(&file.trailer, "Root")?;
    let root = root.fields().map(Rc::clone).unwrap_or_default();
    let form = file.field(&root, "AcroForm")?;
    let xfa = match form.fields() {
        Some(form) => !matches!(file.field(form, "XFA")?, PdfObject::Null),
        None => false,
    };
    let fields = match form.fields() {
        Some(form) => file.field(form, "Fields")?.list().is_some_and(|fields| !fields.is_empty()),
        None => false,
    };
    let head: String = bytes.iter().skip(5).take(12).take_while(|b| **b > b' ').map(|b| char::from(*b)).collect();
    let version = file.field(&root, "Version")?.name().map_or(head, ToString::to_string);
    let mut told = Map::new();
    told.insert("PDFFormatVersion".to_owned(), version.into());
    told.insert("IsAcroFormPresent".to_owned(), (fields || xfa).into());
    told.insert("IsXFAPresent".to_owned(), xfa.into());
    let info = file.field(&file.trailer, "Info")?;
    let names = ["Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate", "Trapped"];
    for name in names {
        let Some(info) = info.fields() else { break };
        let value = match file.field(info, name)? {
            PdfObject::Text(text) if name != "Trapped" => told_text(&text).into(),
            PdfObject::Name(text) if name == "Trapped" => json!({ "name": &*text }),
            _ => continue,
        };
        told.insert(name.to_owned(), value);
    }
    Ok(told)
}

/// What `PDFDocEncoding` has in the place of control codes.
const ACCENTS: [u16; 8] = [0x2d8, 0x2c7, 0x2c6, 0x2d9, 0x2dd, 0x2db, 0x2da, 0x2dc];
const SIGNS: [u16; 33] = [
    0x2022, 0x2020, 0x2021, 0x2026, 0x2014, 0x2013, 0x192, 0x2044, 0x2039, 0x203a, 0x2212, 0x2030, 0x201e, 0x201c,
    0x201d, 0x2018, 0x2019, 0x201a, 0x2122, 0xfb01, 0xfb02, 0x141, 0x152, 0x160, 0x178, 0x17d, 0x131, 0x142, 0x153,
    0x161, 0x17e, 0, 0x20ac,
];

fn told_text(text: &[u8]) -> String {
    if let Some(units) = text.strip_prefix(&[0xfe, 0xff]) {
        let unit = |pair: &[u8]| {
            let byte = |at: usize| u16::from(pair.get(at).copied().unwrap_or_default());
            byte(0) << 8 | byte(1)
        };
        return String::from_utf16_lossy(&units.chunks(2).map(unit).collect::<Vec<_>>());
    }
    let unit = |byte: &u8| {
        let other = match byte {
            0x18..=0x1f => ACCENTS.get(usize::from(byte - 0x18)),
            0x80..=0xa0 => SIGNS.get(usize::from(byte - 0x80)),
            _ => None,
        };
        other.copied().filter(|unit| *unit != 0).unwrap_or(u16::from(*byte))
    };
    String::from_utf16_lossy(&text.iter().map(unit).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
