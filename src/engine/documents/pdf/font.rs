//! Fonts, as far as they say which letters a text has and how wide they are. The rules are those of pdf.js 1.10, which
//! Flowise's loader asks: what it makes of a file is what flows were tried with.

mod encoding;

use std::collections::HashMap;
use std::rc::Rc;

use self::encoding::{FontEncoding, letter_of};
use super::budget::PdfLimitExceeded;
use super::cmap::{CharacterMap, letters};
use super::file::PdfFile;
use super::lexer::is_space;
use super::object::{PdfFields, PdfObject};
use super::tables::{self, FontWidths};

const FIXED_PITCH: u32 = 1;
const SYMBOLIC: u32 = 4;
const NONSYMBOLIC: u32 = 32;
/// Letters whose width stands for that of a space, if there is none: a minus, `1`, `i`, `I`.
const LIKE_SPACES: [u32; 5] = [0x20, 0x2212, 0x31, 0x69, 0x49];

#[derive(Debug, Default)]
pub(super) struct PdfFont {
    /// Texts have nothing to tell with it.
    is_broken: bool,
    /// Letters by code; one that is not there is its code.
    letters: HashMap<u32, Rc<str>>,
    widths: HashMap<u32, f64>,
    default_width: f64,
    /// Of a font with more than 256 letters.
    map: Option<CharacterMap>,
    /// A unit of the widths in those of the text.
    pub(super) scale: f64,
    pub(super) is_monospaced: bool,
    pub(super) is_vertical: bool,
    pub(super) space_width: f64,
}

/// One letter of a text, in units of UTF-16.
pub(super) struct PdfLetter {
    pub(super) units: Vec<u16>,
    pub(super) width: f64,
    pub(super) is_space: bool,
}

/// What is found out of a font before its letters are.
struct FontFacts<'d> {
    /// The font's own, or of what it is made of.
    fields: &'d PdfFields,
    descriptor: Option<Rc<PdfFields>>,
    kind: Rc<str>,
    name: String,
    flags: u32,
    has_file: bool,
}

impl PdfFont {
    pub(super) fn broken() -> Self {
        Self { is_broken: true, scale: 0.001, ..Self::default() }
    }

    /// What pdf.js cannot read has no letters.
    pub(super) fn read(file: &PdfFile<'_>, fields: &PdfFields) -> Result<Self, PdfLimitExceeded> {
        Ok(Self::found(file, fields)?.unwrap_or_else(Self::broken))
    }

    fn found(file: &PdfFile<'_>, base: &PdfFields) -> Result<Option<Self>, PdfLimitExceeded> {
        let kind = file.field(base, "Subtype")?;
        let Some(kind) = kind.name() else { return Ok(None) };
        let is_composite = **kind == *"Type0";
        let descendants = file.field(base, "DescendantFonts")?;
        let descendant = file.each(&descendants)?.into_iter().next().unwrap_or_default();
        let fields = match (is_composite, descendant.fields()) {
            (false, _) => base,
            (true, Some(fields)) => &**fields,
            (true, None) => return Ok(None),
        };
        let kind = if is_composite { file.field(fields, "Subtype")?.name().cloned() } else { Some(Rc::clone(kind)) };
        let Some(kind) = kind else { return Ok(None) };
        let descriptor = file.field(fields, "FontDescriptor")?.fields().cloned();
        let Some(facts) = FontFacts::of(file, fields, descriptor, kind)? else { return Ok(None) };
        let mut font = Self { scale: 0.001, ..Self::default() };
        let unicode = match file.field(fields, "ToUnicode")? {
            PdfObject::Null => file.field(base, "ToUnicode")?,
            found => found,
        };
        if let Some(stream) = unicode.stream() {
            font.letters = letters(&file.unpacked(stream)?, file.budget)?;
        }
        if is_composite {
            let Some(map) = character_map(file, base)? else { return Ok(None) };
            font.is_vertical = map.is_vertical;
            if map.is_text {
                font.letters.clear();
            }
            font.map = Some(map);
            font.composite_widths(file, &facts)?;
        } else if !font.simple(file, &facts)? {
            return Ok(None);
        }
        font.space_width = font.width_of_space();
        Ok(Some(font))
    }

