//! What calls to upstreams come to, counted and told.

use std::time::Duration;

use http::HeaderValue;
use prometheus::IntCounterVec;
use rustls::{AlertDescription, CertificateError, Error as TlsFailure};

use super::metrics::Metrics;
use super::series::Histograms;
use crate::client::{Error, Origin, Wait};

/// One worker's counters of what it asks of others.
pub(crate) struct CallMetrics {
    errors: IntCounterVec,
    first_byte: Histograms,
}

impl CallMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            errors: metrics.upstreams.errors.clone(),
            first_byte: Histograms::new(metrics.time_to_first_byte.clone()),
        }
    }

    /// The head of a response is here.
    pub(crate) fn answered(&self, upstream: &str, after: Duration) {
        self.first_byte.observe(upstream, after.as_secs_f64());
    }

    /// Counts an error of that kind.
    pub(crate) fn count(&self, upstream: &str, kind: &str) {
        self.errors.with_label_values(&[upstream, kind]).inc();
    }

    /// Counts why there is no response, and tells the log. What a client did to its own body is not the upstream's.
    pub(crate) fn failed(&self, upstream: &str, origin: &Origin, error: &Error, request_id: Option<&HeaderValue>) {
        let url = origin.to_string();
        let request_id = request_id.and_then(|id| id.to_str().ok());
        match error {
            Error::Timeout(Wait::Response) => {
                self.count(upstream, "timeout");
                tracing::warn!(request_id, upstream, url, limit = ?origin.timeouts().response, "no answer in time");
            }
            Error::Broken { was_sent: true, cause: error } => {
                self.count(upstream, "broken");
                tracing::warn!(request_id, upstream, url, %error, cause = cause(error), "upstream broke off before its answer");
            }
            Error::Broken { was_sent: false, cause: error } => {
                tracing::debug!(request_id, upstream, url, %error, cause = cause(error), "upstream took nothing");
            }
            Error::Body => {}
            Error::Denied(address) => {
                self.count(upstream, "connect");
                let cause = "the name has only addresses of this network, which allow_networks does not hold";
                tracing::warn!(request_id, upstream, url, %error, %address, cause, "upstream not reachable");
            }
            Error::Resolve(_) | Error::Connect(_) | Error::Tls(_) | Error::Timeout(Wait::Connection) => {
                self.count(upstream, "connect");
                let CallReason { cause, advice } = CallReason::of(error);
                tracing::warn!(request_id, upstream, url, %error, cause, advice, "upstream not reachable");
            }
        }
    }
}

/// What stands behind an error, for whoever runs the gateway.
#[derive(Debug, Default)]
pub(crate) struct CallReason {
    pub(crate) cause: String,
    /// What can be done about it.
    pub(crate) advice: Option<&'static str>,
}

impl CallReason {
    pub(crate) fn of(error: &Error) -> Self {
        Self { cause: cause(error), advice: advice(error) }
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

/// What can be done about a handshake with an upstream that failed.
fn advice(error: &Error) -> Option<&'static str> {
    let Error::Tls(error) = error else { return None };
    let error = error.get_ref()?.downcast_ref::<TlsFailure>()?;
    match error {
        TlsFailure::InvalidCertificate(error) => Some(match error {
            CertificateError::UnknownIssuer => {
                "name the authority that has signed the server's certificate in ca_file, or that certificate itself"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for other names: write one of those in urls, or make one for the name in \
                 urls (openssl req -x509 ... -addext subjectAltName=DNS:NAME)"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has ended: renew it, and ca_file if it stands there"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: look at the clocks"
            }
            _ => {
                "the server's certificate cannot stand for a server: if it is self-signed, name that very certificate \
                 (X.509 version 3, as openssl req -x509 makes it) in ca_file"
            }
        }),
        TlsFailure::InvalidMessage(_) => Some("the server does not speak TLS on this port: is http meant in urls?"),
        TlsFailure::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            Some("the server wants a client's certificate, and the gateway has none")
        }
        TlsFailure::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            Some("the server speaks another version of TLS than 1.2 and 1.3, or only outdated ciphers")
        }
        _ => None,
    }
}
