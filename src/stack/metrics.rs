//! Counts and times every request, at its end.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use prometheus::IntCounter;
use tower::{Layer, Service};

use super::access_log::CLIENT_GONE;
use super::context::{Call, Context, TokenRefused};
use super::environment::Environment;
use super::{recent, traces, usage};
use crate::telemetry::series::RequestSeries;
use crate::wire::watched::{BodyWatch, Watched};

/// Index in place of a chatflow's or a key's when there is none.
const NONE: u32 = u32::MAX;

#[derive(Clone)]
pub(crate) struct MetricsLayer(Rc<Environment>);

impl MetricsLayer {
    pub(crate) fn new(environment: Rc<Environment>) -> Self {
        Self(environment)
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { environment: Rc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Measured<S> {
    environment: Rc<Environment>,
    inner: S,
}

impl<S, B> Service<Call> for Measured<S>
where
    S: Service<Call, Response = Response<B>, Error = Infallible>,
    B: Body<Data = bytes::Bytes>,
{
    type Response = Response<Watched<B, Option<Measure>>>;
    type Error = Infallible;
    type Future = Measuring<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let measure = Measure {
            environment: Rc::clone(&self.environment),
            context: Rc::clone(&call.context),
            status: CLIENT_GONE,
            end: traces::CLIENT_GONE,
            events: None,
        };
        Measuring { inner: self.inner.call(call), measure: Some(measure) }
    }
}

pin_project! {
    /// Holds the measure until there is a body to move it into.
    pub(crate) struct Measuring<F> {
        #[pin]
        inner: F,
        measure: Option<Measure>,
    }
}

impl<F, B> Future for Measuring<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = bytes::Bytes>,
{
    type Output = Result<Response<Watched<B, Option<Measure>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(cx));
        let mut measure = this.measure.take();
        if let Some(measure) = &mut measure {
            measure.status = measure.context.status(response.status());
            measure.begin_stream();
        }
        Poll::Ready(Ok(response.map(|body| Watched::new(body, measure))))
    }
}

/// One request's figures; counted when dropped.
pub(crate) struct Measure {
    environment: Rc<Environment>,
    context: Rc<Context>,
    status: u16,
    /// Of the body.
    end: &'static str,
    /// For an event stream: its chatflow's counter, and how many events are in it already.
    events: Option<(IntCounter, u64)>,
}

impl BodyWatch for Option<Measure> {
    fn data(&mut self, _bytes: usize) {
        if let Some(Measure { events: Some((counter, counted)), context, .. }) = self {
            let now = context.stream.get().map_or(*counted, |report| report.events.get());
            counter.inc_by(now - *counted);
            *counted = now;
        }
    }

    fn ended(&mut self, complete: bool) {
        if let Some(measure) = self {
            measure.end = if complete { "complete" } else { "broken" };
        }
    }
}

impl Measure {
    fn begin_stream(&mut self) {
        if self.context.stream.get().is_some() {
            let metrics = &self.environment.metrics;
            metrics.streams_open.inc();
            self.events = Some((metrics.stream_events.with_label_values(&[self.context.chatflow_label()]), 0));
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let Self { environment, context, status, end, events } = self;
        let metrics = &environment.metrics;
        let (route, number) = context.route_label();
        let series = RequestSeries {
            generation: context.snapshot.generation,
            route: number,
            chatflow: context.chatflow_index().unwrap_or(NONE),
            key: context.caller_index().unwrap_or(NONE),
            code: *status,
        };
        environment.requests.count(series, || [route, context.chatflow_label(), context.key_label()]);
        usage::count(context);
        recent::note(&environment.recent, context, *status);
        traces::end(context, *status, end);
        environment.durations.observe(route, context.duration().as_secs_f64());
        if events.is_some() {
            metrics.streams_open.dec();
            let reason = context
                .stream
                .get()
                .and_then(|report| report.ending.get())
                .map_or("client_gone", |ending| ending.name());
            metrics.streams_ended.with_label_values(&[reason]).inc();
        }
        if let Some(TokenRefused { identity, why }) = context.token_refused.get() {
            let identity = identity.map_or("-", |identity| context.identity_name(identity));
            metrics.identity.refused.with_label_values(&[identity, why.fault.name()]).inc();
        }
        if let Some(refusal) = context.refusal.get() {
            if let Some(rule) = refusal.rule() {
                metrics.rejected.with_label_values(&[rule.name()]).inc();
            }
            if let Some(reason) = refusal.auth_failure() {
                metrics.auth_failures.with_label_values(&[reason]).inc();
            }
            if let Some(limit) = refusal.limit() {
                let key = if context.caller_index().is_some() { context.key_label() } else { "anonymous" };
                metrics.limits.exceeded.with_label_values(&[key, limit]).inc();
            }
        }
    }
}
