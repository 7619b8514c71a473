//! A URL that is asked as it stands.

use std::fmt;

use http::Uri;

/// Bytes of a URL.
const LONGEST: usize = 2048;

/// `scheme://host:port` of a server; no path, no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    pub https: bool,
    /// Without brackets for IPv6.
    pub host: String,
    pub port: u16,
}

/// A server, and path and query as they are sent. Without a fragment and without a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    pub(crate) server: UpstreamUrl,
    pub(crate) target: Box<str>,
}

impl HttpUrl {
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a URL such as https://login.example.com/keys";
        let is_plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || text.contains(['#', '\\']) {
            return Err(EXPECTED);
        }
        let url: Uri = text.parse().map_err(|_| EXPECTED)?;
        let https = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err("only http and https are supported"),
            None => return Err(EXPECTED),
        };
        let authority = url.authority().ok_or(EXPECTED)?;
        if authority.as_str().contains('@') {
            return Err("a user or password cannot stand in the URL");
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => None,
            _ => Some(authority.port_u16().filter(|port| *port > 0).ok_or("expected a port from 1 to 65535")?),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(EXPECTED);
        }
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}").into() };
        Ok(Self { server: UpstreamUrl { https, host: host.to_ascii_lowercase(), port }, target })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UpstreamUrl { https, host, port } = &self.server;
        let scheme = if *https { "https" } else { "http" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match (https, port) {
            (true, 443) | (false, 80) => write!(f, "{scheme}://{host}{}", self.target),
            _ => write!(f, "{scheme}://{host}:{port}{}", self.target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_what_is_asked_of_it() {
        for (text, shown) in [
            ("https://login.example.com", "https://login.example.com/"),
            ("http://127.0.0.1:8080/realms/a/keys?x=1", "http://127.0.0.1:8080/realms/a/keys?x=1"),
            ("HTTPS://Login.Example.com?p=b", "https://login.example.com/?p=b"),
            ("https://[::1]:444/a:b@c", "https://[::1]:444/a:b@c"),
        ] {
            assert_eq!(HttpUrl::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "login.example.com",
            "/keys",
            "ftp://a/b",
            "https://u:p@host/a",
            "https://a/b#c",
            "https://a/ b",
            "https:///a",
            "https://a:/b",
            "https://a:99999/b",
            "https://\u{e4}/",
        ] {
            assert!(HttpUrl::parse(text).is_err(), "{text}");
        }
    }
}
