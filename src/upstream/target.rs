//! An upstream as a snapshot holds it: endpoints with their health, time-outs, TLS, credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use prometheus::IntGauge;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use crate::client::reach::Reach;
use crate::config::{Flowise, Secret, UpstreamUrl};
use crate::redact::Known;
use crate::telemetry::metrics::Metrics;

/// How long an endpoint that refused a connection is tried last.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// One Flowise upstream.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Flowise,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// `None` when no endpoint is `https`.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Only such addresses are connected to.
    pub(crate) reach: Reach,
}

impl Target {
    /// Endpoints that `previous` has as well are taken over with their health and their pooled connections.
    pub(crate) fn new(
        name: &Arc<str>,
        settings: &Flowise,
        previous: Option<&Self>,
        metrics: &Metrics,
    ) -> Result<Self, crate::config::Problems> {
        let speaks_tls = settings.urls.iter().any(|url| url.https);
        let tls = speaks_tls.then(|| crate::tls::client(settings.ca.as_ref())).transpose()?;
        let previous = previous.filter(|previous| previous.settings.ca == settings.ca);
        let endpoints = settings.urls.iter().map(|url| {
            let kept = previous.and_then(|previous| previous.endpoints.iter().find(|endpoint| endpoint.url == *url));
            kept.map_or_else(|| Arc::new(Endpoint::new(url, name, metrics)), Arc::clone)
        });
        Ok(Self {
            name: Arc::clone(name),
            settings: settings.clone(),
            endpoints: endpoints.collect(),
            tls,
            reach: Reach::Any,
        })
    }

    /// Endpoints in the order in which to try them. One chat sticks to one endpoint, because Flowise keeps running
    /// chats in memory (rendezvous hashing); those that failed a moment ago come last.
    pub(crate) fn candidates(&self, chat: u64) -> impl Iterator<Item = &Arc<Endpoint>> {
        let (only, several) = match self.endpoints.as_slice() {
            [only] => (Some(only), Vec::new()),
            _ => (None, self.ranked(chat)),
        };
        only.into_iter().chain(several)
    }

    fn ranked(&self, chat: u64) -> Vec<&Arc<Endpoint>> {
        let mut ranked: Vec<_> = self.endpoints.iter().collect();
        ranked.sort_by_key(|endpoint| (endpoint.is_cooling_down(), mix(chat ^ endpoint.weight)));
        ranked
    }
}

/// One address of an upstream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Tells the pools of two endpoints apart; never used twice in a process.
    pub(crate) id: u64,
    pub(crate) url: UpstreamUrl,
    /// `Host` of what is sent there.
    pub(crate) authority: HeaderValue,
    /// What the certificate must name; `None` for `http`.
    pub(crate) server_name: Option<ServerName<'static>>,
    weight: u64,
    started: Instant,
    /// Milliseconds after `started` until which this endpoint is tried last; 0: healthy.
    cooling_until: AtomicU64,
    healthy: IntGauge,
}

impl Endpoint {
    fn new(url: &UpstreamUrl, upstream: &str, metrics: &Metrics) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let authority = authority(url);
        let healthy = metrics.upstream_healthy.with_label_values(&[upstream, &label(url)]);
        healthy.set(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            server_name: url.https.then(|| ServerName::try_from(url.host.clone()).ok()).flatten(),
            weight: authority
                .bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)),
            authority: HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("upstream")),
            url: url.clone(),
            started: Instant::now(),
            cooling_until: AtomicU64::new(0),
            healthy,
        }
    }

    pub(crate) fn connected(&self) {
        if self.cooling_until.load(Ordering::Relaxed) != 0 {
            self.cooling_until.store(0, Ordering::Relaxed);
            self.healthy.set(1);
        }
    }

    pub(crate) fn failed(&self) {
        let until = (self.started.elapsed() + COOL_DOWN).as_millis();
        self.cooling_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.healthy.set(0);
    }

    fn is_cooling_down(&self) -> bool {
        let until = self.cooling_until.load(Ordering::Relaxed);
        until != 0 && self.started.elapsed().as_millis() < u128::from(until)
    }
}

/// `http://host:port`, for logs and metrics on the inside; never for clients.
pub(crate) fn label(url: &UpstreamUrl) -> String {
    format!("{}://{}", if url.https { "https" } else { "http" }, authority(url))
}

fn authority(url: &UpstreamUrl) -> String {
    let UpstreamUrl { https, host, port } = url;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    match (https, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}

/// The finaliser of `SplitMix64`: spreads similar inputs.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How the gateway shows Flowise who it is: guides say `X-API-KEY`, Flowise reads `Authorization`, so both.
pub(crate) struct Credentials {
    /// Written once: they are the same in every request.
    fields: Zeroizing<Vec<u8>>,
    key: Known,
}

impl Credentials {
    /// `None` if the key cannot stand in a header, which the configuration has refused.
    pub(crate) fn new(key: &Secret) -> Option<Self> {
        let key = key.expose();
        HeaderValue::from_str(key).ok()?;
        let fields = [b"authorization: Bearer ", key.as_bytes(), b"\r\nx-api-key: ", key.as_bytes(), b"\r\n"].concat();
        Some(Self { fields: Zeroizing::new(fields), key: Known::secret(key) })
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

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

#[cfg(test)]
mod tests {
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
        Target::new(&"test".into(), &settings, None, &Metrics::new().unwrap()).unwrap()
    }

    #[test]
    fn a_chat_keeps_its_endpoint_while_that_is_healthy() {
        let target = target(&["a", "b", "c"]);
        let firsts: Vec<_> = (0..300).map(|chat| target.ranked(chat)[0].url.host.clone()).collect();
        for host in ["a", "b", "c"] {
            let share = firsts.iter().filter(|first| *first == host).count();
            assert!((60..140).contains(&share), "{host} has {share} of 300");
        }
        target.ranked(7)[0].failed();
        let first = firsts[7].clone();
        assert_ne!(target.ranked(7)[0].url.host, first);
        assert_eq!(target.ranked(7)[2].url.host, first);
        target.ranked(7)[2].connected();
        assert_eq!(target.ranked(7)[0].url.host, first);
    }

    #[test]
    fn host_names_leave_out_a_scheme_s_own_port() {
        let url = |https, host: &str, port| UpstreamUrl { https, host: host.into(), port };
        assert_eq!(authority(&url(true, "flowise.example", 443)), "flowise.example");
        assert_eq!(authority(&url(false, "::1", 3000)), "[::1]:3000");
    }
}
