//! Texts as they may stand in addresses.

use std::fmt::Write as _;

/// With every byte encoded that is not kept.
fn encoded(text: &str, is_kept: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_kept(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A part of one, as JavaScript's `encodeURIComponent` writes it.
pub(super) fn component(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte))
}

/// Names and values as browsers write forms.
pub(super) fn form(pairs: &[(String, String)]) -> String {
    let field =
        |text: &str| encoded(text, |byte| byte.is_ascii_alphanumeric() || b"*-._ ".contains(&byte)).replace(' ', "+");
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", field(key), field(value))).collect();
    pairs.join("&")
}

/// A whole one, without what cannot stand in it.
pub(super) fn whole(text: &str) -> String {
    encoded(text.trim(), |byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_stays_in_its_place() {
        assert_eq!(component("../a b&c?ä"), "..%2Fa%20b%26c%3F%C3%A4");
        assert_eq!(whole(" https://a/b c?d={e}#f "), "https://a/b%20c?d=%7Be%7D#f");
        let pairs = [("a b", "1&2"), ("c", "ä")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(form(&pairs), "a+b=1%262&c=%C3%A4");
    }
}