    /// Whether its encoding can be read.
    fn simple(&mut self, file: &PdfFile<'_>, facts: &FontFacts<'_>) -> Result<bool, PdfLimitExceeded> {
        let Some(encoding) = FontEncoding::read(file, facts)? else { return Ok(false) };
        if self.letters.is_empty() {
            self.letters = encoding.letters();
            if facts.is_type1_file(file)? && !encoding.is_given() {
                self.letters.extend(facts.built_in(file)?);
            }
        }
        if facts.kind.as_ref() == "Type3" {
            let matrix = file.field(facts.fields, "FontMatrix")?;
            let first = file.each(&matrix)?.first().and_then(PdfObject::number);
            self.scale = first.unwrap_or(0.001);
        }
        let widths = file.field(facts.fields, "Widths")?;
        let own = if facts.descriptor.is_some() || facts.kind.as_ref() == "Type3" { widths.list() } else { None };
        if let Some(list) = own {
            let first = file.field(facts.fields, "FirstChar")?.index().unwrap_or(0);
            for (code, width) in (first..).zip(list.iter()) {
                let (Ok(code), Some(width)) = (u32::try_from(code), file.resolved(width)?.number()) else { continue };
                self.widths.insert(code, width);
            }
            if let Some(descriptor) = &facts.descriptor {
                self.default_width = file.field(descriptor, "MissingWidth")?.number().unwrap_or(0.0);
            }
        } else {
            match tables::widths(&facts.name) {
                FontWidths::Alike(width) => self.default_width = width,
                FontWidths::ByName(widths) => {
                    let width = |code: u32| Some((code, encoding.width(code, widths)?));
                    self.widths = (0..256).filter_map(width).collect();
                }
            }
            if facts.descriptor.is_none() {
                self.is_monospaced = self.widths.is_empty();
                return Ok(true);
            }
        }
        self.is_monospaced = facts.flags & FIXED_PITCH != 0 || self.is_even();
        Ok(true)
    }

    fn composite_widths(&mut self, file: &PdfFile<'_>, facts: &FontFacts<'_>) -> Result<(), PdfLimitExceeded> {
        self.default_width = file.field(facts.fields, "DW")?.number().unwrap_or(1000.0);
        let list = file.field(facts.fields, "W")?;
        let mut items = list.list().map(|list| list.iter()).unwrap_or_default();
        while let (Some(first), Some(second)) = (items.next(), items.next()) {
            let Some(first) = file.resolved(first)?.index().and_then(|code| u32::try_from(code).ok()) else { continue };
            match file.resolved(second)? {
                PdfObject::List(widths) => {
                    for (code, width) in (first..=0xffff).zip(widths.iter()) {
                        if let Some(width) = file.resolved(width)?.number() {
                            self.widths.insert(code, width);
                        }
                    }
                }
                end => {
                    let Some(width) = items.next() else { break };
                    let (Some(end), Some(width)) = (end.index(), file.resolved(width)?.number()) else { continue };
                    let end = u32::try_from(end).unwrap_or(0xffff).min(0xffff);
                    file.budget.letters(usize::try_from(end.saturating_sub(first)).unwrap_or(0))?;
                    self.widths.extend((first..=end).map(|code| (code, width)));
                }
            }
        }
        self.is_monospaced = facts.flags & FIXED_PITCH != 0 || self.is_even();
        Ok(())
    }

    /// Whether all letters that have a width have the same.
    fn is_even(&self) -> bool {
        let mut first = self.default_width;
        let mut widths = self.widths.values().filter(|width| **width != 0.0);
        widths.all(|width| {
            if first == 0.0 {
                first = *width;
            }
            first.to_bits() == width.to_bits()
        })
    }

    fn width_of_space(&self) -> f64 {
        let width = |letter: &u32| {
            let number = self.map.as_ref().and_then(|map| map.number(*letter)).filter(|number| *number > 0);
            self.widths.get(&number.unwrap_or(*letter)).copied().filter(|width| *width != 0.0)
        };
        LIKE_SPACES.iter().find_map(width).unwrap_or(self.default_width)
    }

    /// The letters of a text.
    pub(super) fn letters_of(&self, text: &[u8], mut each: impl FnMut(PdfLetter)) {
        if self.is_broken {
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (code, length) = match &self.map {
                Some(map) => map.next(rest),
                None => (rest.first().map_or(0, |byte| u32::from(*byte)), 1),
            };
            let is_space = length == 1 && rest.first() == Some(&b' ');
            rest = rest.get(length..).unwrap_or_default();
            each(PdfLetter { units: self.units(code), width: self.width(code), is_space });
        }
    }

    fn width(&self, code: u32) -> f64 {
        let number = self.map.as_ref().filter(|map| map.contains(code)).and_then(|map| map.number(code));
        self.widths.get(&number.unwrap_or(code)).copied().unwrap_or(self.default_width)
    }

