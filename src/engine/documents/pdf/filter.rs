//! What streams are packed with. What is broken gives what came before it; pictures give nothing.

use super::lexer::{is_space, nibble};
use crate::engine::documents::inflate;

/// Of one stream.
const LONGEST: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// How lines of a table were told apart before they were packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predictor {
    pub(super) kind: usize,
    pub(super) colors: usize,
    pub(super) bits: usize,
    pub(super) columns: usize,
}

/// `early`: of LZW, whether codes grow one code early.
pub(super) fn unpacked(filter: &str, bytes: &[u8], early: bool) -> Vec<u8> {
    match filter {
        "FlateDecode" | "Fl" => inflated(bytes),
        "LZWDecode" | "LZW" => lzw(bytes, early),
        "ASCIIHexDecode" | "AHx" => from_hexadecimal(bytes),
        "ASCII85Decode" | "A85" => from_85(bytes),
        "RunLengthDecode" | "RL" => from_runs(bytes),
        "Crypt" => bytes.to_vec(),
        _ => Vec::new(),
    }
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let (part, _) = inflate::inflated(bytes, true, LONGEST);
    if !part.is_empty() {
        return part;
    }
    // Some writers get the two bytes of the head wrong.
    inflate::inflated(bytes.get(2..).unwrap_or_default(), false, LONGEST).0
}

fn from_hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().take_while(|byte| **byte != b'>').filter_map(|byte| nibble(*byte)).collect();
    digits.chunks(2).map(|pair| pair.first().map_or(0, |high| high << 4) | pair.get(1).copied().unwrap_or(0)).collect()
}

fn from_85(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group: Vec<u32> = Vec::with_capacity(5);
    for byte in bytes.iter().copied().filter(|byte| !is_space(*byte)) {
        match byte {
            b'z' if group.is_empty() => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            _ => break,
        }
        if group.len() == 5 {
            out.extend_from_slice(&value_of_85(&group).to_be_bytes());
            group.clear();
        }
    }
    let count = group.len();
    if count > 1 {
        group.resize(5, 84);
        out.extend(value_of_85(&group).to_be_bytes().iter().take(count - 1));
    }
    out
}

fn value_of_85(group: &[u32]) -> u32 {
    group.iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(*digit))
}

fn from_runs(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        let count = usize::from(length);
        match length {
            128 => break,
            0..128 => {
                let (run, after) = after.split_at((count + 1).min(after.len()));
                out.extend_from_slice(run);
                rest = after;
            }
            _ => {
                let Some((&byte, after)) = after.split_first() else { break };
                out.resize(out.len() + 257 - count, byte);
                rest = after;
            }
        }
        if out.len() > LONGEST {
            break;
        }
    }
    out
}

/// Codes of 9 to 12 bits; each stands for a code before it and a byte.
fn lzw(bytes: &[u8], early: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    // Where in `out` each code's bytes are, from 258 on.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut previous: Option<(usize, usize)> = None;
    let (mut held, mut bits, mut width) = (0_u32, 0_u32, 9_u32);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0x00ff_ffff;
        bits += 8;
        if bits < width {
            continue;
        }
        bits -= width;
        let code = (held >> bits) & ((1 << width) - 1);
        let begin = out.len();
        match code {
            256 => {
                table.clear();
                (previous, width) = (None, 9);
                continue;
            }
            257 => break,
            0..256 => out.push(u8::try_from(code).unwrap_or_default()),
            _ => {
                let known = usize::try_from(code - 258).ok().and_then(|at| table.get(at).copied());
                let Some((from, to)) = known.or(previous.map(|(from, to)| (from, to + 1))) else { break };
                // A code that is made just now ends with its own first byte.
                for at in from..to {
                    let Some(byte) = out.get(at).copied() else { break };
                    out.push(byte);
                }
            }
        }
        if let Some((from, to)) = previous.filter(|_| table.len() < 4096 - 258) {
            table.push((from, to + 1));
        }
        previous = Some((begin, out.len()));
        let next = table.len() + 258 + usize::from(early) + 1;
        width = match next {
            0..=512 => 9,
            513..=1024 => 10,
            1025..=2048 => 11,
            _ => 12,
        };
        if out.len() > LONGEST {
            break;
        }
    }
    out
}

