//! Texts that run from the right, in the order in which they are read: the rules of the Unicode standard as pdf.js 1.10
//! follows them, on units of UTF-16.

/// Kinds of the first 256 letters: `l` from the left, `r` from the right, `n` and `a` digits, `e`, `t` and `c` what stands
/// between digits, `w` space, `m` marks, `o` others.
const FIRST: &[u8; 256] = b"bbbbbbbbbspswpbbbbbbbbbbbbbbpppswootttoooooececcnnnnnnnnnncooooo\
olllllllllllllllllllllllllloooooolllllllllllllllllllllllllloooob\
bbbbbpbbbbbbbbbbbbbbbbbbbbbbbbbbcottttoooolooboottnnolooonlooooo\
lllllllllllllllllllllllolllllllllllllllllllllllllllllllollllllll";
/// Of Arabic; `v` is a letter of it.
const ARABIC: &[u8; 256] = b"aaaaaaoovttvcvoommmmmmmmmmmvv.vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\
vvvvvvvvvvvmmmmmmmmmmmmmmmmmmmmmaaaaaaaaaataavvvmvvvvvvvvvvvvvvv\
vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\
vvvvvvvvvvvvvvvvvvvvvvmmmmmmmaommmmmmvvmmommmmvvnnnnnnnnnnvvvvvv";

fn kind(unit: u16) -> u8 {
    let low = usize::from(unit & 0xff);
    match unit {
        0..=0xff => FIRST.get(low).copied().unwrap_or(b'l'),
        0x0590..=0x05f4 => b'r',
        0x0600..=0x06ff => ARABIC.get(low).copied().unwrap_or(b'v'),
        0x0700..=0x08ac => b'v',
        _ => b'l',
    }
}

/// A text in the order in which it is read.
pub(super) fn in_order(units: &[u16], is_vertical: bool) -> String {
    let mut kinds: Vec<u8> = units.iter().map(|unit| kind(*unit)).collect();
    let count = kinds.iter().filter(|kind| matches!(kind, b'r' | b'v' | b'a')).count();
    if count == 0 || is_vertical {
        return String::from_utf16_lossy(units);
    }
    // Three of ten are enough.
    let is_from_left = count * 10 < units.len() * 3;
    let whole = if is_from_left { b'l' } else { b'r' };
    weak(&mut kinds, whole);
    neutral(&mut kinds, whole);
    // Even where it runs from the left.
    let level = |kind: &u8| match kind {
        b'a' | b'n' => 2_u8,
        b'l' => {
            if is_from_left {
                0
            } else {
                2
            }
        }
        _ => u8::from(!is_from_left || *kind == b'r'),
    };
    let levels: Vec<u8> = kinds.iter().map(level).collect();
    let mut units = units.to_vec();
    let lowest = levels.iter().copied().filter(|level| level % 2 == 1).min().unwrap_or(99);
    let highest = levels.iter().copied().max().unwrap_or(0);
    for level in (lowest..=highest).rev() {
        let mut at = 0;
        for part in levels.chunk_by(|one, other| (*one >= level) == (*other >= level)) {
            let end = at + part.len();
            if part.first().is_some_and(|first| *first >= level)
                && let Some(part) = units.get_mut(at..end)
            {
                part.reverse();
            }
            at = end;
        }
    }
    units.retain(|unit| !matches!(u8::try_from(*unit), Ok(b'<' | b'>')));
    String::from_utf16_lossy(&units)
}

fn at(kinds: &[u8], place: usize) -> u8 {
    kinds.get(place).copied().unwrap_or_default()
}

/// What marks, digits and what stands between digits go with.
fn weak(kinds: &mut [u8], whole: u8) {
    let mut last = whole;
    for kind in kinds.iter_mut() {
        if *kind == b'm' {
            *kind = last;
        }
        last = *kind;
    }
    last = whole;
    for kind in kinds.iter_mut() {
        match *kind {
            b'n' => *kind = if last == b'v' { b'a' } else { b'n' },
            b'r' | b'l' | b'v' => last = *kind,
            _ => {}
        }
    }
    kinds.iter_mut().filter(|kind| **kind == b'v').for_each(|kind| *kind = b'r');
    for place in 1..kinds.len().saturating_sub(1) {
        let (before, after) = (at(kinds, place - 1), at(kinds, place + 1));
        let new = match at(kinds, place) {
            b'e' if before == b'n' && after == b'n' => b'n',
            b'c' if matches!(before, b'n' | b'a') && after == before => before,
            _ => continue,
        };
        if let Some(kind) = kinds.get_mut(place) {
            *kind = new;
        }
    }
    beside_digits(kinds);
    for kind in kinds.iter_mut().filter(|kind| matches!(kind, b'w' | b'e' | b't' | b'c')) {
        *kind = b'o';
    }
    last = whole;
    for kind in kinds.iter_mut() {
        match *kind {
            b'n' => *kind = if last == b'l' { b'l' } else { b'n' },
            b'r' | b'l' => last = *kind,
            _ => {}
        }
    }
}

/// Signs such as `%` are digits beside digits.
fn beside_digits(kinds: &mut [u8]) {
    let mut begin = 0;
    while begin < kinds.len() {
        if at(kinds, begin) != b't' {
            begin += 1;
            continue;
        }
        let length = kinds.get(begin..).unwrap_or_default().iter().take_while(|kind| **kind == b't').count();
        let is_beside =
            begin.checked_sub(1).is_some_and(|before| at(kinds, before) == b'n') || at(kinds, begin + length) == b'n';
        if is_beside && let Some(part) = kinds.get_mut(begin..begin + length) {
            part.fill(b'n');
        }
        begin += length;
    }
}

/// What has no direction goes with what is around it.
fn neutral(kinds: &mut [u8], whole: u8) {
    let side = |kind: u8| if kind == b'l' { b'l' } else { b'r' };
    let mut begin = 0;
    while begin < kinds.len() {
        if at(kinds, begin) != b'o' {
            begin += 1;
            continue;
        }
        let length = kinds.get(begin..).unwrap_or_default().iter().take_while(|kind| **kind == b'o').count();
        let end = begin + length;
        let before = begin.checked_sub(1).map_or(whole, |before| at(kinds, before));
        // One further than it should be, as in pdf.js.
        let after = if end + 1 < kinds.len() { at(kinds, end + 1) } else { whole };
        if side(before) == side(after)
            && let Some(part) = kinds.get_mut(begin..end)
        {
            part.fill(side(before));
        }
        begin = end;
    }
    kinds.iter_mut().filter(|kind| **kind == b'o').for_each(|kind| *kind = whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_the_right_are_turned_round() {
        let read = |text: &str| in_order(&text.encode_utf16().collect::<Vec<_>>(), false);
        assert_eq!(read("plain <text> 12"), "plain <text> 12");
        assert_eq!(read("\u{5d0}\u{5d1}\u{5d2}"), "\u{5d2}\u{5d1}\u{5d0}");
        assert_eq!(read("\u{5d0}\u{5d1} 12 \u{5d2}"), "\u{5d2} 12 \u{5d1}\u{5d0}");
        assert_eq!(read("many words from the left and \u{5d0}\u{5d1}"), "many words from the left and \u{5d1}\u{5d0}");
    }
}
