//! UUIDs (RFC 9562), as Flowise gives them out and as the gateway makes them.

/// Five groups of hexadecimal digits, in either case.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A UUID of that version out of bits that are random or hashed (sections 4.1 and 4.2: variant 10).
pub(crate) fn uuid(bits: u128, version: u8) -> String {
    let bits = (bits & !(0xf << 76)) | (u128::from(version & 0xf) << 76);
    let bits = (bits & !(0x3 << 62)) | (0x2 << 62);
    let mut text = String::with_capacity(36);
    for (index, byte) in bits.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

fn digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value })
}

#[cfg(test)]
mod tests {
    use super::is_uuid;

    #[test]
    fn uuids() {
        for (text, expected) in [
            ("9d2b4ae3-1f5e-4c00-9000-000000000000", true),
            ("9D2B4AE3-1F5E-4C00-9000-00000000000F", true),
            ("9d2b4ae3-1f5e-4c00-9000-00000000000", false),
            ("9d2b4ae31f5e-4c00-9000-0000000000000", false),
            ("9d2b4ae3-1f5e-4c00-9000-00000000000g", false),
            ("9d2b4ae3-1f5e-4c00-9000-0000000000é", false),
            ("", false),
        ] {
            assert_eq!(is_uuid(text), expected, "{text}");
        }
    }
}
