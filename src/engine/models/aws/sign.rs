//! Signatures of AWS, version 4.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use http::Method;
use jiff::Timestamp;

use crate::engine::text::percent::component;

/// The service that keeps files.
pub(super) const S3: &str = "s3";

/// Who is asked.
pub(super) struct SigningScope<'a> {
    pub(super) host: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
}

/// What is asked.
pub(super) struct SigningRequest<'a> {
    pub(super) method: &'a Method,
    /// As it is sent: percent-encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    /// The operation, of services that have one path for all.
    pub(super) target: Option<&'a str>,
}

/// Names and values that are in order.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", component(name), component(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What a request has beside its own headers; `keys`: the id, the secret, and the session of keys that end.
pub(super) fn headers(
    (id, secret, session): (&str, &str, Option<&str>),
    place: &SigningScope<'_>,
    request: &SigningRequest<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let now = now.to_zoned(jiff::tz::TimeZone::UTC);
    let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let SigningRequest { method, path, query, body, target } = request;
    let body = hexadecimal(&hash(body));
    let is_s3 = place.service == S3;
    let mut headers = Vec::new();
    if is_s3 {
        headers.push(("x-amz-content-sha256", body.clone()));
    }
    headers.push(("x-amz-date", time.clone()));
    headers.extend(session.map(|session| ("x-amz-security-token", session.to_owned())));
    let (mut signed, mut names) = (format!("host:{}\n", place.host), "host".to_owned());
    for (name, value) in &headers {
        let _ = writeln!(signed, "{name}:{value}");
        let _ = write!(names, ";{name}");
    }
    if let Some(target) = target {
        let _ = writeln!(signed, "x-amz-target:{target}");
        names.push_str(";x-amz-target");
    }
    // The path is encoded once more than it is sent, but for files.
    let path: Vec<String> = path.split('/').map(|step| if is_s3 { step.to_owned() } else { component(step) }).collect();
    let canonical = format!("{method}\n{}\n{query}\n{signed}\n{names}\n{body}", path.join("/"));
    let scope = format!("{day}/{}/{}/aws4_request", place.region, place.service);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hexadecimal(&hash(canonical.as_bytes())));
    let key = [place.region, place.service, "aws4_request"]
        .iter()
        .fold(keyed(format!("AWS4{secret}").as_bytes(), &day), |key, part| keyed(&key, part));
    let signature = hexadecimal(&keyed(&key, &text));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    headers.push(("authorization", authorization));
    headers
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests;
