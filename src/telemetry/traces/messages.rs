//! What is sent and answered, as Protocol Buffers (opentelemetry-proto 1, `collector/trace/v1`, `trace/v1`, `common/v1`,
//! `resource/v1`). Fields that are never set are left out.

use std::borrow::Cow;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

use super::span::{AttributeValue, Span, SpanKind};

#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(enumeration = "KindMessage", tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<SpanLink>,
    #[prost(message, optional, tag = "15")]
    status: Option<StatusMessage>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
enum KindMessage {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, PartialEq, Message)]
struct SpanLink {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(fixed32, tag = "6")]
    flags: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StatusMessage {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "AnyKind", tags = "1, 3")]
    value: Option<AnyKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum AnyKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
}

/// `Status` of google.rpc, as `grpc-status-details-bin` has it.
#[derive(Clone, PartialEq, Message)]
struct StatusDetails {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Packed>,
}

/// `Any` of google.protobuf.
#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<DelayMessage>,
}

/// `Duration` of google.protobuf.
#[derive(Clone, Copy, PartialEq, Message)]
struct DelayMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The caller is another program; whether it is, is known.
const IS_REMOTE: u32 = 0x300;
const IS_LOCAL: u32 = 0x100;
const SAMPLED: u32 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

/// A request for the collector. `resource`: attributes in which a later one of the same name wins.
pub(super) fn encode(spans: &[Span], resource: &[(&str, &str)]) -> Bytes {
    let mut attributes: Vec<KeyValue> = Vec::with_capacity(resource.len());
    for (name, value) in resource {
        attributes.retain(|known| known.key != *name);
        attributes.push(attribute(name, &AttributeValue::Text(Cow::Owned((*value).to_owned()))));
    }
    let scope = InstrumentationScope { name: "flowgate".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans: spans.iter().map(message).collect() };
    let resource = Resource { attributes };
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans] };
    ExportRequest { resource_spans: vec![resource_spans] }.encode_to_vec().into()
}

/// Spans that the collector says it has not taken.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let response = ExportResponse::decode(answer).unwrap_or_default();
    let rejected = response.partial_success.map(|partial| partial.rejected_spans);
    rejected.and_then(|rejected| u64::try_from(rejected).ok()).unwrap_or_default()
}

/// When a collector that is overrun wants to be asked again.
pub(super) fn retry_delay(details: &[u8]) -> Option<std::time::Duration> {
    let details = StatusDetails::decode(details).ok()?.details;
    let info = details.iter().find(|packed| packed.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(std::time::Duration::from_secs(seconds).saturating_add(std::time::Duration::from_nanos(nanos.into())))
}

fn message(span: &Span) -> SpanMessage {
    let context = &span.context;
    let link = |(trace, id): &(std::num::NonZeroU128, std::num::NonZeroU64)| SpanLink {
        trace_id: trace.get().to_be_bytes().into(),
        span_id: id.get().to_be_bytes().into(),
        flags: IS_REMOTE,
    };
    SpanMessage {
        trace_id: context.trace.get().to_be_bytes().into(),
        span_id: context.span.get().to_be_bytes().into(),
        trace_state: context.state.as_ref().and_then(|state| state.to_str().ok()).unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.get().to_be_bytes().into()).unwrap_or_default(),
        name: span.name.clone().into_owned(),
        kind: match span.kind {
            SpanKind::Internal => KindMessage::Internal,
            SpanKind::Server => KindMessage::Server,
            SpanKind::Client => KindMessage::Client,
        }
        .into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: span.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        links: span.link.iter().map(link).collect(),
        status: span.has_failed.then_some(StatusMessage { code: ERROR }),
        flags: SAMPLED | if span.has_remote_parent { IS_REMOTE } else { IS_LOCAL },
    }
}

fn attribute(name: &str, value: &AttributeValue) -> KeyValue {
    let held = match value {
        AttributeValue::Text(text) => AnyKind::Text(text.clone().into_owned()),
        AttributeValue::Number(number) => AnyKind::Number(*number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(held) }) }
}
