//! What readers of PDF know by heart: Adobe's names of letters, the encodings, the widths of the fonts that need not be
//! in a file, and which letters stand for others.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

type ByName<T> = HashMap<&'static str, T>;

static GLYPHS: LazyLock<ByName<u16>> = LazyLock::new(|| {
    let pair = |entry: &'static str| {
        let (name, code) = entry.rsplit_once('=')?;
        Some((name, u16::from_str_radix(code, 16).ok()?))
    };
    include_str!("tables/glyphs.txt").split_whitespace().filter_map(pair).collect()
});

static ENCODINGS: LazyLock<ByName<Vec<&'static str>>> = LazyLock::new(|| {
    let encoding = |line: &'static str| {
        let mut words = line.split(' ');
        Some((words.next()?, words.map(|name| if name == "-" { "" } else { name }).collect()))
    };
    include_str!("tables/encodings.txt").lines().filter_map(encoding).collect()
});

static WIDTHS: LazyLock<ByName<ByName<f64>>> = LazyLock::new(|| {
    let width = |entry: &'static str| {
        let (name, width) = entry.rsplit_once('=')?;
        Some((name, width.parse().ok()?))
    };
    let font = |line: &'static str| {
        let mut words = line.split(' ');
        Some((words.next()?, words.filter_map(width).collect()))
    };
    include_str!("tables/widths.txt").lines().filter_map(font).collect()
});

static FAMILIES: LazyLock<(ByName<&'static str>, HashSet<&'static str>)> = LazyLock::new(|| {
    let words = || include_str!("tables/families.txt").split_whitespace();
    let known = words().filter_map(|word| word.split_once('=')).collect();
    (known, words().filter(|word| !word.contains('=')).collect())
});

static NORMALIZED: LazyLock<HashMap<u16, Vec<u16>>> = LazyLock::new(|| {
    let pair = |entry: &'static str| {
        let (code, letters) = entry.split_once('=')?;
        let letters = letters.split('+').filter_map(|letter| u16::from_str_radix(letter, 16).ok());
        Some((u16::from_str_radix(code, 16).ok()?, letters.collect()))
    };
    include_str!("tables/normalized.txt").split_whitespace().filter_map(pair).collect()
});

/// The letter that a name stands for.
pub(super) fn glyph(name: &str) -> Option<u16> {
    GLYPHS.get(name).copied()
}

/// The names of letters by their codes; empty: none.
pub(super) fn encoding(name: &str) -> &'static [&'static str] {
    ENCODINGS.get(name).map(Vec::as_slice).unwrap_or_default()
}

/// What a single letter is told as.
pub(super) fn normalized(letter: u16) -> Option<&'static [u16]> {
    NORMALIZED.get(&letter).map(Vec::as_slice)
}

/// How wide letters of a font are that is not in the file: by their names, or all alike.
pub(super) enum FontWidths {
    ByName(&'static ByName<f64>),
    Alike(f64),
}

pub(super) fn is_serif(font: &str) -> bool {
    let family = font.split('-').next().unwrap_or_default();
    FAMILIES.1.contains(family.replace(' ', "_").as_str()) || family.to_ascii_lowercase().contains("serif")
}

pub(super) fn widths(font: &str) -> FontWidths {
    let known = FAMILIES.0.get(font).copied().unwrap_or(font);
    if known.starts_with("Courier") && matches!(known.get(7..), Some("" | "-Bold" | "-BoldOblique" | "-Oblique")) {
        return FontWidths::Alike(600.0);
    }
    let fallback = if is_serif(font) { "Times-Roman" } else { "Helvetica" };
    match WIDTHS.get(known).or_else(|| WIDTHS.get(fallback)) {
        Some(widths) => FontWidths::ByName(widths),
        None => FontWidths::Alike(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole() {
        assert_eq!(glyph("Euro"), Some(0x20ac));
        assert_eq!((GLYPHS.len(), ENCODINGS.len(), WIDTHS.len()), (4321, 6, 10));
        assert!(ENCODINGS.values().all(|names| names.len() == 256));
        assert_eq!(encoding("WinAnsiEncoding").get(0x80), Some(&"Euro"));
        assert_eq!(normalized(0xfb01), Some(&[0x66, 0x69][..]));
        assert!(matches!(widths("CourierNew-Bold"), FontWidths::Alike(600.0)));
        let FontWidths::ByName(times) = widths("Georgia") else { panic!("by name") };
        assert_eq!(times.get("space"), Some(&250.0));
    }
}
