//! Texts as they may stand in addresses and forms.

use std::fmt::Write as _;

/// What is said of a value that [`steps`].
pub(crate) const STEP: &str = "a value in a path must not be . or ..";

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

/// A part of an address, as JavaScript's `encodeURIComponent` writes it.
pub(crate) fn component(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte))
}

/// A whole segment of a path.
///
/// # Errors
/// It would lead elsewhere in the path, however it is encoded.
pub(crate) fn alone(text: &str) -> Result<String, String> {
    if matches!(text, "." | "..") { Err(STEP.to_owned()) } else { Ok(component(text)) }
}

/// A segment of a path, with the signs in it that no address takes for its own, as in ids of Microsoft's.
pub(crate) fn segment(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@".contains(&byte))
}

/// A part of an address with all encoded that is not plain in any of its parts (RFC 3986, section 2.3).
pub(crate) fn strict(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}

/// A name or a value as browsers write forms.
pub(crate) fn form(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"*-._ ".contains(&byte)).replace(' ', "+")
}

/// A part of a cookie's value, in the letters that RFC 6265 gives it. What is encoded already stays as it is.
pub(crate) fn cookie(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
}

/// Names and values as browsers write forms.
pub(crate) fn pairs<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{}={}", form(key.as_ref()), form(value.as_ref())));
    pairs.collect::<Vec<_>>().join("&")
}

/// A path as it may stand in a request.
pub(crate) fn located(path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%|".contains(&byte);
    format!("{slash}{}", encoded(path, is_kept))
}

/// Whether a path has segments that lead elsewhere in it, `.` and `..`, encoded or not.
pub(crate) fn steps(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_step = |segment: &str| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..");
    path.split(['/', '\\']).any(is_step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_stays_in_its_place() {
        assert_eq!(component("../a b&c?ä\\%"), "..%2Fa%20b%26c%3F%C3%A4%5C%25");
        assert!(alone("..").is_err() && alone(".").is_err() && alone("../a").as_deref() == Ok("..%2Fa"));
        assert_eq!(segment("19:a=@b/../c?d#%"), "19:a=@b%2F..%2Fc%3Fd%23%25");
        assert_eq!(located("a b/ä?c={d}\r\n"), "/a%20b/%C3%A4?c=%7Bd%7D%0D%0A");
        assert_eq!(cookie("a=b%3B; role=\"x\",\\é\r"), "a=b%3B%3B%20role=%22x%22%2C%5C%C3%A9%0D");
        assert_eq!(pairs(&[("a b", "1&2"), ("c", "ä~!")]), "a+b=1%262&c=%C3%A4%7E%21");
    }

    #[test]
    fn steps_in_a_path_are_seen_encoded_or_not() {
        for path in ["/a/../b", "/a/..", "/a/.%2E?x", "/./a", "..", "/a/%2e%2e#x"] {
            assert!(steps(path), "{path}");
        }
        for path in ["/a/..b", "/a...", "/a?x=/../", "/...", "/a/..%2Fb"] {
            assert!(!steps(path), "{path}");
        }
    }
}
