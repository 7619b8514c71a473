//! Addresses of providers that are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;

use super::{PATIENCE, ProviderEndpoint, RawServer};
use crate::client::{ClientTls, Origin, Reach, Timeouts};
use crate::config::{HttpUrl, UpstreamUrl};
use crate::state::endpoints::{Endpoints, Health};
#[cfg(test)]
use crate::telemetry::metrics::Metrics;

const CONNECT: Duration = Duration::from_secs(10);

/// Every address in use, so that flows, and a flow that is built anew for one request, need not look for them.
#[derive(Debug)]
pub(crate) struct Targets {
    upstream: Arc<str>,
    endpoints: Arc<Endpoints>,
    /// Of what a model or a client has a part in.
    outward: Reach,
    /// Servers that are asked somewhere else, as whoever runs the gateway says.
    instead: Arc<[(UpstreamUrl, HttpUrl)]>,
    known: Mutex<KnownOrigins>,
    /// In tests of whole flows: where all of them lead to.
    #[cfg(test)]
    stage: Option<std::net::SocketAddr>,
}

#[derive(Debug, Default)]
struct KnownOrigins {
    origins: HashMap<Arc<Origin>, Arc<Health>>,
    /// Read with the first address that wants it.
    tls: Option<ClientTls>,
}

/// More than flows need; a request may name a patience of its own.
const MOST_KNOWN: usize = 512;

impl Targets {
    /// `upstream`: the engine's name in the configuration.
    pub(crate) fn new(upstream: &Arc<str>, endpoints: &Arc<Endpoints>) -> Self {
        let outward = Reach::Public(Arc::default());
        Self {
            upstream: Arc::clone(upstream),
            endpoints: Arc::clone(endpoints),
            outward,
            instead: Arc::default(),
            known: Mutex::default(),
            #[cfg(test)]
            stage: None,
        }
    }

    /// With no others beside it.
    #[cfg(test)]
    pub(crate) fn alone(upstream: &str, metrics: &Metrics) -> Self {
        Self::new(&upstream.into(), &Arc::new(Endpoints::new(metrics)))
    }

    /// Whatever is called is that server, without TLS.
    #[cfg(test)]
    pub(crate) fn staged(self, stage: std::net::SocketAddr) -> Self {
        Self { stage: Some(stage), ..self }
    }

    /// A server, as it is asked.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests lead all servers to one"))]
    fn origin(
        &self,
        (host, port): (&str, u16),
        tls: Option<&ClientTls>,
        reach: Reach,
        timeouts: Timeouts,
    ) -> Result<Origin, String> {
        #[cfg(test)]
        if let Some(stage) = self.stage {
            let origin = Origin::new(host, port, None, Reach::Any, timeouts);
            return origin.map(|origin| origin.at(stage)).map_err(|error| error.to_string());
        }
        Origin::new(host, port, tls, reach, timeouts).map_err(|error| error.to_string())
    }

    /// `networks` may be called from outward as well.
    pub(crate) fn allowing(self, networks: &[IpNet]) -> Self {
        Self { outward: Reach::Public(networks.into()), ..self }
    }

    /// Each of these is asked below its URL, wherever that is.
    pub(crate) fn instead(self, addresses: &[(UpstreamUrl, HttpUrl)]) -> Self {
        Self { instead: addresses.into(), ..self }
    }

