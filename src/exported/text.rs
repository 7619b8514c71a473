//! Texts as editors and shells leave them.

use std::borrow::Cow;

use crate::wire::json;

/// A JSON text of UTF-8, with or without its mark, or of UTF-16 with one. Halves of characters become U+FFFD.
///
/// # Errors
/// It is UTF-16 and cut off.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let (mark, units): (usize, fn([u8; 2]) -> u16) = match bytes {
        [0xff, 0xfe, ..] => (2, u16::from_le_bytes),
        [0xfe, 0xff, ..] => (2, u16::from_be_bytes),
        // Without a mark, by the zero beside the first letter, which is ASCII in JSON.
        [first, 0, ..] if *first != 0 => (0, u16::from_le_bytes),
        [0, first, ..] if *first != 0 => (0, u16::from_be_bytes),
        // Bytes that are no UTF-8 become U+FFFD, as where Node reads them.
        _ => return Ok(json::sound(bytes)),
    };
    let (pairs, rest) = bytes.get(mark..).unwrap_or_default().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("the file is UTF-16 and ends with half a character");
    }
    let pairs: Vec<u16> = pairs.iter().map(|pair| units(*pair)).collect();
    let text = String::from_utf16_lossy(&pairs);
    Ok(Cow::Owned(json::sound(text.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "{\"name\": \"Grüße 😀\"}";
        let wide = |swap: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(swap).collect()
        };
        let unmarked = |swap| wide(swap).split_off(2);
        for bytes in [unmarked(u16::to_le_bytes), unmarked(u16::to_be_bytes)] {
            assert_eq!(decoded(&bytes).unwrap(), text);
        }
        for bytes in
            [text.into(), format!("\u{feff}{text}").into_bytes(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)]
        {
            assert_eq!(decoded(&bytes).unwrap(), text);
        }
        assert!(decoded(b"\xff\xfe{").is_err());
        assert_eq!(decoded(b"a\xff").unwrap(), "a\u{fffd}");
    }
}
