//! Spans that are open, and the queue of those that have ended.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderValue};
use prometheus::IntCounterVec;
use tokio::sync::mpsc;

use super::context::SpanContext;
use super::ids;
use super::span::{AttributeValue, Span, SpanKind, cut, nanoseconds};

/// Spans that wait for the exporter; with all that one may hold some 16 MiB.
const QUEUE: usize = 2048;

/// One end of the queue; clones are the same queue.
#[derive(Debug, Clone)]
pub(crate) struct SpanQueue {
    spans: mpsc::Sender<Span>,
    counts: IntCounterVec,
}

impl SpanQueue {
    /// `counts`: of spans, by result.
    pub(super) fn new(counts: IntCounterVec) -> (Self, mpsc::Receiver<Span>) {
        let (spans, ended) = mpsc::channel(QUEUE);
        (Self { spans, counts }, ended)
    }

    fn put(&self, span: Span) {
        // Nobody waits for the collector.
        if self.spans.try_send(span).is_err() {
            self.counts.with_label_values(&["dropped"]).inc();
        }
    }
}

/// A span as what is done below it needs it.
#[derive(Debug, Clone)]
pub(crate) struct TraceScope {
    context: SpanContext,
    queue: SpanQueue,
}

impl TraceScope {
    /// Opens a span below; `None`: the trace is not sampled.
    pub(crate) fn open(&self, kind: SpanKind) -> Option<OpenSpan> {
        if !self.context.is_sampled {
            return None;
        }
        let context = SpanContext { span: ids::span(), ..self.context.clone() };
        let scope = Self { context, queue: self.queue.clone() };
        let mut span = Span::new(scope.context.clone(), kind);
        span.parent = Some(self.context.span);
        Some(OpenSpan { scope, span: Some(span), begun: Instant::now() })
    }

    /// The header fields that tell whoever is called what the call is part of.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, HeaderValue)> {
        let parent = self.context.traceparent().map(|parent| ("traceparent", parent));
        parent.into_iter().chain(self.context.state.clone().map(|state| ("tracestate", state)))
    }

    pub(crate) fn is_sampled(&self) -> bool {
        self.context.is_sampled
    }

    /// The id of the trace, if its spans are kept.
    pub(crate) fn sampled_trace(&self) -> Option<String> {
        self.context.is_sampled.then(|| format!("{:032x}", self.context.trace))
    }
}

/// A span under way; one that is dropped before its end was cancelled.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    scope: TraceScope,
    span: Option<Span>,
    begun: Instant,
}

impl OpenSpan {
    pub(crate) fn scope(&self) -> &TraceScope {
        &self.scope
    }

    pub(crate) fn name(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.name = cut(name.into());
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        if let Some(span) = &mut self.span {
            span.set(name, value);
        }
    }

    /// `kind`: a word of a closed set, or a status.
    pub(crate) fn failed(&mut self, kind: impl Into<AttributeValue>) {
        if let Some(span) = &mut self.span {
            span.has_failed = true;
            span.set("error.type", kind);
        }
    }

    pub(crate) fn end(mut self) {
        self.put();
    }

    fn put(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.end = span.start.saturating_add(nanoseconds(self.begun.elapsed()));
            self.scope.queue.put(span);
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if self.span.is_some() {
            self.failed("cancelled");
            self.put();
        }
    }
}

/// The first span of a request here. It is not known before the end whether it is worth keeping.
#[derive(Debug)]
pub(crate) struct RootSpan {
    pub(crate) scope: TraceScope,
    /// The caller's span, and whether the trace goes on from there.
    caller: Option<(SpanContext, bool)>,
    start: u64,
}

impl RootSpan {
    /// Goes on with the trace of a caller who is trusted. Anybody else could have everything sampled, or crowd into one
    /// trace: a new one begins, and the caller's span is linked. `sample`: the part of new traces that is kept.
    pub(crate) fn begin(
        queue: &SpanQueue,
        sample: f64,
        headers: &HeaderMap,
        is_trusted: impl FnOnce() -> bool,
    ) -> Self {
        let caller = SpanContext::of(headers).map(|caller| (caller, is_trusted()));
        let context = if let Some((caller, true)) = &caller {
            SpanContext { span: ids::span(), ..caller.clone() }
        } else {
            let trace = ids::trace();
            SpanContext { trace, span: ids::span(), is_sampled: is_sampled(trace.get(), sample), state: None }
        };
        Self { scope: TraceScope { context, queue: queue.clone() }, caller, start: super::span::now() }
    }

    /// The request is over; `describe` says what it was, if its trace is sampled.
    pub(crate) fn end(&self, took: Duration, describe: impl FnOnce(&mut RequestSpan)) {
        if !self.scope.context.is_sampled {
            return;
        }
        let mut span = Span::new(self.scope.context.clone(), SpanKind::Server);
        (span.start, span.end) = (self.start, self.start.saturating_add(nanoseconds(took)));
        match &self.caller {
            Some((caller, true)) => (span.parent, span.has_remote_parent) = (Some(caller.span), true),
            Some((caller, false)) => span.link = Some((caller.trace, caller.span)),
            None => {}
        }
        let mut request = RequestSpan(span);
        describe(&mut request);
        self.scope.queue.put(request.0);
    }
}

/// A request's span, to be described.
pub(crate) struct RequestSpan(Span);

impl RequestSpan {
    pub(crate) fn name(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.name = cut(name.into());
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        self.0.set(name, value);
    }

    /// `kind`: a word of a closed set, or a status.
    pub(crate) fn failed(&mut self, kind: impl Into<AttributeValue>) {
        self.0.has_failed = true;
        self.0.set("error.type", kind);
    }
}

/// As OpenTelemetry's SDKs decide by a trace's id, so that all who keep the same part keep the same traces.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the lower half is meant, and 2^63 is a float of its own"
)]
fn is_sampled(trace: u128, sample: f64) -> bool {
    let random = trace as u64 >> 1;
    random < (sample.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests;
