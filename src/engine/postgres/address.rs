//! Addresses of databases as people write them: `postgres://user:password@host:5432/database`.

use crate::config::Secret;
use crate::percent;

const PORT: u16 = 5432;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PostgresAddress {
    /// Without brackets for IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: String,
    pub(crate) is_tls: bool,
}

impl PostgresAddress {
    /// With or without `postgres://`.
    ///
    /// # Errors
    /// It is none; nothing of it is told, for it may hold a password.
    pub(crate) fn read(url: &str) -> Result<Self, String> {
        let wrong = || "expected an address such as postgres://user:password@host:5432/database".to_owned();
        let url = url.trim();
        let rest = match url.split_once("://") {
            Some(("postgres" | "postgresql", rest)) => rest,
            Some(_) => return Err(wrong()),
            None => url,
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let (host, port) = match host.strip_prefix('[').map(|newer| newer.split_once(']')) {
            Some(newer) => newer.map(|(host, port)| (host, port.strip_prefix(':'))).ok_or_else(wrong)?,
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(wrong());
        }
        let decoded = |text: &str| percent::decoded(text).map_err(|_| wrong());
        let (user, database) = (decoded(user)?, decoded(database)?);
        let is_tls = query.split('&').filter_map(|option| option.split_once('=')).any(|(name, value)| {
            (name == "ssl" && value == "true")
                || (name == "sslmode" && matches!(value, "require" | "verify-ca" | "verify-full"))
        });
        Ok(Self {
            host: host.to_owned(),
            port: port.map_or(Ok(PORT), str::parse).map_err(|_| wrong())?,
            // As its own programs.
            database: if database.is_empty() { user.clone() } else { database },
            user,
            password: Secret::new(decoded(password)?),
            is_tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let read = |url: &str| {
            let PostgresAddress { host, port, user, password, database, is_tls } = PostgresAddress::read(url).unwrap();
            (host, port, user, password.expose().to_owned(), database, is_tls)
        };
        let of = |host: &str, port, user: &str, password: &str, database: &str, is_tls| {
            (host.to_owned(), port, user.to_owned(), password.to_owned(), database.to_owned(), is_tls)
        };
        assert_eq!(
            read(" postgres://u%40x:p@%3A@db.example:5433/my%20db?sslmode=require "),
            of("db.example", 5433, "u@x", "p@:", "my db", true)
        );
        assert_eq!(read("postgresql://me@[::1]"), of("::1", 5432, "me", "", "me", false));
        assert_eq!(read("127.0.0.1:5432/chinook"), of("127.0.0.1", 5432, "", "", "chinook", false));
        for wrong in ["", "mysql://a/b", "postgres://", "postgres://u:p@/x", "postgres://a:x/", "postgres://[::1"] {
            assert!(PostgresAddress::read(wrong).is_err(), "{wrong}");
        }
    }
}