impl Predictor {
    pub(super) fn undone(self, bytes: Vec<u8>) -> Vec<u8> {
        let pixel = (self.colors.clamp(1, 64) * self.bits.clamp(1, 32)).div_ceil(8);
        let row = (self.columns.clamp(1, 1 << 20) * self.colors.clamp(1, 64) * self.bits.clamp(1, 32)).div_ceil(8);
        match self.kind {
            10..=15 => png(&bytes, pixel, row),
            2 if self.bits == 8 => {
                let mut bytes = bytes;
                for line in bytes.chunks_mut(row) {
                    for at in pixel..line.len() {
                        let left = line.get(at - pixel).copied().unwrap_or_default();
                        if let Some(byte) = line.get_mut(at) {
                            *byte = byte.wrapping_add(left);
                        }
                    }
                }
                bytes
            }
            _ => bytes,
        }
    }
}

fn png(bytes: &[u8], pixel: usize, row: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut above = vec![0_u8; row];
    for line in bytes.chunks(row + 1) {
        let Some((&kind, packed)) = line.split_first() else { break };
        let mut plain: Vec<u8> = Vec::with_capacity(row);
        for (at, byte) in packed.iter().enumerate() {
            let left = at.checked_sub(pixel).and_then(|at| plain.get(at)).copied().unwrap_or(0);
            let up = above.get(at).copied().unwrap_or(0);
            let corner = at.checked_sub(pixel).and_then(|at| above.get(at)).copied().unwrap_or(0);
            let guess = match kind {
                1 => left,
                2 => up,
                3 => left.midpoint(up),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            plain.push(byte.wrapping_add(guess));
        }
        out.extend_from_slice(&plain);
        plain.resize(row, 0);
        above = plain;
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, up, corner].map(i16::from);
    let guess = a + b - c;
    let [to_a, to_b, to_c] = [a, b, c].map(|side| (guess - side).abs());
    if to_a <= to_b && to_a <= to_c {
        left
    } else if to_b <= to_c {
        up
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_unpacked() {
        assert_eq!(unpacked("AHx", b"48 65 6c 6C 6f7>", true), b"Hellop");
        assert_eq!(unpacked("A85", b"87cURD]i,\"Ebo7~>", true), b"Hello World");
        assert_eq!(unpacked("RL", &[2, b'a', b'b', b'c', 254, b'x', 128, 9], true), b"abcxxx");
        // The example of the specification.
        assert_eq!(
            unpacked("LZW", &[0x80, 0x0B, 0x60, 0x50, 0x22, 0x0C, 0x0C, 0x85, 0x01], true),
            [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]
        );
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(b"some text, some text", 6);
        assert_eq!(unpacked("Fl", &packed, true), b"some text, some text");
        // Of what is cut off, what is there.
        let part = unpacked("Fl", packed.get(..packed.len() - 6).unwrap(), true);
        assert!(b"some text, some text".starts_with(&part) && !part.is_empty());
        assert!(unpacked("DCTDecode", b"picture", true).is_empty());
    }

    #[test]
    fn bombs_end() {
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; LONGEST + 1000], 6);
        assert!(bomb.len() < LONGEST / 100);
        assert!(unpacked("Fl", &bomb, true).len() <= LONGEST);
    }

    #[test]
    fn predictors_are_undone() {
        let predictor = Predictor { kind: 12, colors: 1, bits: 8, columns: 3 };
        assert_eq!(predictor.undone(vec![0, 1, 2, 3, 2, 1, 1, 1, 1, 5, 1, 1]), [1, 2, 3, 2, 3, 4, 5, 6, 7]);
        assert_eq!(Predictor { kind: 2, ..predictor }.undone(vec![1, 1, 1, 2, 2, 2]), [1, 2, 3, 2, 4, 6]);
    }
}
