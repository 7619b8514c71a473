//! Signatures of requests to Amazon's services (AWS Signature Version 4).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::config::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who asks.
#[derive(Debug)]
pub(crate) struct AmazonKeys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    /// Of keys that are lent for a while.
    pub(crate) token: Option<Secret>,
}

/// A request that is to be signed; it has no query.
#[derive(Debug)]
pub(crate) struct AmazonCall<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) host: &'a str,
    /// Letters, digits and slashes, which are written one way alone.
    pub(crate) path: &'a str,
    /// Headers that are sent, and signed with it.
    pub(crate) more: &'a [(HeaderName, HeaderValue)],
    pub(crate) body: &'a [u8],
}

/// Headers that a request has beside its own; `None`: the keys are none that can be sent.
pub(crate) fn signature(
    call: &AmazonCall<'_>,
    keys: &AmazonKeys,
    now: Timestamp,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let AmazonCall { service, region, method, host, path, more, body } = call;
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = now.strftime("%Y%m%d").to_string();
    let body = hex(digest(&SHA256, body).as_ref());
    let mut own = vec![("x-amz-content-sha256", body.clone()), ("x-amz-date", time.clone())];
    own.extend(keys.token.as_ref().map(|token| ("x-amz-security-token", token.expose().to_owned())));
    let mut headers = own.clone();
    headers.push(("host", (*host).to_owned()));
    for (name, value) in *more {
        headers.push((name.as_str(), value.to_str().ok()?.to_owned()));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect();
    let request = format!("{method}\n{path}\n\n{}\n\n{names}\n{body}", lines.join("\n"));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let told = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(digest(&SHA256, request.as_bytes()).as_ref()));
    let first = format!("AWS4{}", keys.secret.expose()).into_bytes();
    let steps = [day.as_str(), region, service, "aws4_request", &told];
    let signature = steps
        .iter()
        .fold(first, |key, step| hmac::sign(&Key::new(HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec());
    let credential = format!("{}/{scope}", keys.id);
    let proof = format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={}", hex(&signature));
    own.push((AUTHORIZATION.as_str(), proof));
    own.into_iter().map(|(name, value)| Some((HeaderName::from_static(name), sensitive(&value)?))).collect()
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    /// Computed apart, by Amazon's description.
    #[test]
    fn requests_are_signed_as_amazon_signs_them() {
        let more = [
            (HeaderName::from_static("x-amz-target"), HeaderValue::from_static("DynamoDB_20120810.GetItem")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0")),
        ];
        let call = AmazonCall {
            service: "dynamodb",
            region: "us-east-1",
            method: &Method::POST,
            host: "dynamodb.us-east-1.amazonaws.com",
            path: "/",
            more: &more,
            body: b"{}",
        };
        let of = |token: Option<&str>| AmazonKeys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: token.map(|token| Secret::new(token.to_owned())),
        };
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let headers = signature(&call, &of(None), now).unwrap();
        assert_eq!(
            headers.last().unwrap().1.to_str().unwrap(),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, \
             Signature=aa82b0ec509284cc1a3b15fb84923b6df37a0a4d5d3d0b3cc30bf24dbbef3203"
        );
        let headers = signature(&call, &of(Some("a-token")), now).unwrap();
        assert!(headers[3].1.to_str().unwrap().contains("x-amz-date;x-amz-security-token;x-amz-target,"));
        let shown = format!("{headers:?} {:?}", of(Some("a-token")));
        assert!(!shown.contains("wJalr") && !shown.contains("a-token"), "{shown}");
    }
}
