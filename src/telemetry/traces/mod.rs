//! Traces: which spans a request has, and their way to a collector.
//!
//! A request's [`RootSpan`] is opened with its head, if `telemetry.otlp` is there at all. What is done for it below is an
//! [`OpenSpan`] of a [`TraceScope`]: an id, what it belongs to, and the queue that takes it when it ends. Without a trace that
//! is sampled nothing is opened. The queue never waits; what it cannot take is dropped and counted. On the control
//! thread the [`Exporter`] sends it on in batches, by OTLP over gRPC or HTTP.
//!
//! Spans hold names of the configuration and of flows, ids and numbers: never what people or models say, never a key, a
//! query or a body.

mod context;
mod exporter;
mod grpc;
mod http;
mod ids;
mod messages;
mod scope;
mod sender;
mod span;

pub(crate) use exporter::Exporter;
pub(crate) use scope::{OpenSpan, RequestSpan, RootSpan, SpanQueue, TraceScope};
pub(crate) use span::SpanKind;
