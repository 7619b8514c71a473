//! JavaScript goes through a text by units of UTF-16, and its words and digits are ASCII. So texts are told by units as
//! well: those of ASCII as they are, all others as private characters, which are no words to anybody.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Units by their first and last.
pub(super) type UnitSet = Vec<(u32, u32)>;

/// Where units beyond ASCII are told: a plane of characters that mean nothing by themselves.
const PLANE: u32 = 0x0010_0000;
const LAST: u32 = 0xFFFF;
const DIGITS: &[(u32, u32)] = &[(0x30, 0x39)];
const WORDS: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];
const SPACES: &[(u32, u32)] = &[
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
];
pub(super) const LINE_ENDS: &[(u32, u32)] = &[(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)];

/// A text by units.
pub(super) fn units(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { text.encode_utf16().map(|unit| letter(unit.into())).collect() }
}

fn letter(unit: u32) -> char {
    char::from_u32(if unit < 0x80 { unit } else { PLANE + unit }).unwrap_or_default()
}

/// Of `\d` and its like.
pub(super) fn class_of(unit: u32) -> Option<UnitSet> {
    match char::from_u32(unit)? {
        'd' => Some(DIGITS.to_vec()),
        'D' => Some(inverted(DIGITS)),
        'w' => Some(WORDS.to_vec()),
        'W' => Some(inverted(WORDS)),
        's' => Some(SPACES.to_vec()),
        'S' => Some(inverted(SPACES)),
        _ => None,
    }
}

/// All units but those.
pub(super) fn inverted(set: &[(u32, u32)]) -> UnitSet {
    let mut set = set.to_vec();
    set.sort_unstable();
    let (mut next, mut all) = (0, Vec::new());
    for (from, to) in set {
        if next < from {
            all.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= LAST {
        all.push((next, LAST));
    }
    all
}

pub(super) fn write_unit(unit: u32, out: &mut String) {
    match letter(unit) {
        letter if letter.is_ascii_alphanumeric() || !letter.is_ascii() => out.push(letter),
        letter => {
            let _ = write!(out, "\\x{{{:X}}}", u32::from(letter));
        }
    }
}
