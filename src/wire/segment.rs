//! Writes a text as one segment of a path.

use std::fmt::Write as _;

/// Appends it, percent-encoded (RFC 3986, section 2.1) but for unreserved characters.
pub(crate) fn push(path: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(path, "%{byte:02X}"),
        }
    }
}
