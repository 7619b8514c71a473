//! Where traces go: `telemetry`.

use http::HeaderName;

use super::address::{self, AddressError};
use super::credentials::secret;
use super::reader::{FieldReader, non_null};
use super::upstreams::ca;
use crate::config::expand::has_variable;
use crate::config::file::{self, Field};
use crate::config::yaml::{At, Named, Value, YamlNode};
use crate::config::{Otlp, OtlpProtocol, Secret, UpstreamUrl};

const EXPECTED_ENDPOINT: &str = "expected the collector's URL such as http://127.0.0.1:4317";
const EXPECTED_SAMPLE: &str = "expected a number from 0 (no trace) to 1 (every trace)";
/// Where OTLP over HTTP takes traces, below the endpoint.
const TRACES: &str = "/v1/traces";
/// Said by the exporter, or by the connection.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Attributes of a resource; each is sent with every export.
const MOST_ATTRIBUTES: usize = 32;

pub(super) fn otlp(reader: &mut FieldReader<'_>, section: At<file::OtlpSection>) -> Otlp {
    let at = section.at();
    let file = section.value;
    let protocols = [("grpc", OtlpProtocol::Grpc), ("http", OtlpProtocol::Http)];
    let protocol = reader.choice(&file.protocol, &protocols).unwrap_or(OtlpProtocol::Grpc);
    if file.endpoint.0.is_none() {
        reader.missing(Some(at), "telemetry.otlp.endpoint", &format!("missing: {EXPECTED_ENDPOINT}"));
    }
    let endpoint = reader.parsed(&file.endpoint, |text| endpoint(text, protocol));
    let (url, path) = endpoint.unwrap_or((UpstreamUrl { https: false, host: String::new(), port: 0 }, String::new()));
    let ca_file = non_null(file.ca_file);
    if let Some(node) = ca_file.0.as_ref().filter(|_| !url.https && !url.host.is_empty()) {
        reader.refuse(node, "without TLS there is no certificate: the endpoint would begin with https://");
    }
    Otlp {
        url,
        path,
        protocol,
        sample: sample(reader, &file.sample).unwrap_or(0.1),
        headers: headers(reader, file.headers),
        ca: ca(reader, &ca_file),
        trusted_callers: address::networks(reader, &file.trusted_callers),
        resource: resource(reader, file.resource),
    }
}

/// A URL, and the path that is posted to.
fn endpoint(text: &str, protocol: OtlpProtocol) -> Result<(UpstreamUrl, String), String> {
    let host = text.find("://").map_or(0, |at| at + 3);
    let (origin, path) = match text.get(host..).and_then(|rest| rest.find('/')) {
        Some(end) => text.split_at(host + end),
        None => (text, ""),
    };
    let url = address::upstream_url(origin).map_err(|error| match error {
        AddressError::Url => EXPECTED_ENDPOINT.to_owned(),
        AddressError::UserInfo => "a user or password cannot stand in the URL; it goes into `headers`".to_owned(),
        AddressError::Path => "expected a URL without query or fragment".to_owned(),
        error => error.to_string(),
    })?;
    let path = path.trim_end_matches('/');
    match protocol {
        OtlpProtocol::Grpc if !path.is_empty() => {
            Err("gRPC has no path: expected a URL without one, or `protocol: http`".to_owned())
        }
        _ if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)) => {
            Err("expected a URL without query, fragment or spaces".to_owned())
        }
        _ if path.ends_with(TRACES) => Ok((url, path.to_owned())),
        _ => Ok((url, format!("{path}{TRACES}"))),
    }
}

fn sample(reader: &mut FieldReader<'_>, field: &Field) -> Option<f64> {
    let node = field.0.as_ref()?;
    let sample = match &node.value {
        Value::Float(number) => Some(*number),
        // Only 0 and 1 are taken.
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Value::String(text) if has_variable(text) => reader.string(node)?.parse().ok(),
        _ => None,
    };
    let sample = sample.filter(|sample| (0.0..=1.0).contains(sample));
    if sample.is_none() {
        reader.refuse(node, EXPECTED_SAMPLE);
    }
    sample
}

fn headers(reader: &mut FieldReader<'_>, file: Named<YamlNode>) -> Vec<(HeaderName, Secret)> {
    let mut headers: Vec<(HeaderName, Secret)> = Vec::new();
    for (name, node) in file.0 {
        let header = name.value.parse::<HeaderName>().ok();
        let header = header.filter(|header| !header.as_str().starts_with("grpc-"));
        let Some(header) = header.filter(|header| !OWN_HEADERS.contains(&header.as_str())) else {
            reader.refuse(&name, "expected the name of a header that the collector wants, such as authorization");
            continue;
        };
        if headers.iter().any(|(known, _)| *known == header) {
            reader.refuse(&name, "this header stands in the list twice");
            continue;
        }
        let Some(value) = secret(reader, &node) else { continue };
        if value.expose().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            headers.push((header, value));
        } else {
            reader.refuse(&node, "expected visible ASCII characters, which a header can hold");
        }
    }
    headers
}

fn resource(reader: &mut FieldReader<'_>, file: Named<YamlNode>) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    for (name, node) in file.0 {
        let is_name = (1..=128).contains(&name.value.len()) && name.value.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name || attributes.len() == MOST_ATTRIBUTES {
            reader.refuse(&name, "expected at most 32 attributes such as deployment.environment.name: production");
            continue;
        }
        if let Some(value) = reader.string(&node) {
            attributes.push((name.value, value));
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_the_path_that_traces_are_posted_to() {
        let url = |https, host: &str, port| UpstreamUrl { https, host: host.to_owned(), port };
        for (text, protocol, expected) in [
            ("http://127.0.0.1:4317", OtlpProtocol::Grpc, (url(false, "127.0.0.1", 4317), "/v1/traces")),
            ("http://collector:4318/", OtlpProtocol::Http, (url(false, "collector", 4318), "/v1/traces")),
            ("https://a.example/otlp", OtlpProtocol::Http, (url(true, "a.example", 443), "/otlp/v1/traces")),
            ("https://a.example/v1/traces", OtlpProtocol::Http, (url(true, "a.example", 443), "/v1/traces")),
        ] {
            let (url, path) = endpoint(text, protocol).unwrap();
            assert_eq!((url, path.as_str()), expected, "{text}");
        }
        for (text, protocol) in [
            ("", OtlpProtocol::Grpc),
            ("127.0.0.1:4317", OtlpProtocol::Grpc),
            ("grpc://host:4317", OtlpProtocol::Grpc),
            ("http://user:pass@host", OtlpProtocol::Http),
            ("http://host/v1/traces", OtlpProtocol::Grpc),
            ("http://host/a?b", OtlpProtocol::Http),
            ("http://host?b", OtlpProtocol::Http),
            ("http://host/a b", OtlpProtocol::Http),
        ] {
            assert!(endpoint(text, protocol).is_err(), "{text}");
        }
    }
}
