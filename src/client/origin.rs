//! Where requests go.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::ServerName;

use super::peer::Peer;
use super::reach::Reach;
use super::tls::ClientTls;

/// A server, and how it is asked: over TLS or not, for how long, at which of its addresses. Two that are made alike are
/// equal.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Where its host leads to with each new connection.
    peer: Peer,
    pub(super) host: String,
    pub(super) port: u16,
    /// `Host` of what is sent there.
    pub(super) authority: HeaderValue,
    pub(super) secured: Option<Secured>,
    /// Only such addresses are connected to.
    pub(super) reach: Reach,
    pub(super) timeouts: Timeouts,
}

/// With TLS.
#[derive(Debug, Clone)]
pub(super) struct Secured {
    pub(super) tls: ClientTls,
    /// What the certificate must name.
    pub(super) name: ServerName<'static>,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Timeouts {
    /// For a connection, with its look-up and its handshake.
    pub(crate) connect: Duration,
    /// For the head of the response, with the connection; while the request's body is on its way, from its last piece.
    pub(crate) response: Duration,
}

/// The host cannot stand in a certificate or in a request.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no host's name or address")]
pub(crate) struct UnfitHost(String);

impl Origin {
    /// `host`: a name or an address, without brackets for IPv6. `tls`: `None` for `http`.
    pub(crate) fn new(
        host: &str,
        port: u16,
        tls: Option<&ClientTls>,
        reach: Reach,
        timeouts: Timeouts,
    ) -> Result<Self, UnfitHost> {
        let unfit = || UnfitHost(host.to_owned());
        let authority = authority(host, port, tls.is_some());
        let secured = |tls: &ClientTls| {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| unfit())?;
            Ok(Secured { tls: tls.clone(), name })
        };
        Ok(Self {
            peer: Peer::new(None),
            authority: HeaderValue::from_str(&authority).map_err(|_| unfit())?,
            secured: tls.map(secured).transpose()?,
            host: host.to_owned(),
            port,
            reach,
            timeouts,
        })
    }

    /// Wherever its host leads to.
    #[cfg(test)]
    pub(crate) fn at(self, address: std::net::SocketAddr) -> Self {
        Self { peer: Peer::new(Some(address)), ..self }
    }

    /// Goes on with the connections of `other`, if those lead to the same server by the same rules.
    pub(crate) fn sharing(self, other: &Self) -> Self {
        let peer = if self.is_same_server(other) { other.peer.clone() } else { self.peer };
        Self { peer, ..self }
    }

    /// Whether connections to one are good for the other, however long each is waited for.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        self.server() == other.server()
    }

    /// `host`, with the port if it is not the scheme's own.
    pub(crate) fn authority(&self) -> &[u8] {
        self.authority.as_bytes()
    }

    /// Its host, which is looked up with each new connection.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Without brackets for IPv6.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether its host is a name, which may stand for several addresses, and for others later.
    pub(crate) fn is_named(&self) -> bool {
        self.host.parse::<IpAddr>().is_err()
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    fn server(&self) -> (&str, u16, Option<&ClientTls>, &Reach) {
        (&self.host, self.port, self.secured.as_ref().map(|secured| &secured.tls), &self.reach)
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_server(other) && self.timeouts == other.timeouts
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.server(), self.timeouts).hash(state);
    }
}

/// `http://host:port`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_tls = self.secured.is_some();
        let scheme = if is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", authority(&self.host, self.port, is_tls))
    }
}

fn authority(host: &str, port: u16, is_tls: bool) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match (is_tls, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(1), response: Duration::from_secs(2) };

    fn origin(host: &str, port: u16, reach: Reach, timeouts: Timeouts) -> Origin {
        Origin::new(host, port, None, reach, timeouts).unwrap()
    }

    #[test]
    fn host_names_leave_out_a_scheme_s_own_port() {
        assert_eq!(authority("flowise.example", 443, true), "flowise.example");
        assert_eq!(authority("flowise.example", 443, false), "flowise.example:443");
        assert_eq!(origin("::1", 3000, Reach::Any, TIMEOUTS).to_string(), "http://[::1]:3000");
    }

    #[test]
    fn connections_are_shared_with_the_same_server_only() {
        let one = origin("a", 80, Reach::Any, TIMEOUTS);
        assert_eq!(one, origin("a", 80, Reach::Any, TIMEOUTS));
        let patient = Timeouts { response: Duration::from_hours(1), ..TIMEOUTS };
        let patient = origin("a", 80, Reach::Any, patient);
        assert_ne!(one, patient);
        assert_eq!(patient.sharing(&one).peer.id(), one.peer.id());
        for other in [origin("b", 80, Reach::Any, TIMEOUTS), origin("a", 81, Reach::Any, TIMEOUTS)] {
            assert_ne!(other.sharing(&one).peer.id(), one.peer.id());
        }
        // Whoever may go everywhere opens connections that others must not use.
        let outward = origin("a", 80, Reach::Public([].into()), TIMEOUTS);
        assert_ne!(outward.sharing(&one).peer.id(), one.peer.id());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["a\nb", "a\0"] {
            assert!(Origin::new(host, 80, None, Reach::Any, TIMEOUTS).is_err(), "{host:?}");
        }
    }
}
