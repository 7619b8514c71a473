//! Certificates and TLS settings of listeners.
//!
//! One provider, aws-lc-rs, given explicitly; TLS 1.2 and 1.3; no 0-RTT, since a replayed POST would be answered
//! twice.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use zeroize::Zeroizing;

use crate::config::content::{self, MOST_SETTINGS};
use crate::config::{Problem, Problems, Tls};

/// A listener's certificate, ready to serve.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    /// Seconds since the epoch at which the first certificate of the chain ends.
    pub(crate) not_after: i64,
    /// The chain, and the authorities of clients.
    certificates: Vec<CertificateDer<'static>>,
}

/// Certificates say which key they are for.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Identity {
    /// What the first certificate of the chain is for.
    pub(crate) fn names(&self) -> Vec<String> {
        let first = self.certificates.first().and_then(|first| CertificateInner::<Raw>::from_der(first).ok());
        let Some(first) = first else { return Vec::new() };
        let Ok(Some((_, names))) = first.tbs_certificate().get_extension::<SubjectAltName>() else { return Vec::new() };
        let name = |name: &GeneralName| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|address| address.to_string()),
            _ => None,
        };
        names.0.iter().filter_map(name).collect()
    }

    /// Reads chain and key, and checks that they belong together.
    pub(crate) fn load(tls: &Tls) -> Result<Self, Problems> {
        let chain = certificates(&tls.cert_file, "server.tls.cert_file")?;
        let key_problem = |message: String| problem(&tls.key_file, "server.tls.key_file", message);
        let expected = |error: &dyn fmt::Display| key_problem(format!("expected a private key in PEM: {error}"));
        let key = content::read(&tls.key_file, MOST_SETTINGS).map_err(|error| expected(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&Zeroizing::new(key)).map_err(|error| expected(&error))?;
        let not_after = chain.first().and_then(not_after).ok_or_else(|| {
            problem(&tls.cert_file, "server.tls.cert_file", "the first certificate cannot be read".to_owned())
        })?;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| key_problem(error.to_string()))?;
        let mut all = chain.clone();
        let builder = match &tls.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let problem = |message: String| problem(file, "server.tls.client_ca_file", message);
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file, "server.tls.client_ca_file")? {
                    roots.add(certificate.clone()).map_err(|error| problem(error.to_string()))?;
                    all.push(certificate);
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
                        .build()
                        .map_err(|error| problem(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder
            .with_single_cert(chain, key)
            .map_err(|error| key_problem(format!("certificate and key do not fit: {error}")))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), not_after, certificates: all })
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let of_4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    of_4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn certificates(file: &Path, field: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let problem = |message: String| problem(file, field, message);
    let expected = |error: &dyn fmt::Display| problem(format!("expected certificates in PEM: {error}"));
    let text = content::read(file, MOST_SETTINGS).map_err(|error| expected(&error))?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| expected(&error))?;
    if chain.is_empty() { Err(problem("expected at least one certificate in PEM".to_owned())) } else { Ok(chain) }
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let parsed = CertificateInner::<Raw>::from_der(certificate).ok()?;
    i64::try_from(parsed.tbs_certificate().validity().not_after.to_unix_duration().as_secs()).ok()
}

fn problem(file: &Path, field: &str, message: String) -> Problem {
    Problem { file: file.to_owned(), at: None, field: field.to_owned(), message }
}
