//! Where a request goes: an origin that the author fixes, and a path with places for values.

use std::time::Duration;

use crate::engine::provider::{ProviderEndpoint, Targets};
use crate::engine::text::mustache::Mustache;
use crate::engine::text::percent::located;

/// See the module.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) endpoint: ProviderEndpoint,
    pub(crate) origin: String,
    /// Path and query.
    pub(crate) path: Mustache,
}

impl Address {
    /// # Errors
    /// What is wrong with the URL, or why it is denied.
    pub(crate) fn read(url: &Mustache, targets: &Targets, patience: Duration) -> Result<Self, String> {
        let url = url.reworded(plain);
        let (origin, path) = url.cut(split).ok_or("expected a URL such as https://api.example.com/items")?;
        let Some(origin) = origin.fixed().filter(|origin| !origin.contains(['{', '}'])) else {
            return Err("the scheme and the host must be written out; {{...}} may stand behind them".to_owned());
        };
        let endpoint = targets.outward(origin, Some(patience))?;
        Ok(Self { endpoint, origin: origin.to_owned(), path })
    }

    /// One that the configuration names, which may lie anywhere.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn of_operator(url: &str, targets: &Targets, patience: Duration) -> Result<Self, String> {
        let (origin, path) =
            split(url).and_then(|end| url.split_at_checked(end)).ok_or("expected a URL such as https://example.com")?;
        let endpoint = targets.endpoint(origin, Some(patience))?;
        Ok(Self { endpoint, origin: origin.to_owned(), path: Mustache::plain(path) })
    }

    /// Path and query of a redirection.
    ///
    /// # Errors
    /// It leads to another server, which the author's headers are not for.
    pub(crate) fn redirected(&self, location: &str) -> Result<String, String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(located(location));
        }
        match split(location).and_then(|end| location.split_at_checked(end)) {
            Some((origin, path)) if origin.eq_ignore_ascii_case(&self.origin) => Ok(located(path)),
            _ => Err("it was redirected to another server".to_owned()),
        }
    }
}

/// Where the origin of a URL ends, `scheme://host:port`.
pub(crate) fn split(url: &str) -> Option<usize> {
    let host = url.find("://")? + 3;
    Some(url.get(host..)?.find(['/', '?', '#', '\\']).map_or(url.len(), |end| host + end))
}

/// Without the tags that Flowise's editor puts around texts, and without a fragment.
fn plain(text: &str) -> String {
    let text = untagged(text);
    text.split('#').next().unwrap_or_default().to_owned()
}

/// Without the tags that Flowise's editor puts around texts.
pub(crate) fn untagged(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_and_cleaned() {
        let split = |url: &'static str| split(url).and_then(|end| url.split_at_checked(end));
        assert_eq!(split("https://a.b:1/x?y"), Some(("https://a.b:1", "/x?y")));
        assert_eq!(split("https://a.b"), Some(("https://a.b", "")));
        assert_eq!(split("nothing"), None);
        assert_eq!(plain("<p>https://x/y_z?a=1&amp;b=2#c</p>"), "https://x/y_z?a=1&b=2");
    }
}
