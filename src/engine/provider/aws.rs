//! Signatures of requests to Amazon's S3, and to who speaks as it does (AWS Signature Version 4).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use url::Url;

use crate::config::Secret;

const SERVICE: &str = "s3";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who asks.
#[derive(Debug)]
pub(crate) struct AwsKeys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    /// Of keys that are lent for a while.
    pub(crate) token: Option<Secret>,
}

/// Headers of a request without a body. `url` is written as it is sent, with every letter encoded that is not plain.
pub(crate) fn signed(
    method: &Method,
    url: &Url,
    region: &str,
    keys: &AwsKeys,
    now: Timestamp,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = now.strftime("%Y%m%d").to_string();
    let body = hex(digest(&SHA256, b"").as_ref());
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut headers = vec![("host", host), ("x-amz-content-sha256", body.clone()), ("x-amz-date", time.clone())];
    headers.extend(keys.token.as_ref().map(|token| ("x-amz-security-token", token.expose().to_owned())));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let lines = lines.concat();
    let request = format!("{method}\n{}\n{}\n{lines}\n{names}\n{body}", url.path(), sorted(url.query()));
    let scope = format!("{day}/{region}/{SERVICE}/aws4_request");
    let told = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(digest(&SHA256, request.as_bytes()).as_ref()));
    let first = format!("AWS4{}", keys.secret.expose()).into_bytes();
    let steps = [day.as_str(), region, SERVICE, "aws4_request", &told];
    let signature = steps
        .iter()
        .fold(first, |key, step| hmac::sign(&Key::new(HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec());
    let credential = format!("{}/{scope}", keys.id);
    let proof = format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={}", hex(&signature));
    let mut all = Vec::with_capacity(headers.len());
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
        all.push((HeaderName::from_static(name), sensitive(&value)?));
    }
    all.push((AUTHORIZATION, sensitive(&proof)?));
    Some(all)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Parts of a query by name, each with its sign of equality.
fn sorted(query: Option<&str>) -> String {
    let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
    let mut parts: Vec<String> =
        parts.map(|part| if part.contains('=') { part.to_owned() } else { format!("{part}=") }).collect();
    parts.sort();
    parts.join("&")
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(token: Option<&str>) -> AwsKeys {
        AwsKeys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: token.map(|token| Secret::new(token.to_owned())),
        }
    }

    fn headers(url: &str, token: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        signed(&Method::GET, &Url::parse(url).unwrap(), "us-east-1", &keys(token), now).unwrap()
    }

    /// Amazon's own examples of the signature.
    #[test]
    fn requests_are_signed_as_amazon_signs_them() {
        for (query, signature) in [
            ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let headers = headers(&format!("https://examplebucket.s3.amazonaws.com/?{query}"), None);
            let (_, proof) = headers.last().unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            );
            assert_eq!(proof.to_str().unwrap(), expected);
        }
    }

    #[test]
    fn a_token_is_signed_and_nothing_is_shown() {
        let headers = headers("http://localhost:9000/b/k", Some("a-token"));
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "authorization"]);
        assert!(headers[3].1.to_str().unwrap().contains("x-amz-date;x-amz-security-token,"));
        assert!(!format!("{headers:?} {:?}", keys(None)).contains("wJalr"));
        assert!(!format!("{headers:?}").contains("a-token"));
    }
}
