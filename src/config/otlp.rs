//! Where traces go: a collector that speaks OTLP.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use super::http_url::UpstreamUrl;
use super::secret::Secret;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    pub url: UpstreamUrl,
    /// Of what is posted to; with gRPC it says the same everywhere, and is not used.
    pub path: String,
    pub protocol: OtlpProtocol,
    /// The part of traces that begin here of which spans are kept, from 0 to 1.
    pub sample: f64,
    /// Sent with every export.
    pub headers: Vec<(HeaderName, Secret)>,
    /// PEM bundle that replaces the system's roots: its path and content.
    pub ca: Option<(PathBuf, Arc<[u8]>)>,
    /// Peers whose traces go on here, beside trusted proxies.
    pub trusted_callers: Vec<IpNet>,
    /// What the collector is told of this process, beside what it is called.
    pub resource: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}
