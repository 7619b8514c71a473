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
