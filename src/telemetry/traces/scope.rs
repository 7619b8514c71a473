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
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";

    fn begin(queue: &SpanQueue, sample: f64, parent: Option<&str>, is_trusted: bool) -> RootSpan {
        let mut headers = HeaderMap::new();
        if let Some(parent) = parent {
            headers.insert("traceparent", parent.parse().unwrap());
        }
        RootSpan::begin(queue, sample, &headers, || is_trusted)
    }

    fn queue() -> (SpanQueue, mpsc::Receiver<Span>) {
        SpanQueue::new(Metrics::new().unwrap().trace_spans)
    }

    #[test]
    fn the_part_that_is_kept_is_told_by_the_id() {
        assert!(is_sampled(0, 0.001) && !is_sampled(0, 0.0));
        assert!(is_sampled(u128::MAX, 1.0) && !is_sampled(u128::MAX, 0.999));
        // The upper half of an id says nothing.
        for low in [0u64, u64::MAX / 4, u64::MAX / 2 + 2, u64::MAX] {
            let (one, other) = (u128::from(low), u128::from(low) | 7 << 100);
            assert_eq!(is_sampled(one, 0.5), is_sampled(other, 0.5));
            assert_eq!(is_sampled(one, 0.5), low <= u64::MAX / 2);
        }
        let kept = (0..100_000).filter(|_| is_sampled(ids::trace().get(), 0.1)).count();
        assert!((9_000..11_000).contains(&kept), "{kept}");
    }

    #[test]
    fn a_trusted_caller_decides_and_a_stranger_does_not() {
        let (queue, _ended) = queue();
        let id = |root: &RootSpan| root.scope.context.trace.get();
        let theirs = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        let wanted = Some(format!("{PARENT}01"));
        let unwanted = Some(format!("{PARENT}00"));
        let root = begin(&queue, 0.0, wanted.as_deref(), true);
        assert_eq!((id(&root), root.scope.context.is_sampled), (theirs, true));
        let root = begin(&queue, 1.0, unwanted.as_deref(), true);
        assert_eq!((id(&root), root.scope.context.is_sampled), (theirs, false));
        let root = begin(&queue, 0.0, wanted.as_deref(), false);
        assert!(id(&root) != theirs && !root.scope.context.is_sampled);
        let root = begin(&queue, 1.0, unwanted.as_deref(), false);
        assert!(id(&root) != theirs && root.scope.context.is_sampled);
        let root = begin(&queue, 1.0, Some("00-nonsense"), true);
        assert!(root.caller.is_none() && root.scope.context.is_sampled);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let metrics = Metrics::new().unwrap();
        let (queue, mut ended) = SpanQueue::new(metrics.trace_spans.clone());
        let root = begin(&queue, 1.0, None, false);
        for _ in 0..QUEUE + 3 {
            root.scope.open(SpanKind::Client).unwrap().end();
        }
        assert_eq!(metrics.trace_spans.with_label_values(&["dropped"]).get(), 3);
        let first = ended.try_recv().unwrap();
        assert_eq!((first.parent, first.context.trace), (Some(root.scope.context.span), root.scope.context.trace));
    }

    #[test]
    fn a_span_that_is_dropped_was_cancelled() {
        let (queue, mut ended) = queue();
        let root = begin(&queue, 1.0, None, false);
        drop(root.scope.open(SpanKind::Internal));
        let span = ended.try_recv().unwrap();
        assert!(span.has_failed);
        assert_eq!(span.attributes, [("error.type", "cancelled".into())]);
        root.scope.open(SpanKind::Internal).unwrap().end();
        assert!(!ended.try_recv().unwrap().has_failed);
    }

    #[test]
    fn without_a_sample_there_is_nothing_to_open() {
        let (queue, mut ended) = queue();
        let root = begin(&queue, 0.0, None, false);
        assert!(root.scope.open(SpanKind::Client).is_none() && root.scope.sampled_trace().is_none());
        root.end(Duration::ZERO, |_| panic!("nobody wants to know"));
        assert!(ended.try_recv().is_err());
        // Whoever is called is told so.
        let fields: Vec<_> = root.scope.fields().collect();
        assert!(fields[0].1.to_str().unwrap().ends_with("-00"));
    }
}
