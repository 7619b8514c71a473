//! Reads OTLP, from the published schema (opentelemetry-proto 1) and not from what the gateway has.

use std::collections::BTreeMap;

use prost::Message as _;
use serde_json::Value;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OfResource {
    #[prost(message, optional, tag = "1")]
    resource: Option<Attributed>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attributed {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Raw>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Raw {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(string, tag = "3")]
    state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Pair>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<RawLink>,
    #[prost(message, optional, tag = "15")]
    status: Option<RawStatus>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawLink {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial: Option<Partial>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

pub(crate) const SERVER: i32 = 2;
pub(crate) const CLIENT: i32 = 3;
pub(crate) const INTERNAL: i32 = 1;

/// A span, with ids in hexadecimal digits.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty: it has none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) has_failed: bool,
    pub(crate) flags: u32,
    pub(crate) resource: BTreeMap<String, Value>,
}

impl Span {
    /// The value of an attribute; `null`: it has none of that name.
    pub(crate) fn get(&self, name: &str) -> Value {
        self.attributes.get(name).cloned().unwrap_or_default()
    }
}

/// The spans of an export.
pub(crate) fn spans(message: &[u8]) -> Vec<Span> {
    let request = Request::decode(message).expect("an export");
    let mut spans = Vec::new();
    for of_resource in request.resources {
        let resource = pairs(of_resource.resource.expect("a resource").attributes);
        for raw in of_resource.scopes.into_iter().flat_map(|scope| scope.spans) {
            let status = raw.status.unwrap_or_default();
            // Who knows what would stand in it.
            assert_eq!(status.message, "");
            spans.push(Span {
                trace: hex(&raw.trace),
                id: hex(&raw.id),
                parent: hex(&raw.parent),
                state: raw.state,
                name: raw.name,
                kind: raw.kind,
                start: raw.start,
                end: raw.end,
                attributes: pairs(raw.attributes),
                links: raw.links.iter().map(|link| (hex(&link.trace), hex(&link.id))).collect(),
                has_failed: status.code == 2,
                flags: raw.flags,
                resource: resource.clone(),
            });
        }
    }
    spans
}

/// An answer that takes all but so many spans.
pub(crate) fn answer(rejected: i64) -> Vec<u8> {
    let partial = Partial { rejected, message: "some are too old".to_owned() };
    Response { partial: (rejected > 0).then_some(partial) }.encode_to_vec()
}

fn pairs(pairs: Vec<Pair>) -> BTreeMap<String, Value> {
    let count = pairs.len();
    let value = |value: Any| value.text.map(Value::from).or(value.number.map(Value::from)).expect("a text or a number");
    let map: BTreeMap<_, _> = pairs.into_iter().map(|pair| (pair.key, value(pair.value.expect("a value")))).collect();
    assert_eq!(map.len(), count, "each attribute once");
    map
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