    /// Whether the same may be reached.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.upstream, &self.outward, &self.instead) == (&other.upstream, &other.outward, &other.instead)
    }

    /// Whether these networks are allowed, and no others, and these servers are asked elsewhere.
    pub(crate) fn is_set(&self, networks: &[IpNet], addresses: &[(UpstreamUrl, HttpUrl)]) -> bool {
        self.outward == Reach::Public(networks.into()) && *self.instead == *addresses
    }

    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn endpoint(&self, url: &str, patience: Option<Duration>) -> Result<ProviderEndpoint, String> {
        self.reached(url, patience, &Reach::Any)
    }

    /// For addresses that a model or a client has a part in: only the open internet is reached, and what the
    /// configuration allows beside it.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn outward(&self, url: &str, patience: Option<Duration>) -> Result<ProviderEndpoint, String> {
        self.reached(url, patience, &self.outward)
    }

    /// As [`outward`](Self::outward), for an address that nobody knows before: nothing is kept of it, neither its health nor
    /// its place in metrics.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn passing(&self, url: &str) -> Result<ProviderEndpoint, String> {
        self.unkept(Url::read(url)?, self.outward.clone())
    }

    /// As [`passing`](Self::passing), of a page or of what a service keeps. The path that follows has no dots that climb.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn visited(&self, url: &str) -> Result<ProviderEndpoint, String> {
        let url = Url::read(url)?;
        match url.instead(&self.instead) {
            Some(elsewhere) => self.unkept(elsewhere, Reach::Any),
            None => self.unkept(url, self.outward.clone()),
        }
    }

    fn unkept(&self, url: Url, reach: Reach) -> Result<ProviderEndpoint, String> {
        let Url { is_https, host, port, path } = url;
        let denied = (!reach.has_host(&host)).then(|| host.as_str().into());
        let timeouts = Timeouts { connect: CONNECT, response: PATIENCE };
        let tls = if is_https { Some(self.known.lock().unwrap_or_else(PoisonError::into_inner).tls()?) } else { None };
        let origin = Arc::new(self.origin((&host, port), tls.as_ref(), reach, timeouts)?);
        Ok(ProviderEndpoint { origin, upstream: Arc::clone(&self.upstream), health: None, base: path, denied })
    }

    /// A server that speaks a protocol of its own. `is_operators`: whoever runs the gateway chose the address, and it may be
    /// any; else as of [`outward`](Self::outward).
    ///
    /// # Errors
    /// What is wrong with the host.
    pub(crate) fn server(&self, host: &str, port: u16, is_tls: bool, is_operators: bool) -> Result<RawServer, String> {
        let reach = if is_operators { Reach::Any } else { self.outward.clone() };
        let is_denied = !reach.has_host(host);
        let timeouts = Timeouts { connect: CONNECT, response: PATIENCE };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = if is_tls { Some(known.tls()?.for_others()) } else { None };
        let origin = Arc::new(self.origin((host, port), tls.as_ref(), reach, timeouts)?);
        Ok(RawServer { origin, is_denied })
    }

    fn reached(&self, url: &str, patience: Option<Duration>, reach: &Reach) -> Result<ProviderEndpoint, String> {
        let url = Url::read(url)?;
        let elsewhere = url.instead(&self.instead);
        let reach = if elsewhere.is_some() { &Reach::Any } else { reach };
        let Url { is_https, host, port, path } = elsewhere.unwrap_or(url);
        let denied = (!reach.has_host(&host)).then(|| host.as_str().into());
        let timeouts = Timeouts { connect: CONNECT, response: patience.unwrap_or(PATIENCE) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = if is_https { Some(known.tls()?) } else { None };
        let origin = self.origin((&host, port), tls.as_ref(), reach.clone(), timeouts)?;
        let (origin, health) = known.origin(origin, |origin| self.endpoints.find(&self.upstream, origin));
        Ok(ProviderEndpoint { origin, upstream: Arc::clone(&self.upstream), health: Some(health), base: path, denied })
    }
}

impl KnownOrigins {
    fn tls(&mut self) -> Result<ClientTls, String> {
        if self.tls.is_none() {
            self.tls = Some(ClientTls::system().map_err(|error| error.to_string())?);
        }
        self.tls.clone().ok_or_else(String::new)
    }

