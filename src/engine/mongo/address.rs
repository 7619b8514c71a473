//! Addresses as `MongoDB` writes them.

use crate::config::Secret;
use crate::percent;

/// See the module.
#[derive(Debug)]
pub(super) struct MongoAddress {
    pub(super) hosts: Vec<MongoHost>,
    /// The name whose DNS records say where the hosts are, in their place.
    pub(super) service: Option<String>,
    pub(super) user: Option<(String, Secret)>,
    pub(super) database: Option<String>,
    auth_source: Option<String>,
    pub(super) mechanism: Option<String>,
    pub(super) is_tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MongoHost {
    /// Without brackets for IPv6.
    pub(super) host: String,
    pub(super) port: u16,
}

const PORT: u16 = 27017;

impl MongoHost {
    pub(super) fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(newer) => {
                let (host, rest) = newer.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
        if host.is_empty() { None } else { Some(Self { host: host.to_owned(), port }) }
    }
}

impl MongoAddress {
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let wrong = || "expected an address such as mongodb://user:password@host:27017/database".to_owned();
        let url = url.trim();
        let (is_service, rest) = match (url.strip_prefix("mongodb+srv://"), url.strip_prefix("mongodb://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let user = match user {
            None => None,
            Some(user) => {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = |text: &str| percent::decoded(text).map_err(|_| wrong());
                Some((decoded(user)?, Secret::new(decoded(password)?)))
            }
        };
        let listed = hosts.split(',').map(MongoHost::read).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        let mut address = Self {
            service: None,
            hosts: listed,
            user,
            database: Some(percent::decoded(database).map_err(|_| wrong())?).filter(|name| !name.is_empty()),
            auth_source: None,
            mechanism: None,
            is_tls: is_service,
        };
        if is_service {
            address.service = Some(hosts.to_owned());
            address.hosts.clear();
        }
        for (name, value) in query.split('&').filter_map(|option| option.split_once('=')) {
            let value = percent::decoded(value).map_err(|_| wrong())?;
            match name.to_ascii_lowercase().as_str() {
                "tls" | "ssl" => address.is_tls = value == "true",
                "authsource" => address.auth_source = Some(value),
                "authmechanism" if matches!(&*value, "SCRAM-SHA-1" | "SCRAM-SHA-256" | "DEFAULT") => {
                    address.mechanism = Some(value).filter(|name| name != "DEFAULT");
                }
                "authmechanism" => return Err(format!("the engine does not authenticate by {value}")),
                _ => {}
            }
        }
        Ok(address)
    }

    /// The database that knows the user.
    pub(super) fn auth_source(&self) -> &str {
        self.auth_source
            .as_deref()
            .or(if self.service.is_some() { None } else { self.database.as_deref() })
            .unwrap_or("admin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let address =
            MongoAddress::read("mongodb://u%40x:p%3A@a:1,[::1],b/db?authSource=other&tls=true&w=majority").unwrap();
        let host = |host: &str, port| MongoHost { host: host.to_owned(), port };
        assert_eq!(address.hosts, [host("a", 1), host("::1", PORT), host("b", PORT)]);
        let (user, password) = address.user.as_ref().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("u@x", "p:"));
        assert_eq!((address.database.as_deref(), address.auth_source(), address.is_tls), (Some("db"), "other", true));

        let address = MongoAddress::read("mongodb+srv://u:p@cluster.example.mongodb.net/?retryWrites=true").unwrap();
        assert_eq!((address.service.as_deref(), address.is_tls), (Some("cluster.example.mongodb.net"), true));
        assert_eq!((address.auth_source(), address.database.as_deref()), ("admin", None));
        for wrong in ["", "http://a", "mongodb://", "mongodb://a:x/", "mongodb://a/?authMechanism=MONGODB-AWS"] {
            assert!(MongoAddress::read(wrong).is_err(), "{wrong}");
        }
    }
}
