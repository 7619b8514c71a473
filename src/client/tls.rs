//! TLS towards origins: whom to trust.
//!
//! One provider, aws-lc-rs, given explicitly; TLS 1.2 and 1.3; no 0-RTT, since a replayed POST would be answered twice.

mod listed;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use listed::ListedVerifier;

/// Settings that many origins share. Two with the same roots and the same protocol are equal.
#[derive(Clone)]
pub(crate) struct ClientTls {
    roots: Roots,
    config: Arc<ClientConfig>,
    /// The protocol that is offered.
    protocol: &'static [u8],
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

#[derive(Clone, PartialEq, Eq, Hash)]
enum Roots {
    System,
    Pem(Arc<[u8]>),
}

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error(transparent)]
    Pem(pem::Error),
    #[error(transparent)]
    Certificate(rustls::Error),
    #[error(transparent)]
    Verifier(VerifierBuilderError),
    #[error("no root certificate found")]
    Nobody,
}

impl ClientTls {
    /// Trusts whom the system trusts.
    pub(crate) fn system() -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::new(Roots::System, roots, Vec::new())
    }

    /// Trusts these authorities and servers, and no others.
    pub(crate) fn listed(pem: &Arc<[u8]>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let mut listed = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(TrustError::Pem)?;
            listed.push(certificate.clone());
            roots.add(certificate).map_err(TrustError::Certificate)?;
        }
        Self::new(Roots::Pem(Arc::clone(pem)), roots, listed)
    }

    fn new(roots: Roots, store: RootCertStore, listed: Vec<CertificateDer<'static>>) -> Result<Self, TrustError> {
        if store.is_empty() {
            return Err(TrustError::Nobody);
        }
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
            .build()
            .map_err(TrustError::Verifier)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TrustError::Certificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ListedVerifier::new(verifier, listed)))
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(Self { roots, config: Arc::new(config), protocol: HTTP1 })
    }

    /// The same trust, for whoever [speaks](super::open_stream) HTTP/2 by himself.
    pub(crate) fn for_http2(self) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Self { config: Arc::new(config), protocol: HTTP2, ..self }
    }

    /// The same trust, for whoever speaks a protocol that has no name.
    pub(crate) fn for_others(self) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = Vec::new();
        Self { config: Arc::new(config), protocol: b"", ..self }
    }

    pub(super) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        (&self.roots, self.protocol) == (&other.roots, other.protocol)
    }
}

impl Eq for ClientTls {}

impl Hash for ClientTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.roots, self.protocol).hash(state);
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
