//! Keys as clients send them: how they are made, recognised and hashed.
//!
//! `fg_sk_` or `fg_pk_`, 43 characters of base62 that hold 256 random bits, and 6 characters of base62 that hold the
//! CRC-32 of everything before. Secret scanners find the prefix, and a typo is refused before anything is hashed. The
//! checksum is no protection: anybody can compute it.

use aws_lc_rs::{digest as sha, rand};
use zeroize::Zeroizing;

use crate::config::Secret;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// `62^43` is just above `2^256`.
const RANDOM_CHARS: usize = 43;
/// `62^6` is above `2^32`.
const CHECKSUM_CHARS: usize = 6;
/// Keys brought along from elsewhere; the upper bound keeps the work per request small.
const FOREIGN_LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// What a key is for; its prefix says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Stays on a server or in a user's keychain.
    Secret,
    /// May sit in a page.
    Publishable,
}

impl KeyKind {
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Secret => "fg_sk_",
            Self::Publishable => "fg_pk_",
        }
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// A new key.
pub fn generate(kind: KeyKind) -> Result<Secret, NoRandomness> {
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(&mut *random).map_err(|_| NoRandomness)?;
    Ok(Secret::new(assemble(kind, &random)))
}

/// Whether a string may be a key at all. One that starts like ours must have our length and checksum; any other must
/// be 16 to 256 visible ASCII characters.
#[must_use]
pub fn is_plausible(key: &str) -> bool {
    if [KeyKind::Secret, KeyKind::Publishable].iter().any(|kind| key.starts_with(kind.prefix())) {
        has_valid_checksum(key)
    } else {
        FOREIGN_LENGTH.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Whether a string is one of our keys, complete and free of typos.
#[must_use]
pub fn has_valid_checksum(key: &str) -> bool {
    let Some((kind, rest)) = [KeyKind::Secret, KeyKind::Publishable]
        .into_iter()
        .find_map(|kind| key.strip_prefix(kind.prefix()).map(|rest| (kind, rest)))
    else {
        return false;
    };
    if rest.len() != RANDOM_CHARS + CHECKSUM_CHARS || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    key.split_at_checked(kind.prefix().len() + RANDOM_CHARS)
        .is_some_and(|(body, checksum)| checksum.as_bytes() == base62_of_checksum(crc32(body.as_bytes())))
}

/// SHA-256 of a whole key.
pub type Digest = [u8; 32];

/// The digest of a key as it was sent. Runs on every request and allocates nothing.
#[must_use]
pub fn digest(key: &str) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(sha::digest(&sha::SHA256, key.as_bytes()).as_ref());
    digest
}

fn assemble(kind: KeyKind, random: &[u8; 32]) -> String {
    // The exact capacity: a string that grew would leave a copy of the key behind in freed memory.
    let mut key = String::with_capacity(kind.prefix().len() + RANDOM_CHARS + CHECKSUM_CHARS);
    key.push_str(kind.prefix());
    key.extend(base62_of_random(random).iter().copied().map(char::from));
    let checksum = crc32(key.as_bytes());
    key.extend(base62_of_checksum(checksum).map(char::from));
    key
}

/// The number those bytes are (big-endian) in base 62, padded with zeros.
fn base62_of_random(bytes: &[u8; 32]) -> Zeroizing<[u8; RANDOM_CHARS]> {
    let mut number = Zeroizing::new(*bytes);
    let mut text = Zeroizing::new([0; RANDOM_CHARS]);
    for character in text.iter_mut().rev() {
        let mut remainder = 0;
        for byte in number.iter_mut() {
            let dividend = remainder << 8 | u32::from(*byte);
            // Below 256, because the remainder that came in is below 62.
            *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
            remainder = dividend % 62;
        }
        *character = base62_digit(remainder);
    }
    text
}

fn base62_of_checksum(mut number: u32) -> [u8; CHECKSUM_CHARS] {
    let mut text = [0; CHECKSUM_CHARS];
    for character in text.iter_mut().rev() {
        *character = base62_digit(number % 62);
        number /= 62;
    }
    text
}

/// `value` is below 62.
fn base62_digit(value: u32) -> u8 {
    usize::try_from(value).ok().and_then(|value| ALPHABET.get(value)).copied().unwrap_or(b'0')
}

/// CRC-32 as in zlib and PNG (reflected, polynomial `0x04C11DB7`). Bit by bit: keys are 49 bytes, tables would cost
/// more than they save.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests;