    fn units(&self, code: u32) -> Vec<u16> {
        let units: Vec<u16> = match self.letters.get(&code).filter(|letters| !letters.is_empty()) {
            Some(letters) => letters.encode_utf16().collect(),
            None => vec![u16::try_from(code & 0xffff).unwrap_or_default()],
        };
        let mut units = match *units.as_slice() {
            [one] => tables::normalized(one).map_or(units, <[u16]>::to_vec),
            _ => units,
        };
        let is_from_right = |unit: &u16| matches!(unit, 0x0590..=0x05fe | 0x0600..=0x06fe);
        if units.len() > 1 && units.first().is_some_and(is_from_right) {
            units.reverse();
        }
        units
    }
}

fn character_map(file: &PdfFile<'_>, base: &PdfFields) -> Result<Option<CharacterMap>, PdfLimitExceeded> {
    Ok(match file.field(base, "Encoding")? {
        PdfObject::Name(name) => CharacterMap::named(&name),
        PdfObject::Stream(stream) => Some(CharacterMap::read(&file.unpacked(&stream)?, file.budget)?),
        _ => None,
    })
}

impl<'d> FontFacts<'d> {
    fn of(
        file: &PdfFile<'_>,
        fields: &'d PdfFields,
        descriptor: Option<Rc<PdfFields>>,
        kind: Rc<str>,
    ) -> Result<Option<Self>, PdfLimitExceeded> {
        let base = file.field(fields, "BaseFont")?;
        let base = base.name().map(ToString::to_string);
        let Some(descriptor) = descriptor else {
            let name = match (base, &*kind) {
                (Some(base), _) => base.replace([',', '_'], "-"),
                (None, "Type3") => String::new(),
                (None, _) => return Ok(None),
            };
            let family = name.split('-').next().unwrap_or_default();
            let is_symbolic = matches!(family, "Dingbats" | "Symbol" | "ZapfDingbats");
            let flags = match &*kind {
                "Type3" => 0,
                _ if is_symbolic => SYMBOLIC,
                _ => NONSYMBOLIC,
            };
            return Ok(Some(Self { fields, descriptor: None, kind, name, flags, has_file: false }));
        };
        let own = file.field(&descriptor, "FontName")?.name().map(ToString::to_string);
        let Some(name) = base.or(own) else { return Ok(None) };
        let flags = file.field(&descriptor, "Flags")?.bits();
        let mut has_file = false;
        for kind in ["FontFile", "FontFile2", "FontFile3"] {
            has_file |= file.field(&descriptor, kind)?.stream().is_some();
        }
        Ok(Some(Self { fields, descriptor: Some(descriptor), kind, name, flags, has_file }))
    }

    fn is_type1_file(&self, file: &PdfFile<'_>) -> Result<bool, PdfLimitExceeded> {
        let Some(descriptor) = &self.descriptor else { return Ok(false) };
        let is_type1 = matches!(&*self.kind, "Type1" | "MMType1");
        Ok(is_type1 && file.field(descriptor, "FontFile")?.stream().is_some())
    }

    /// The encoding that a Type 1 font brings along, in the part of it that is not encrypted.
    fn built_in(&self, file: &PdfFile<'_>) -> Result<HashMap<u32, Rc<str>>, PdfLimitExceeded> {
        let Some(descriptor) = &self.descriptor else { return Ok(HashMap::new()) };
        let program = file.field(descriptor, "FontFile")?;
        let Some(stream) = program.stream() else { return Ok(HashMap::new()) };
        let program = file.unpacked(stream)?;
        let head = memchr::memmem::find(&program, b"eexec").and_then(|end| program.get(..end)).unwrap_or(&program);
        let Some(begin) = memchr::memmem::find(head, b"/Encoding") else { return Ok(HashMap::new()) };
        let text = String::from_utf8_lossy(head.get(begin + 9..).unwrap_or_default());
        let mut words =
            text.split(|letter: char| u8::try_from(letter).is_ok_and(is_space)).filter(|word| !word.is_empty());
        let kind = words.next().unwrap_or_default();
        let mut found = HashMap::new();
        if !kind.bytes().all(|byte| byte.is_ascii_digit()) {
            for (code, name) in (0..).zip(tables::encoding(kind)) {
                found.extend(letter_of(name).map(|letter| (code, letter)));
            }
            return Ok(found);
        }
        while let Some(word) = words.next() {
            match word {
                "dup" => {
                    let (code, name) = (words.next().and_then(|code| code.parse().ok()), words.next());
                    let name = name.and_then(|name| name.strip_prefix('/')).and_then(letter_of);
                    found.extend(code.zip(name));
                }
                "def" | "readonly" => break,
                _ => {}
            }
        }
        Ok(found)
    }
}
