//! Certificates made for the run, and TLS clients that trust them.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::client::Connection;

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// An authority of its own for each test.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        Self { issuer }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Certificate and key, in PEM, for localhost and 127.0.0.1.
    pub(crate) fn issue(&self) -> (String, String) {
        self.issue_for(&["localhost", "127.0.0.1"])
    }

    /// Certificate and key, in PEM, for these names.
    pub(crate) fn issue_for(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// As [`issue`](Self::issue), ending with the first day of that year.
    pub(crate) fn issue_until(&self, year: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes `tls.crt` and `tls.key`.
    pub(crate) fn write_into(&self, folder: &Path) {
        let (certificate, key) = self.issue();
        std::fs::write(folder.join("tls.crt"), certificate).expect("certificate written");
        std::fs::write(folder.join("tls.key"), key).expect("key written");
    }

    /// A client that trusts this authority and offers these protocols.
    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        self.client_as(rustls::ALL_VERSIONS, alpn, None)
    }

    /// As [`client`](Self::client), with these versions only and a certificate of `clients`.
    pub(crate) fn client_as(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
        clients: Option<&Self>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let (certificate, key) = clients.issue();
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(vec![certificate], key).expect("a client certificate")
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// What `openssl req -x509` makes, certificate and key in PEM: self-signed, an authority's by its constraints, and named
/// by its subject alone unless there are `names`; ending with the first day of that year.
pub(crate) fn self_signed(common_name: &str, names: &[&str], until: i32) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// A TLS connection; the handshake happens with the first byte.
pub(crate) fn connect(config: ClientConfig, address: SocketAddr) -> Connection<TlsStream> {
    over(config, TcpStream::connect(address).expect("a connection"))
}

/// The same over a connection that is there.
pub(crate) fn over(config: ClientConfig, tcp: TcpStream) -> Connection<TlsStream> {
    tcp.set_read_timeout(Some(super::PATIENCE)).expect("a time-out");
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    Connection::over(StreamOwned::new(session, tcp))
}
