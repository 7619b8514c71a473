//! Ids for chats whose client names none. Whoever knows a chat's id can read and continue it, so they are random.

use aws_lc_rs::rand;

/// A UUID of version 4; `None` if the system has no randomness to give.
pub(crate) fn random() -> Option<String> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).ok()?;
    Some(uuid(u128::from_be_bytes(bytes), 4))
}

/// A UUID of that version out of bits that are random or hashed (RFC 9562, sections 4.1 and 4.2: variant 10).
pub(crate) fn uuid(bits: u128, version: u8) -> String {
    let bits = (bits & !(0xf << 76)) | (u128::from(version & 0xf) << 76);
    let bits = (bits & !(0x3 << 62)) | (0x2 << 62);
    let mut text = String::with_capacity(36);
    for (index, shift) in (0..32).rev().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let digit = u32::try_from((bits >> (shift * 4)) & 0xf).unwrap_or_default();
        text.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
    text
}

/// Spreads chats over endpoints; FNV-1a, since nothing hangs on collisions.
pub(crate) fn hash(chat_id: &[u8]) -> u64 {
    chat_id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let (a, b) = (super::random().unwrap(), super::random().unwrap());
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.len(), 36);
            assert_eq!(&id[14..15], "4");
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        }
    }
}
