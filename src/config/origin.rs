//! Origins of web pages, and the patterns that list them.
//!
//! An origin is scheme, host and port (RFC 6454, section 6.2), compared exactly; `https://*.example.com` stands for
//! every host below `example.com`, and for neither `example.com` itself nor `evil-example.com`.

/// The origins that may call something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    exact: Vec<Box<str>>,
    wildcards: Vec<Wildcard>,
}

/// `https://*.example.com:8443`: what stands before and after the star.
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

    /// Whether a page of that origin (as a browser writes it in `Origin`) may call. `null` never may by pattern.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.any
            || self.exact.iter().any(|listed| **listed == *origin)
            || self.wildcards.iter().any(|wildcard| wildcard.matches(origin))
    }
}

impl Wildcard {
    fn matches(&self, origin: &str) -> bool {
        origin
            .strip_prefix(&*self.before)
            .and_then(|rest| rest.strip_suffix(&*self.after))
            .is_some_and(|labels| labels.split('.').all(is_label))
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

    /// The patterns, as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let any = self.any.then(|| "*".to_owned());
        let wildcards = self.wildcards.iter().map(|wildcard| format!("{}*{}", wildcard.before, wildcard.after));
        any.into_iter().chain(self.exact.iter().map(|origin| String::from(&**origin))).chain(wildcards)
    }

    /// Whether every origin that `other` lists is listed here as well, as far as can be told from the patterns.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.any
            || (!other.any
                && other.exact.iter().all(|origin| self.allows(origin))
                && other.wildcards.iter().all(|wildcard| self.wildcards.contains(wildcard)))
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
        _ => return Err(OriginError::NotAnOrigin),
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(patterns: &[&str]) -> Origins {
        let mut origins = Origins::default();
        for pattern in patterns {
            origins.add(pattern).unwrap();
        }
        origins
    }

    #[test]
    fn scheme_host_and_port_are_compared_exactly() {
        let listed = origins(&["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"]);
        for origin in ["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"] {
            assert!(listed.allows(origin), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.org",
            "https://evil-app.example.com",
            "https://example.com",
            "https://APP.example.com",
            "https://app.example.com/",
            "http://localhost",
            "null",
            "",
        ] {
            assert!(!listed.allows(origin), "{origin}");
        }
    }

    #[test]
    fn a_star_stands_for_whole_names() {
        let listed = origins(&["https://*.example.com", "https://*.example.org:8443"]);
        for origin in ["https://a.example.com", "https://a.b.example.com", "https://a.example.org:8443"] {
            assert!(listed.allows(origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://evil.com#.example.com",
            "https://evil.com/.example.com",
            "https://user@a.example.com",
            "https://a..example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.org",
        ] {
            assert!(!listed.allows(origin), "{origin}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_refused_with_a_reason() {
        for (text, error) in [
            ("app.example.com", OriginError::NotAnOrigin),
            ("ftp://a.b", OriginError::NotAnOrigin),
            ("https://", OriginError::NotAnOrigin),
            ("https://a.b:0", OriginError::NotAnOrigin),
            ("https://a.b:08", OriginError::NotAnOrigin),
            ("https://u@a.b", OriginError::NotAnOrigin),
            ("https://a.b/", OriginError::Path),
            ("https://a.b/x", OriginError::Path),
            ("https://A.b", OriginError::Case),
            ("HTTPS://a.b", OriginError::Case),
            ("https://a.b:443", OriginError::UsualPort),
            ("http://a.b:80", OriginError::UsualPort),
            ("https://*", OriginError::Star),
            ("https://*.com", OriginError::Star),
            ("https://a*.example.com", OriginError::Star),
            ("https://a.*.com", OriginError::Star),
            ("null", OriginError::Null),
        ] {
            assert_eq!(Origins::default().add(text), Err(error), "{text}");
        }
    }

    #[test]
    fn lists_are_compared() {
        let wide = origins(&["https://*.example.com", "https://a.org"]);
        assert!(wide.covers(&origins(&["https://x.example.com", "https://a.org"])));
        assert!(wide.covers(&origins(&["https://*.example.com"])));
        assert!(!wide.covers(&origins(&["https://b.org"])));
        assert!(!wide.covers(&origins(&["*"])));
        assert!(origins(&["*"]).covers(&wide));
    }

    proptest! {
        #[test]
        fn only_names_below_the_domain_match(origin in "https?://[a-z.*@:/#-]{0,12}(example\\.com)?(:[0-9]{1,4})?") {
            if origins(&["https://*.example.com"]).allows(&origin) {
                let names = origin.strip_prefix("https://").and_then(|rest| rest.strip_suffix(".example.com"));
                prop_assert!(names.is_some_and(|names| names.split('.').all(is_label)));
            }
        }

        #[test]
        fn what_is_listed_is_allowed(host in "[a-z][a-z0-9-]{0,9}(\\.[a-z]{1,5}){1,3}", port in 1024..u16::MAX) {
            let text = format!("https://{host}:{port}");
            prop_assert!(origins(&[&text]).allows(&text));
            let other = format!("https://{}:{}", host, port - 1);
            prop_assert!(!origins(&[&text]).allows(&other));
        }
    }
}
