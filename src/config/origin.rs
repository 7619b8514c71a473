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
            .is_some_and(|labels| !labels.is_empty() && labels.split('.').all(is_label))
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
