//! Which letters the codes of a simple font stand for, by the names that its encoding gives them.

use std::collections::HashMap;
use std::rc::Rc;

use super::{FontFacts, NONSYMBOLIC, SYMBOLIC};
use crate::engine::documents::pdf::budget::PdfLimitExceeded;
use crate::engine::documents::pdf::file::PdfFile;
use crate::engine::documents::pdf::object::PdfObject;
use crate::engine::documents::pdf::tables;

/// As a text of one unit.
fn text_of(code: u32) -> Rc<str> {
    String::from_utf16_lossy(&[u16::try_from(code & 0xffff).unwrap_or_default()]).into()
}

pub(super) fn letter_of(name: &str) -> Option<Rc<str>> {
    code_of(name).map(text_of)
}

/// The letter that a name stands for, `uni20AC` and `u20AC` included.
fn code_of(name: &str) -> Option<u32> {
    if let Some(code) = tables::glyph(name) {
        return Some(u32::from(code));
    }
    let digits = match name.strip_prefix("uni").filter(|_| name.len() == 7) {
        Some(digits) => digits,
        None => name.strip_prefix('u').filter(|_| (5..=7).contains(&name.len()))?,
    };
    if digits.bytes().any(|byte| byte.is_ascii_lowercase()) { None } else { leading_hexadecimal(digits) }
}

fn leading_hexadecimal(text: &str) -> Option<u32> {
    let end = text.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(text.len());
    u32::from_str_radix(text.get(..end)?, 16).ok()
}

/// Names of letters by code.
pub(super) struct FontEncoding {
    base: Option<Rc<str>>,
    names: &'static [&'static str],
    differences: HashMap<u32, Rc<str>>,
}

impl FontEncoding {
    /// `None`: it is none.
    pub(super) fn read(file: &PdfFile<'_>, facts: &FontFacts<'_>) -> Result<Option<Self>, PdfLimitExceeded> {
        let mut differences = HashMap::new();
        let base = match file.field(facts.fields, "Encoding")? {
            PdfObject::Null => None,
            PdfObject::Name(name) => Some(name),
            PdfObject::Fields(fields) => {
                let list = file.field(&fields, "Differences")?;
                let mut code = 0_u32;
                for item in list.list().map(|list| list.iter()).unwrap_or_default() {
                    match file.resolved(item)? {
                        PdfObject::Name(name) => {
                            differences.insert(code, name);
                            code = code.saturating_add(1);
                        }
                        PdfObject::Number(number) => {
                            code = PdfObject::Number(number).index().and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
                        }
                        _ => return Ok(None),
                    }
                }
                file.field(&fields, "BaseEncoding")?.name().cloned()
            }
            _ => return Ok(None),
        };
        let base = base.filter(|name| matches!(&**name, "MacRomanEncoding" | "MacExpertEncoding" | "WinAnsiEncoding"));
        let name = facts.name.to_ascii_lowercase();
        let default = match &base {
            Some(base) => base,
            None if facts.flags & SYMBOLIC != 0 => match () {
                () if !facts.has_file && name.contains("symbol") => "SymbolSetEncoding",
                () if !facts.has_file && name.contains("dingbats") => "ZapfDingbatsEncoding",
                () => "MacRomanEncoding",
            },
            None if &*facts.kind == "TrueType" && facts.flags & NONSYMBOLIC == 0 => "WinAnsiEncoding",
            None => "StandardEncoding",
        };
        let names = tables::encoding(default);
        Ok(Some(Self { base, names, differences }))
    }

    /// Whether the file says anything about it.
    pub(super) fn is_given(&self) -> bool {
        self.base.is_some() || !self.differences.is_empty()
    }

    fn default_name(&self, code: u32) -> &'static str {
        usize::try_from(code).ok().and_then(|code| self.names.get(code)).copied().unwrap_or_default()
    }

    pub(super) fn letters(&self) -> HashMap<u32, Rc<str>> {
        let mut letters = HashMap::new();
        let own = self.differences.keys().copied().filter(|code| *code > 255);
        for code in (0..256).chain(own) {
            let differs = self.differences.get(&code).map(|name| &**name).filter(|name| *name != ".notdef");
            let name = differs.unwrap_or_else(|| self.default_name(code));
            if !name.is_empty() {
                letters.extend(self.letter(code, name).map(|letter| (code, letter)));
            }
        }
        letters
    }

    /// Names that are no names but numbers are numbers: `G41`, `g0041`, `c65`.
    fn letter(&self, code: u32, name: &str) -> Option<Rc<str>> {
        if let Some(letter) = tables::glyph(name) {
            return Some(text_of(u32::from(letter)));
        }
        let rest = name.get(1..).unwrap_or_default();
        let found = match name.as_bytes().first() {
            Some(b'G') => {
                if name.len() == 3 {
                    leading_hexadecimal(rest)
                } else {
                    None
                }
            }
            Some(b'g') => {
                if name.len() == 5 {
                    leading_hexadecimal(rest)
                } else {
                    None
                }
            }
            Some(b'C' | b'c') => {
                if name.len() >= 3 {
                    rest.parse().ok()
                } else {
                    None
                }
            }
            _ => code_of(name),
        };
        let found = found.filter(|found| *found != 0)?;
        let own = self.base.as_ref().filter(|_| found == code).and_then(|_| tables::glyph(self.default_name(code)));
        Some(text_of(own.map_or(found, u32::from)))
    }

    pub(super) fn width(&self, code: u32, widths: &HashMap<&'static str, f64>) -> Option<f64> {
        let differs = self.differences.get(&code).and_then(|name| widths.get(&**name));
        differs.or_else(|| widths.get(self.default_name(code))).copied().filter(|width| *width != 0.0)
    }
}
