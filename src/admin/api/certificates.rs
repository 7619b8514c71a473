//! `GET /api/certificates`: of the TLS listener.

use jiff::Timestamp;
use serde::Serialize;

use super::telling::{days_left, told};
use crate::snapshot::Snapshot;

#[derive(Serialize)]
pub(super) struct CertificateList {
    certificates: Vec<CertificateInfo>,
}

#[derive(Serialize)]
struct CertificateInfo {
    file: String,
    listen: String,
    names: Vec<String>,
    ends: String,
    days_left: i64,
}

pub(super) fn list(snapshot: &Snapshot) -> CertificateList {
    let told_of = |(tls, identity): (&crate::config::Tls, &crate::tls::Identity)| CertificateInfo {
        file: tls.cert_file.display().to_string(),
        listen: tls.listen.to_string(),
        names: identity.names(),
        ends: Timestamp::from_second(identity.not_after).map(told).unwrap_or_default(),
        days_left: days_left(identity.not_after, Timestamp::now()),
    };
    let certificate = snapshot.config.server.tls.as_ref().zip(snapshot.tls.as_ref());
    CertificateList { certificates: certificate.map(told_of).into_iter().collect() }
}
