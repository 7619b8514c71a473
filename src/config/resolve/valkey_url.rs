//! Where a store is, as it is written: `redis://user:password@host:6379/0`.

use std::path::PathBuf;

use thiserror::Error;

use super::address::{digits, split_port};
use crate::config::{Secret, ValkeyServer};
use crate::percent;

const PORT: u16 = 6379;

/// What one URL says; what it leaves out is `None`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValkeyUrl {
    pub(super) server: ValkeyServer,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum ValkeyUrlError {
    #[error("expected a URL such as redis://127.0.0.1:6379/0, rediss://valkey.internal or unix:///run/valkey.sock")]
    Url,
    #[error("only redis, rediss (the same over TLS), valkey, valkeys and unix are supported")]
    Scheme,
    #[error("expected a host name or an address, `[…]` around it if it is IPv6")]
    Host,
    #[error("expected a port from 1 to 65535")]
    Port,
    #[error("expected the number of a database behind the slash, such as /0")]
    Database,
    #[error("expected a URL without query or fragment: everything else is a field of its own")]
    Query,
    #[error("expected an absolute path, such as unix:///run/valkey/valkey.sock")]
    Path,
    #[error("the user or password in it is not percent-encoded UTF-8")]
    Encoding,
}

/// Nothing of a URL is in its error: there may be a password in it.
pub(super) fn valkey_url(text: &str) -> Result<ValkeyUrl, ValkeyUrlError> {
    let (scheme, rest) = text.split_once(':').ok_or(ValkeyUrlError::Url)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" | "redis+unix" | "valkey+unix" => return socket(rest),
        _ => return Err(ValkeyUrlError::Scheme),
    };
    let rest = rest.strip_prefix("//").ok_or(ValkeyUrlError::Url)?;
    // The last one: whoever wrote a password as it is has written what nobody else takes for a host.
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    if rest.contains(['?', '#']) {
        return Err(ValkeyUrlError::Query);
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_port(authority).map_err(|_| ValkeyUrlError::Host)?;
    let port = match port {
        None => PORT,
        Some(port) => digits(port).filter(|port| *port > 0).ok_or(ValkeyUrlError::Port)?,
    };
    let database = match database {
        "" => None,
        number => Some(digits(number).ok_or(ValkeyUrlError::Database)?),
    };
    let (username, password) = user.map_or(Ok((None, None)), credentials)?;
    Ok(ValkeyUrl { server: ValkeyServer::Tcp(host, port), tls, username, password, database })
}

fn socket(rest: &str) -> Result<ValkeyUrl, ValkeyUrlError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') || path.len() < 2 {
        return Err(ValkeyUrlError::Path);
    }
    if path.contains(['?', '#']) {
        return Err(ValkeyUrlError::Query);
    }
    let server = ValkeyServer::Unix(PathBuf::from(path));
    Ok(ValkeyUrl { server, tls: false, username: None, password: None, database: None })
}

/// `user:password`, `:password`; without a colon it is a user.
fn credentials(text: &str) -> Result<(Option<String>, Option<Secret>), ValkeyUrlError> {
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    let some = |text: String| (!text.is_empty()).then_some(text);
    let password = password.map(decoded).transpose()?.and_then(some);
    Ok((some(decoded(user)?), password.map(Secret::new)))
}

fn decoded(text: &str) -> Result<String, ValkeyUrlError> {
    percent::decoded(text).map_err(|_| ValkeyUrlError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_as_whom() {
        let tcp = |host: &str, port| ValkeyServer::Tcp(host.to_owned(), port);
        for (text, server, tls, user, password, database) in [
            ("redis://127.0.0.1", tcp("127.0.0.1", 6379), false, None, None, None),
            ("valkey://cache:1/", tcp("cache", 1), false, None, None, None),
            ("VALKEYS://Cache.Internal:6380/15", tcp("cache.internal", 6380), true, None, None, Some(15)),
            ("rediss://ann:s%3Acret%C3%A9@[::1]/3", tcp("::1", 6379), true, Some("ann"), Some("s:creté"), Some(3)),
            ("redis://:p@ss@h", tcp("h", 6379), false, None, Some("p@ss"), None),
            ("redis://ann@h", tcp("h", 6379), false, Some("ann"), None, None),
            ("unix:///run/v.sock", ValkeyServer::Unix("/run/v.sock".into()), false, None, None, None),
            ("unix:/run/v.sock", ValkeyServer::Unix("/run/v.sock".into()), false, None, None, None),
        ] {
            let expected = ValkeyUrl {
                server,
                tls,
                username: user.map(str::to_owned),
                password: password.map(|password: &str| Secret::new(password.to_owned())),
                database,
            };
            assert_eq!(valkey_url(text), Ok(expected), "{text}");
        }
        for (text, error) in [
            ("", ValkeyUrlError::Url),
            ("redis:127.0.0.1", ValkeyUrlError::Url),
            ("127.0.0.1:6379", ValkeyUrlError::Scheme),
            ("http://h", ValkeyUrlError::Scheme),
            ("redis://", ValkeyUrlError::Host),
            ("redis://a b", ValkeyUrlError::Host),
            ("redis://h:0", ValkeyUrlError::Port),
            ("redis://h:66666", ValkeyUrlError::Port),
            ("redis://h/zero", ValkeyUrlError::Database),
            ("redis://h/0?protocol=resp3", ValkeyUrlError::Query),
            ("redis://a:%zz@h", ValkeyUrlError::Encoding),
            ("redis://a:%ff@h", ValkeyUrlError::Encoding),
            ("unix://run/v.sock", ValkeyUrlError::Path),
            ("unix:", ValkeyUrlError::Path),
        ] {
            assert_eq!(valkey_url(text), Err(error), "{text}");
        }
    }
}
