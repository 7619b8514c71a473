//! One collector, as it is configured, over either protocol.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;

use super::grpc::GrpcSender;
use super::http::HttpSender;
use crate::client::{self, ClientTls, Origin, Reach, Timeouts, TrustError, UnfitHost};
use crate::config::{Otlp, OtlpProtocol, UpstreamUrl};

/// For a connection, and for one export with all that belongs to it.
const CONNECT: Duration = Duration::from_secs(5);
pub(super) const EXPORT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
pub(super) const LONGEST_ANSWER: usize = 64 * 1024;

pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION")));

/// Why an export has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error(transparent)]
    Call(#[from] client::Error),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Host(#[from] UnfitHost),
    #[error("the collector's answer is {0}")]
    Status(StatusCode),
    #[error("the collector's answer is the gRPC status {0}")]
    Grpc(u16),
    #[error("HTTP/2 failed")]
    Http2(#[from] hyper::Error),
    #[error("the collector's answer cannot be read")]
    Answer,
    #[error("no answer within {EXPORT:?}")]
    Late,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The collector will never take it.
    Never,
    Soon,
    /// As the collector wants it.
    After(Duration),
}

#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) error: ExportError,
    pub(super) retry: Retry,
}

impl<E: Into<ExportError>> From<E> for Unsent {
    /// What never reached the collector, or whose answer did not come.
    fn from(error: E) -> Self {
        Self { error: error.into(), retry: Retry::Soon }
    }
}

impl Unsent {
    /// A status of HTTP (OTLP, "Failures").
    pub(super) fn status(status: StatusCode, after: Option<Duration>) -> Self {
        let retry = match status.as_u16() {
            429 | 502..=504 => after.map_or(Retry::Soon, Retry::After),
            _ => Retry::Never,
        };
        Self { error: ExportError::Status(status), retry }
    }
}

/// See the module.
pub(super) struct Sender {
    settings: Arc<Otlp>,
    protocol: Protocol,
}

enum Protocol {
    Grpc(GrpcSender),
    Http(HttpSender),
}

impl Sender {
    /// # Errors
    /// There is nobody to trust, or the host cannot stand in a request.
    pub(super) fn new(settings: &Arc<Otlp>) -> Result<Self, ExportError> {
        let is_grpc = settings.protocol == OtlpProtocol::Grpc;
        let tls = settings.url.https.then(|| {
            let tls = settings.ca.as_ref().map_or_else(ClientTls::system, |(_, pem)| ClientTls::listed(pem))?;
            Ok::<_, TrustError>(if is_grpc { tls.for_http2() } else { tls })
        });
        let timeouts = Timeouts { connect: CONNECT, response: EXPORT };
        let origin =
            Origin::new(&settings.url.host, settings.url.port, tls.transpose()?.as_ref(), Reach::Any, timeouts)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
        }
        let protocol = match settings.protocol {
            OtlpProtocol::Grpc => Protocol::Grpc(GrpcSender::new(origin, headers)),
            OtlpProtocol::Http => Protocol::Http(HttpSender::new(origin, settings.path.clone(), headers)),
        };
        Ok(Self { settings: Arc::clone(settings), protocol })
    }

    pub(super) fn is_of(&self, settings: &Otlp) -> bool {
        *self.settings == *settings
    }

    /// How many spans the collector has not taken, although it has taken the rest.
    pub(super) async fn send(&mut self, message: Bytes) -> Result<u64, Unsent> {
        let sent = async {
            match &mut self.protocol {
                Protocol::Grpc(sender) => sender.send(message).await,
                Protocol::Http(sender) => sender.send(message).await,
            }
        };
        let outcome = tokio::time::timeout(EXPORT, sent).await;
        outcome.unwrap_or_else(|_| {
            if let Protocol::Grpc(sender) = &mut self.protocol {
                sender.disconnect();
            }
            Err(ExportError::Late.into())
        })
    }
}

/// Where it is, for the log.
pub(super) fn url(settings: &Otlp) -> String {
    let UpstreamUrl { https, host, port } = &settings.url;
    let scheme = if *https { "https" } else { "http" };
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}
