//! Which servers are who they say: those with a certificate that a listed authority has signed, and those whose own
//! certificate is listed.
//!
//! `openssl req -x509` marks what it makes as an authority's certificate, and by the book such a one identifies no
//! server (RFC 5280, section 4.2.1.9). Whoever lists the very certificate has said whom to trust: then its dates and
//! its name count, and that the server has its key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::oid::db::rfc4519;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::DirectoryString;

/// See the module.
#[derive(Debug)]
pub(super) struct ListedVerifier {
    chains: Arc<WebPkiServerVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl ListedVerifier {
    pub(super) fn new(chains: Arc<WebPkiServerVerifier>, listed: Vec<CertificateDer<'static>>) -> Self {
        Self { chains, listed }
    }
}

impl ServerCertVerifier for ListedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_chain = self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if by_chain.is_err() && self.listed.iter().any(|listed| listed == end_entity) {
            verify_listed(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        by_chain
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// A certificate that is trusted by itself: is it of that server, and of this time?
fn verify_listed(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed =
        CertificateInner::<Raw>::from_der(certificate).map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let validity = parsed.tbs_certificate().validity();
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired.into());
    }
    let verified = ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, name));
    if verified.is_err() && is_common_name(&parsed, name) {
        return Ok(());
    }
    verified
}

/// The old way to name a server, which counts where there are no alternative names (RFC 2818, section 3.1): nothing else
/// is in a certificate that was made with `-subj /CN=...` alone.
fn is_common_name(certificate: &CertificateInner<Raw>, name: &ServerName<'_>) -> bool {
    let certificate = certificate.tbs_certificate();
    let mut names = certificate.subject().iter().filter(|attribute| attribute.oid == rfc4519::COMMON_NAME);
    let only = names.next().filter(|_| names.next().is_none());
    let only = only.and_then(|name| DirectoryString::try_from(&name.value).ok());
    let mut extensions = certificate.extensions().into_iter().flatten();
    extensions.all(|extension| extension.extn_id != SubjectAltName::OID)
        && only.is_some_and(|only| only.value().eq_ignore_ascii_case(&name.to_str()))
}
