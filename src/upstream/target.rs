//! One Flowise: as it is configured, and with the connections and the health of its servers; credentials.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::client::{ClientTls, Origin, Reach, Timeouts, TrustError};
use crate::config::{Flowise, Problem, Problems, Secret, UpstreamUrl};
use crate::redact::KnownSecrets;
use crate::state::endpoints::{Endpoints, Health};

/// One Flowise as it is configured, with the certificates that it is trusted by.
#[derive(Debug)]
pub(crate) struct FlowiseUpstream {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Flowise,
    /// Of each URL.
    origins: Vec<Origin>,
}

impl FlowiseUpstream {
    /// # Errors
    /// Nobody is to be trusted, or a host cannot be one.
    pub(crate) fn new(name: &Arc<str>, settings: &Flowise) -> Result<Self, Problems> {
        let speaks_tls = settings.urls.iter().any(|url| url.https);
        let tls = speaks_tls.then(|| tls(settings)).transpose()?;
        let timeouts = Timeouts { connect: settings.connect_timeout, response: settings.response_timeout };
        let origin = |url: &UpstreamUrl| {
            let tls = tls.as_ref().filter(|_| url.https);
            Origin::new(&url.host, url.port, tls, Reach::Any, timeouts).map_err(|error| Problem {
                file: "the configuration".into(),
                at: None,
                field: format!("upstreams.{name}.flowise.urls"),
                message: error.to_string(),
            })
        };
        let origins = settings.urls.iter().map(origin).collect::<Result<_, Problem>>()?;
        Ok(Self { name: Arc::clone(name), settings: settings.clone(), origins })
    }
}

/// One Flowise that is asked.
#[derive(Debug)]
pub(crate) struct Target {
    upstream: Arc<FlowiseUpstream>,
    pub(crate) endpoints: Vec<UpstreamEndpoint>,
}

impl Deref for Target {
    type Target = FlowiseUpstream;

    fn deref(&self) -> &FlowiseUpstream {
        &self.upstream
    }
}

impl Target {
    /// Servers that were asked before go on with their connections and their health.
    pub(crate) fn new(upstream: &Arc<FlowiseUpstream>, endpoints: &Endpoints) -> Self {
        let endpoint = |origin: &Origin| {
            let (origin, health) = endpoints.find(&upstream.name, origin.clone());
            UpstreamEndpoint { weight: fnv1a(origin.authority()), origin, health }
        };
        Self { upstream: Arc::clone(upstream), endpoints: upstream.origins.iter().map(endpoint).collect() }
    }

    /// Endpoints in the order in which to try them. One chat sticks to one endpoint, because Flowise keeps running
    /// chats in memory (rendezvous hashing); those that failed a moment ago come last.
    pub(crate) fn candidates(&self, chat: u64) -> impl Iterator<Item = &UpstreamEndpoint> {
        let (only, several) = match self.endpoints.as_slice() {
            [only] => (Some(only), Vec::new()),
            _ => (None, self.ranked(chat)),
        };
        only.into_iter().chain(several)
    }

    fn ranked(&self, chat: u64) -> Vec<&UpstreamEndpoint> {
        let mut ranked: Vec<_> = self.endpoints.iter().collect();
        ranked.sort_by_key(|endpoint| (endpoint.health.is_cooling_down(), mix(chat ^ endpoint.weight)));
        ranked
    }
}

/// Whom to trust: the given bundle, else the system's.
fn tls(settings: &Flowise) -> Result<ClientTls, Problem> {
    let whence = settings.ca.as_ref().map_or(Path::new("the system's root certificates"), |(file, _)| file.as_path());
    let tls = settings.ca.as_ref().map_or_else(ClientTls::system, |(_, pem)| ClientTls::listed(pem));
    tls.map_err(|error| Problem {
        file: whence.to_owned(),
        at: None,
        field: "ca_file".to_owned(),
        message: match error {
            TrustError::Nobody => format!("{error} for an https upstream"),
            error => error.to_string(),
        },
    })
}

/// One address of an upstream.
#[derive(Debug)]
pub(crate) struct UpstreamEndpoint {
    pub(crate) origin: Origin,
    weight: u64,
    pub(crate) health: Arc<Health>,
}

/// The number of a chat, or of an endpoint's authority, for rendezvous hashing: FNV-1a, so that every gateway ranks alike.
/// Nothing hangs on collisions.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// The finaliser of `SplitMix64`: spreads similar inputs.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How the gateway shows Flowise who it is: guides say `X-API-KEY`, Flowise reads `Authorization`, so both.
pub(crate) struct FlowiseCredentials {
    /// Written once: they are the same in every request.
    fields: Zeroizing<Vec<u8>>,
    key: KnownSecrets,
}

impl FlowiseCredentials {
    /// `None` if the key cannot stand in a header, which the configuration has refused.
    pub(crate) fn new(key: &Secret) -> Option<Self> {
        let key = key.expose();
        HeaderValue::from_str(key).ok()?;
        let fields = [b"authorization: Bearer ", key.as_bytes(), b"\r\nx-api-key: ", key.as_bytes(), b"\r\n"].concat();
        Some(Self { fields: Zeroizing::new(fields), key: KnownSecrets::secret(key) })
    }

    /// As lines of a request's head.
    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Takes out every field of an answer that repeats the key.
    pub(crate) fn strike(&self, headers: &mut HeaderMap) {
        // Most values are shorter than any key.
        let repeats = |value: &HeaderValue| self.key.is_in(value.as_bytes());
        let names: Vec<HeaderName> =
            headers.iter().filter(|(_, value)| repeats(value)).map(|(name, _)| name.clone()).collect();
        for name in names {
            headers.remove(name);
        }
    }
}

impl std::fmt::Debug for FlowiseCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn target(hosts: &[&str]) -> Target {
        let urls = hosts.iter().map(|host| UpstreamUrl { https: false, host: (*host).into(), port: 3000 }).collect();
        let settings = Flowise {
            urls,
            api_key: None,
            ca: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            stream_idle_timeout: Duration::from_secs(1),
            pass_headers: Vec::new(),
        };
        let upstream = Arc::new(FlowiseUpstream::new(&"test".into(), &settings).unwrap());
        Target::new(&upstream, &Endpoints::default())
    }

    #[test]
    fn a_chat_keeps_its_endpoint_while_that_is_healthy() {
        let target = target(&["a", "b", "c"]);
        let firsts: Vec<_> = (0..300).map(|chat| target.ranked(chat)[0].origin.to_string()).collect();
        for host in ["a", "b", "c"] {
            let share = firsts.iter().filter(|first| **first == format!("http://{host}:3000")).count();
            assert!((60..140).contains(&share), "{host} has {share} of 300");
        }
        target.ranked(7)[0].health.failed();
        let first = firsts[7].clone();
        assert_ne!(target.ranked(7)[0].origin.to_string(), first);
        assert_eq!(target.ranked(7)[2].origin.to_string(), first);
        target.ranked(7)[2].health.connected();
        assert_eq!(target.ranked(7)[0].origin.to_string(), first);
    }
}
