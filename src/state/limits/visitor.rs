//! Who is counted where there is no key, or a key that many share.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use aws_lc_rs::digest;

/// See the module. Printed and parsed as it stands in the file of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Visitor {
    V4([u8; 4]),
    /// The /64 that one IPv6 subscriber usually holds.
    V6([u8; 8]),
    /// The hash of an application and its user.
    User([u8; 16]),
    /// Newcomers to a full table.
    Pool(u16),
}

impl Visitor {
    pub(crate) fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => Self::V6(v6.octets().first_chunk().copied().unwrap_or_default()),
        }
    }

    /// The subject of a session token that descends from that key.
    pub(crate) fn user(key: &str, subject: &str) -> Self {
        Self::named(&[], key, subject)
    }

    /// A subject of an identity provider, who is nobody's user of a key with the provider's name.
    pub(crate) fn person(identity: &str, subject: &str) -> Self {
        // Longer than any length that a key's hash begins with.
        Self::named(&[0xff; 8], identity, subject)
    }

    fn named(kind: &[u8], key: &str, subject: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind);
        // With its length, so that no two pairs are written alike.
        context.update(&(key.len() as u64).to_be_bytes());
        context.update(key.as_bytes());
        context.update(subject.as_bytes());
        Self::User(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    pub(super) fn is_pool(self) -> bool {
        matches!(self, Self::Pool(_))
    }
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(octets) => Ipv4Addr::from(*octets).fmt(f),
            Self::V6(network) => {
                let address = u128::from(u64::from_be_bytes(*network)) << 64;
                write!(f, "{}/64", Ipv6Addr::from(address))
            }
            Self::User(hash) => write!(f, "user-{:032x}", u128::from_be_bytes(*hash)),
            Self::Pool(number) => write!(f, "pool-{number}"),
        }
    }
}

/// Not a visitor's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAVisitor;

impl FromStr for Visitor {
    type Err = NotAVisitor;

    fn from_str(text: &str) -> Result<Self, NotAVisitor> {
        if let Some(hash) = text.strip_prefix("user-").filter(|hash| hash.len() == 32) {
            return u128::from_str_radix(hash, 16).map(|hash| Self::User(hash.to_be_bytes())).map_err(|_| NotAVisitor);
        }
        text.strip_suffix("/64").unwrap_or(text).parse().map(Self::at).map_err(|_| NotAVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Visitor {
        Visitor::at(text.parse().unwrap())
    }

    #[test]
    fn ipv6_is_counted_by_subscriber() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.7"), at("192.0.2.7"));
        assert_ne!(at("192.0.2.8"), at("192.0.2.7"));
    }

    #[test]
    fn users_of_two_applications_are_two() {
        assert_eq!(Visitor::user("app", "ann"), Visitor::user("app", "ann"));
        assert_ne!(Visitor::user("app", "ann"), Visitor::user("app", "bob"));
        assert_ne!(Visitor::user("app", "ann"), Visitor::user("appa", "nn"));
        assert_ne!(Visitor::user("app", "ann"), Visitor::person("app", "ann"));
        assert_eq!(Visitor::person("app", "ann"), Visitor::person("app", "ann"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for visitor in [at("192.0.2.7"), at("2001:db8:0:1::"), Visitor::user("app", "ann")] {
            assert_eq!(visitor.to_string().parse(), Ok(visitor), "{visitor}");
        }
        assert_eq!(at("2001:db8:0:1::9").to_string(), "2001:db8:0:1::/64");
        for text in ["", "pool-1", "user-", "user-00", "192.0.2", "2001:db8::/65"] {
            assert_eq!(text.parse::<Visitor>(), Err(NotAVisitor), "{text}");
        }
    }
}
