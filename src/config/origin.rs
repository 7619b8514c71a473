//! Origins of web pages, apps and browser extensions, and the patterns that list them.
//!
//! An origin is scheme, host and port (RFC 6454, section 6.2), compared exactly; `https://*.example.com` stands for
//! every host below `example.com`, and for neither `example.com` itself nor `evil-example.com`. What an app's web view
//! or an extension sends has a scheme of its own (`capacitor://localhost`, `chrome-extension://abc`), whose host the URL
//! standard leaves as it is written.

/// The origins that may call something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    exact: Vec<Box<str>>,
    wildcards: Vec<Wildcard>,
}

/// `https://*.example.com:8443` or `moz-extension://*`: what stands before and after the star.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wildcard {
    before: Box<str>,
    after: Box<str>,
}

impl Origins {
    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.any && self.exact.is_empty() && self.wildcards.is_empty()
    }

    /// Whether `*` is written: every origin, for what is no secret.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a page of that origin (as a browser writes it in `Origin`) may call. `null` never may: it is every
    /// sandboxed page at once.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        (self.any && origin != "null")
            || self.exact.iter().any(|listed| **listed == *origin)
            || self.wildcards.iter().any(|wildcard| wildcard.matches(origin))
    }
}

impl Wildcard {
    fn matches(&self, origin: &str) -> bool {
        let names = origin.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&*self.after));
        names.is_some_and(|names| match &*self.after {
            // Ids that a browser gives an extension when it is installed.
            "" => names.len() == 36 && names.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
            _ => names.split('.').all(is_label),
        })
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

/// Why a text is no pattern of origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("expected an origin such as https://app.example.com or https://*.example.com")]
    NotAnOrigin,
    #[error("an origin ends with its host or port: take off the path and the slash")]
    Path,
    #[error("browsers write hosts in small letters")]
    Case,
    #[error("browsers leave out the usual port: take it off")]
    UsualPort,
    #[error("the star stands for whole names below a domain, as in https://*.example.com")]
    Star,
    #[error("did you mean http:// or https://? Other schemes are those of apps, such as capacitor://localhost")]
    Scheme,
    #[error("an extension's origin is written with its id, as in chrome-extension://abcdefghijklmnopabcdefghijklmnop")]
    Extension,
    #[error("null is the origin of any sandboxed page, and so of everybody")]
    Null,
}

impl Origins {
    /// Adds an origin, `https://*.example.com` or `*`. Written twice counts once.
    pub fn add(&mut self, text: &str) -> Result<(), OriginError> {
        match text {
            "*" => self.any = true,
            "null" => return Err(OriginError::Null),
            _ => {
                let (scheme, authority) = text.split_once("://").ok_or(OriginError::NotAnOrigin)?;
                check(scheme, authority)?;
                match authority.strip_prefix('*') {
                    Some(after) => {
                        let wildcard = Wildcard { before: format!("{scheme}://").into(), after: after.into() };
                        if !self.wildcards.contains(&wildcard) {
                            self.wildcards.push(wildcard);
                        }
                    }
                    None if self.exact.iter().any(|listed| **listed == *text) => {}
                    None => self.exact.push(text.into()),
                }
            }
        }
        Ok(())
    }

    /// Adds what `other` lists.
    pub fn extend(&mut self, other: &Self) {
        self.any |= other.any;
        self.exact.extend(other.exact.iter().cloned());
        self.wildcards.extend(other.wildcards.iter().cloned());
    }

    /// The patterns, as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let any = self.any.then(|| "*".to_owned());
        let wildcards = self.wildcards.iter().map(|wildcard| format!("{}*{}", wildcard.before, wildcard.after));
        any.into_iter().chain(self.exact.iter().map(|origin| String::from(&**origin))).chain(wildcards)
    }
}

/// `scheme` and what follows `://` as a browser would write them, with a star allowed for the first names.
fn check(scheme: &str, authority: &str) -> Result<(), OriginError> {
    let usual_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") => {
            return Err(OriginError::Case);
        }
        _ => return check_app(scheme, authority),
    };
    if authority.contains(['/', '?', '#']) {
        return Err(OriginError::Path);
    }
    if authority.ends_with(usual_port) {
        return Err(OriginError::UsualPort);
    }
    let host = if authority.starts_with('[') {
        let (address, port) = authority.split_once(']').ok_or(OriginError::NotAnOrigin)?;
        address.trim_start_matches('[').parse::<std::net::Ipv6Addr>().map_err(|_| OriginError::NotAnOrigin)?;
        if address.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(OriginError::Case);
        }
        return check_port(port);
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        check_port(port)?;
        host
    };
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(OriginError::Case);
    }
    let names = match host.strip_prefix("*.") {
        // A star right below a top-level domain would be nearly everybody.
        Some(domain) if domain.contains('.') || domain == "localhost" => domain,
        _ if host.contains('*') => return Err(OriginError::Star),
        _ => host,
    };
    if names.split('.').all(is_label) { Ok(()) } else { Err(OriginError::NotAnOrigin) }
}

/// Schemes of other things, whose pages have no origin of their own.
const NO_APPS: &[&str] = &["about", "blob", "data", "file", "ftp", "javascript", "mailto", "ws", "wss"];
/// Extensions that have another id in every browser they are installed in.
const ANY_ID: &[&str] = &["moz-extension", "safari-web-extension"];

/// The same for an app's web view or an extension. Hosts of such schemes keep their case, and may be anything.
fn check_app(scheme: &str, authority: &str) -> Result<(), OriginError> {
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(OriginError::Case);
    }
    if scheme.contains("ttp") || scheme.starts_with("htp") {
        return Err(OriginError::Scheme);
    }
    // RFC 3986, section 3.1.
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !is_scheme || scheme.len() > 64 || NO_APPS.contains(&scheme) {
        return Err(OriginError::NotAnOrigin);
    }
    if authority.contains(['/', '?', '#']) {
        return Err(OriginError::Path);
    }
    if authority.contains('*') {
        let is_any = authority == "*" && ANY_ID.contains(&scheme);
        return if is_any { Ok(()) } else { Err(OriginError::Star) };
    }
    let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    check_port(port)?;
    if host.is_empty() && scheme.ends_with("-extension") {
        return Err(OriginError::Extension);
    }
    let is_host = host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte));
    if is_host { Ok(()) } else { Err(OriginError::NotAnOrigin) }
}

/// Nothing, or `:` and a number without leading zeros.
fn check_port(port: &str) -> Result<(), OriginError> {
    let Some(digits) = port.strip_prefix(':') else {
        return if port.is_empty() { Ok(()) } else { Err(OriginError::NotAnOrigin) };
    };
    match digits.parse::<u16>() {
        Ok(number) if number > 0 && number.to_string() == digits => Ok(()),
        _ => Err(OriginError::NotAnOrigin),
    }
}

#[cfg(test)]
mod tests;