    /// The very same one, if it is known.
    fn origin(
        &mut self,
        origin: Origin,
        find: impl FnOnce(Origin) -> (Origin, Arc<Health>),
    ) -> (Arc<Origin>, Arc<Health>) {
        if let Some((known, health)) = self.origins.get_key_value(&origin) {
            return (Arc::clone(known), Arc::clone(health));
        }
        let (origin, health) = find(origin);
        let origin = Arc::new(origin);
        if self.origins.len() < MOST_KNOWN {
            self.origins.insert(Arc::clone(&origin), Arc::clone(&health));
        }
        (origin, health)
    }
}

/// An address as it is written, taken apart.
struct Url {
    is_https: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: Arc<str>,
}

impl Url {
    fn read(url: &str) -> Result<Self, String> {
        let unreadable = || "expected an address such as http://127.0.0.1:11434/v1".to_owned();
        let uri: http::Uri = url.trim().parse().map_err(|_| unreadable())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unreadable()),
        };
        let host = uri.host().ok_or_else(unreadable)?.trim_matches(['[', ']']).to_owned();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("expected an address without a user".to_owned());
        }
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { is_https, host, port, path: uri.path().trim_end_matches('/').into() })
    }

    /// Where it is asked instead.
    fn instead(&self, addresses: &[(UpstreamUrl, HttpUrl)]) -> Option<Self> {
        let is_meant = |server: &UpstreamUrl| {
            (server.https, server.port) == (self.is_https, self.port) && server.host.eq_ignore_ascii_case(&self.host)
        };
        let (_, HttpUrl { server, target }) = addresses.iter().find(|(server, _)| is_meant(server))?;
        let path = format!("{}{}", target.trim_end_matches('/'), self.path).into();
        Some(Self { is_https: server.https, host: server.host.clone(), port: server.port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_where_the_operator_says() {
        let elsewhere = |server: &str, url: &str| {
            let Url { is_https: https, host, port, .. } = Url::read(server).unwrap();
            (UpstreamUrl { https, host, port }, HttpUrl::parse(url).unwrap())
        };
        let listed = [elsewhere("https://api.a.com", "http://10.0.0.1:8080/a/"), elsewhere("http://b", "https://c")];
        let metrics = Metrics::new().unwrap();
        let targets = Targets::alone("test", &metrics).instead(&listed);
        // Within the house as well, by a flow's or a model's address too.
        for found in
            [targets.endpoint("https://API.a.com/v1/", None), targets.outward("https://api.a.com:443/v1", None)]
        {
            let found = found.unwrap();
            assert_eq!((&*found.base, found.denied()), ("/a/v1", None));
            assert_eq!(found.origin.to_string(), "http://10.0.0.1:8080");
        }
        let found = targets.endpoint("http://b/x", None).unwrap();
        assert_eq!((found.origin.to_string().as_str(), &*found.base), ("https://c", "/x"));
        // Neither another scheme, nor another port, nor what a script asks.
        for url in ["http://api.a.com", "https://api.a.com:8443", "https://x.api.a.com"] {
            assert!(targets.endpoint(url, None).unwrap().origin.to_string().contains("a.com"), "{url}");
        }
        let found = targets.visited("https://api.a.com").unwrap();
        assert_eq!((found.origin.to_string().as_str(), &*found.base), ("http://10.0.0.1:8080", "/a"));
        assert!(targets.passing("https://api.a.com/x").unwrap().origin.to_string().contains("a.com"));
        assert!(!targets.is_like(&Targets::alone("test", &metrics)) && targets.is_set(&[], &listed));
    }

    #[test]
    fn addresses_are_split_into_origin_and_path() {
        let url = Url::read("http://127.0.0.1:11434/v1/").unwrap();
        assert_eq!((url.is_https, url.host.as_str(), url.port, &*url.path), (false, "127.0.0.1", 11434, "/v1"));
        let url = Url::read("https://api.openai.com").unwrap();
        assert_eq!((url.is_https, url.port, &*url.path), (true, 443, ""));
        for url in ["", "127.0.0.1:1", "ftp://x", "http://user@host/"] {
            assert!(Url::read(url).is_err(), "{url}");
        }
    }
}
