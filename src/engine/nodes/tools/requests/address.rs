//! Where a request goes: an origin that the author fixes, and a path with places for values.

use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::provider::{Endpoint, Targets};
use crate::engine::run::Run;
use crate::engine::variables;

/// See the module.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    pub(crate) origin: String,
    /// Path and query as they are written.
    pub(crate) path: String,
}

impl Address {
    /// # Errors
    /// What is wrong with the URL, or why it is denied.
    pub(crate) fn read(text: &str, targets: &Targets, patience: Duration) -> Result<Self, String> {
        let text = plain(text);
        let (origin, path) = split(&text).ok_or("expected a URL such as https://api.example.com/items")?;
        if origin.contains("{{") {
            return Err("the scheme and the host must be written out; {{...}} may stand behind them".to_owned());
        }
        let endpoint = targets.outward(origin, Some(patience))?;
        let path = path.split('#').next().unwrap_or_default();
        Ok(Self { endpoint, origin: origin.to_owned(), path: path.to_owned() })
    }

    /// Path and query, with what is known of the request; it cannot leave its place in them.
    pub(crate) fn filled(&self, run: &Run<'_>) -> String {
        variables::replaced(&self.path, |name| variables::known(name, run).map(|value| component(&value)))
    }

    /// Path and query of a redirection.
    ///
    /// # Errors
    /// It leads to another server, which the author's headers are not for.
    pub(crate) fn redirected(&self, location: &str) -> Result<String, String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(located(location));
        }
        match split(location) {
            Some((origin, path)) if origin.eq_ignore_ascii_case(&self.origin) => Ok(located(path)),
            _ => Err("it was redirected to another server".to_owned()),
        }
    }
}

/// `scheme://host:port`, and what follows.
fn split(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find(['/', '?', '#']).map_or(url.len(), |end| host + end);
    url.split_at_checked(end)
}

/// Without the tags that Flowise's editor puts around texts.
pub(crate) fn plain(text: &str) -> String {
    let text = text.trim();
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let mut out = String::new();
    for part in text.split('<') {
        out.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    let named = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    named.iter().fold(out, |out, (name, letter)| out.replace(name, letter)).trim().to_owned()
}

/// A path as it may stand in a request.
pub(crate) fn located(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        let is_allowed = byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%|".contains(&byte);
        push(&mut out, byte, is_allowed);
    }
    out
}

/// As JavaScript's `encodeURIComponent`.
pub(crate) fn component(text: &str) -> String {
    encoded(text, b"-_.!~*'()")
}

/// As in the body of a form; spaces are encoded as others are.
pub(crate) fn form(text: &str) -> String {
    encoded(text, b"*-._").replace("%20", "+")
}

fn encoded(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        push(&mut out, byte, byte.is_ascii_alphanumeric() || kept.contains(&byte));
    }
    out
}

fn push(out: &mut String, byte: u8, is_kept: bool) {
    if is_kept {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_and_cleaned() {
        assert_eq!(split("https://a.b:1/x?y"), Some(("https://a.b:1", "/x?y")));
        assert_eq!(split("https://a.b"), Some(("https://a.b", "")));
        assert_eq!(split("nothing"), None);
        assert_eq!(plain("<p>https://x/y_z?a=1&amp;b=2</p>"), "https://x/y_z?a=1&b=2");
        assert_eq!(located("a b/ä?c={d}\r\n"), "/a%20b/%C3%A4?c=%7Bd%7D%0D%0A");
        assert_eq!(component("../a b&c"), "..%2Fa%20b%26c");
        assert_eq!(form("a b~!"), "a+b%7E%21");
    }
}
