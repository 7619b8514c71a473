//! One Flowise: as it is configured, and with what is known of its servers and chats; credentials.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::client::{ClientTls, Origin, Reach, Timeouts, TrustError};
use crate::config::{Flowise, Problem, Problems, Secret, UpstreamUrl};
use crate::redact::KnownSecrets;
use crate::state::endpoints::{Endpoints, StickTable, UrlState, WatchedUrl};

/// One Flowise as it is configured, with the certificates that it is trusted by.
#[derive(Debug)]
pub(crate) struct FlowiseUpstream {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Flowise,
    /// Of each URL.
    pub(super) origins: Vec<Origin>,
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
    /// Each URL, with what is known of its servers.
    pub(super) urls: Vec<(Origin, Arc<UrlState>)>,
    /// Where its chats are.
    pub(super) stick_table: Arc<StickTable>,
}

impl Deref for Target {
    type Target = FlowiseUpstream;

    fn deref(&self) -> &FlowiseUpstream {
        &self.upstream
    }
}

impl Target {
    /// Servers that were asked before go on with their connections and their health, chats with their servers.
    pub(crate) fn new(upstream: &Arc<FlowiseUpstream>, endpoints: &Endpoints) -> Self {
        let url = |origin: &Origin| (origin.clone(), endpoints.url(&upstream.name, origin));
        Self {
            urls: upstream.origins.iter().map(url).collect(),
            stick_table: endpoints.stick_table(&upstream.name),
            upstream: Arc::clone(upstream),
        }
    }

    /// What is to be done about its URLs while it is in force.
    pub(crate) fn watched(&self) -> impl Iterator<Item = WatchedUrl> {
        self.urls.iter().map(|(origin, url)| WatchedUrl {
            upstream: Arc::clone(&self.name),
            origin: origin.clone(),
            url: Arc::clone(url),
            check: self.settings.health.clone(),
            dns_refresh: self.settings.dns_refresh,
        })
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

    /// As fields of a message that others write.
    pub(crate) fn values(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let lines = std::str::from_utf8(&self.fields).unwrap_or_default().split_terminator("\r\n");
        lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        })
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
