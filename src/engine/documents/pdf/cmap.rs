//! Tables from the bytes of a text to numbers of letters, or to the letters themselves.

use std::collections::HashMap;
use std::rc::Rc;

use super::budget::{PdfBudget, PdfLimitExceeded};
use super::lexer::PdfLexer;
use super::object::PdfObject;

/// Letters that one table knows: as many as two bytes tell apart.
const MOST: usize = 1 << 17;

/// How the bytes of a text are taken apart, and what number each letter has.
#[derive(Debug, Default, Clone)]
pub(super) struct CharacterMap {
    /// By the number of bytes less one: the first and the last code of each range.
    spaces: [Vec<(u32, u32)>; 4],
    /// Numbers of letters by code; none where the code is the number.
    numbers: Option<HashMap<u32, u32>>,
    pub(super) is_vertical: bool,
    /// Codes are letters already.
    pub(super) is_text: bool,
}

impl CharacterMap {
    pub(super) fn identity(is_vertical: bool) -> Self {
        let mut map = Self { is_vertical, ..Self::default() };
        if let Some(pairs) = map.spaces.get_mut(1) {
            pairs.push((0, 0xffff));
        }
        map
    }

    /// Of those that a name stands for: `None`: its table is nowhere.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is_vertical = name.ends_with("-V");
        match name {
            "Identity-H" | "Identity-V" => Some(Self::identity(is_vertical)),
            // Their codes are those of letters.
            _ if name.contains("UCS2") || name.contains("UTF16") => {
                Some(Self { is_text: true, ..Self::identity(is_vertical) })
            }
            _ => None,
        }
    }

    pub(super) fn read(bytes: &[u8], budget: &PdfBudget) -> Result<Self, PdfLimitExceeded> {
        let mut map = Self { numbers: Some(HashMap::new()), ..Self::default() };
        let mut numbers = HashMap::new();
        each(bytes, budget, |entry| match entry {
            MapEntry::Space { length, low, high } => {
                if let Some(ranges) = length.checked_sub(1).and_then(|at| map.spaces.get_mut(at)) {
                    ranges.push((low, high));
                }
            }
            MapEntry::Vertical => map.is_vertical = true,
            MapEntry::Text(..) => {}
            MapEntry::Number(code, number) => {
                numbers.insert(code, number);
            }
        })?;
        map.numbers = Some(numbers);
        Ok(map)
    }

    pub(super) fn contains(&self, code: u32) -> bool {
        self.numbers.as_ref().map_or(code <= 0xffff, |numbers| numbers.contains_key(&code))
    }

    pub(super) fn number(&self, code: u32) -> Option<u32> {
        match &self.numbers {
            None => Some(code).filter(|code| *code <= 0xffff),
            Some(numbers) => numbers.get(&code).copied(),
        }
    }

    /// The next code of a text, and how many bytes it has.
    pub(super) fn next(&self, bytes: &[u8]) -> (u32, usize) {
        let mut code = 0_u32;
        for (at, (byte, ranges)) in bytes.iter().zip(&self.spaces).enumerate() {
            code = code << 8 | u32::from(*byte);
            if ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)) {
                return (code, at + 1);
            }
        }
        (0, 1)
    }
}

/// Letters by the code of their bytes.
pub(super) fn letters(bytes: &[u8], budget: &PdfBudget) -> Result<HashMap<u32, Rc<str>>, PdfLimitExceeded> {
    let mut letters = HashMap::new();
    each(bytes, budget, |entry| {
        if let MapEntry::Text(code, units) = entry {
            letters.insert(code, String::from_utf16_lossy(&units).into());
        }
    })?;
    Ok(letters)
}

enum MapEntry {
    Space { length: usize, low: u32, high: u32 },
    Vertical,
    Number(u32, u32),
    Text(u32, Vec<u16>),
}

/// Reads a table, whatever is between its parts.
fn each(bytes: &[u8], budget: &PdfBudget, mut add: impl FnMut(MapEntry)) -> Result<(), PdfLimitExceeded> {
    let mut lexer = PdfLexer::new(bytes, 0, false, budget);
    let mut previous = PdfObject::Null;
    let mut room = MOST;
    while let Some(object) = lexer.object()? {
        match &object {
            PdfObject::Number(number) if *number != 0.0 && previous.name().is_some_and(|name| **name == *"WMode") => {
                add(MapEntry::Vertical);
            }
            PdfObject::Word(part) => match &**part {
                "begincodespacerange" => spaces(&mut lexer, &mut add)?,
                "beginbfchar" => texts(&mut lexer, &mut room, &mut add)?,
                "beginbfrange" => text_ranges(&mut lexer, &mut room, &mut add)?,
                "begincidchar" => numbers(&mut lexer, false, &mut room, &mut add)?,
                "begincidrange" => numbers(&mut lexer, true, &mut room, &mut add)?,
                "endcmap" => break,
                _ => {}
            },
            _ => {}
        }
        previous = object;
    }
    Ok(())
}

fn code_of(text: &[u8]) -> u32 {
    text.iter().fold(0_u32, |code, byte| code << 8 | u32::from(*byte))
}

/// The next object, if it is no word: a word ends a part.
fn value(lexer: &mut PdfLexer<'_>) -> Result<Option<PdfObject>, PdfLimitExceeded> {
    Ok(lexer.object()?.filter(|object| !matches!(object, PdfObject::Word(_))))
}

fn spaces(lexer: &mut PdfLexer<'_>, add: &mut impl FnMut(MapEntry)) -> Result<(), PdfLimitExceeded> {
    while let (Some(low), Some(high)) = (value(lexer)?, value(lexer)?) {
        let (Some(low), Some(high)) = (low.text(), high.text()) else { break };
        add(MapEntry::Space { length: high.len(), low: code_of(low), high: code_of(high) });
    }
    Ok(())
}

fn texts(lexer: &mut PdfLexer<'_>, room: &mut usize, add: &mut impl FnMut(MapEntry)) -> Result<(), PdfLimitExceeded> {
    while let Some(code) = value(lexer)? {
        let Some(to) = value(lexer)? else { break };
        if let (Some(code), Some(to)) = (code.text(), to.text()) {
            *room = room.checked_sub(1).ok_or(PdfLimitExceeded)?;
            add(MapEntry::Text(code_of(code), units_of(to, 0)));
        }
    }
    Ok(())
}

fn text_ranges(
    lexer: &mut PdfLexer<'_>,
    room: &mut usize,
    add: &mut impl FnMut(MapEntry),
) -> Result<(), PdfLimitExceeded> {
    while let Some(low) = value(lexer)? {
        let (Some(high), Some(to)) = (value(lexer)?, value(lexer)?) else { break };
        let (Some(low), Some(high)) = (low.text(), high.text()) else { continue };
        let (low, high) = (code_of(low), code_of(high));
        for (at, code) in (low..=high).enumerate() {
            *room = room.checked_sub(1).ok_or(PdfLimitExceeded)?;
            match &to {
                PdfObject::Text(to) => add(MapEntry::Text(code, units_of(to, u32::try_from(at).unwrap_or(0)))),
                PdfObject::List(list) => match list.get(at).and_then(PdfObject::text) {
                    Some(to) => add(MapEntry::Text(code, units_of(to, 0))),
                    None => break,
                },
                _ => break,
            }
        }
    }
    Ok(())
}

/// `later`: added to the last byte, from which nothing is carried on.
fn units_of(text: &[u8], later: u32) -> Vec<u16> {
    let count = text.len().div_ceil(2);
    let unit = |(at, pair): (usize, &[u8])| {
        let high = u32::from(pair.first().copied().unwrap_or_default()) << 8;
        let low = pair.get(1).map_or(0, |low| u32::from(*low));
        let more = if at + 1 == count { later } else { 0 };
        u16::try_from((high | (low + more)) & 0xffff).unwrap_or_default()
    };
    text.chunks(2).enumerate().map(unit).collect()
}

fn numbers(
    lexer: &mut PdfLexer<'_>,
    is_range: bool,
    room: &mut usize,
    add: &mut impl FnMut(MapEntry),
) -> Result<(), PdfLimitExceeded> {
    while let Some(low) = value(lexer)? {
        let high = if is_range { value(lexer)?.unwrap_or_default() } else { low.clone() };
        let Some(number) = value(lexer)? else { break };
        let (Some(low), Some(high), Some(number)) = (low.text(), high.text(), number.index()) else { continue };
        let first = u32::try_from(number).unwrap_or(0);
        for (code, number) in (code_of(low)..=code_of(high)).zip(first..) {
            *room = room.checked_sub(1).ok_or(PdfLimitExceeded)?;
            add(MapEntry::Number(code, number));
        }
    }
    Ok(())
}
