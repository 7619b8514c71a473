//! Sends one request to an upstream, to one of its servers.
//!
//! The time limit is for all of them together. The next one is asked only if nothing of the request was sent.

use std::cell::Cell;
use std::sync::Arc;

use http::HeaderValue;

use super::choice::{Affinity, Chosen};
use super::outgoing::{Outgoing, UploadFault};
use super::target::Target;
use crate::client::{Client, Error, Origin, Request, RequestHead, Response, Wait};
use crate::telemetry::calls::CallMetrics;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{OpenSpan, SpanKind, TraceScope};
use crate::wire::hop;
use crate::wire::refusal::Refusal;

/// A worker's means of reaching upstreams.
pub(crate) struct UpstreamClient {
    pub(crate) client: Client,
    pub(crate) calls: CallMetrics,
    pub(crate) metrics: Arc<Metrics>,
    /// Counts requests.
    turn: Cell<u64>,
}

/// A request without its server.
pub(crate) struct Forward {
    request: Request,
    upload: Option<UploadFault>,
    affinity: Affinity,
    /// The wait for the answer, in a trace.
    span: Option<Box<OpenSpan>>,
}

impl Forward {
    pub(crate) fn new(head: RequestHead, body: Outgoing, affinity: Affinity) -> Self {
        let Outgoing { body, upload } = body;
        Self { request: Request::new(head, body), upload, affinity, span: None }
    }

    /// Makes it part of a trace: a span of its own, if that is sampled, which the server is told of.
    pub(crate) fn trace(&mut self, scope: &TraceScope, upstream: &Arc<str>) {
        let head = self.request.head();
        let span = scope.open(SpanKind::Client).map(|mut span| {
            span.name(format!("{} {upstream}", head.method()));
            span.set("http.request.method", head.method().to_string());
            span.set("flowgate.upstream", upstream.to_string());
            Box::new(span)
        });
        for (name, value) in span.as_ref().map_or(scope, |span| span.scope()).fields() {
            head.field(name, &value);
        }
        self.span = span;
    }
}

impl UpstreamClient {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        let client = Client::new(hop::passes_downstream);
        Self { client, calls: CallMetrics::new(metrics), metrics: Arc::clone(metrics), turn: Cell::default() }
    }

    /// The head of the upstream's answer, or why there is none, which the log tells with the request's id.
    /// Borrowed, since a future holds what it is given twice.
    pub(crate) async fn send(
        &self,
        target: &Target,
        forward: &mut Forward,
        request_id: Option<&HeaderValue>,
    ) -> Result<Response, Refusal> {
        let result = self.ask(target, forward, request_id).await;
        // An upload that failed says better what went wrong than the connection it took down.
        let result =
            result.map_err(|refusal| forward.upload.as_ref().and_then(UploadFault::refusal).unwrap_or(refusal));
        if let Some(span) = forward.span.take() {
            answered(*span, &result);
        }
        result
    }

    async fn ask(
        &self,
        target: &Target,
        forward: &mut Forward,
        request_id: Option<&HeaderValue>,
    ) -> Result<Response, Refusal> {
        let Forward { request, affinity, span, .. } = forward;
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        // No memory is asked for before there is something in it.
        let mut tried = Vec::new();
        while let Some(Chosen { origin, url, member }) = target.choose(*affinity, turn, &tried) {
            member.health.tried();
            if let Some(span) = span {
                tell_server(span, origin, tried.len() as u64);
            }
            let connected = || url.connected(&member);
            let error = match self.client.send(origin, &member.peer, request, &connected).await {
                Ok(response) => {
                    // Over a connection from before, perhaps.
                    connected();
                    self.calls.answered(&target.name, response.first_byte);
                    return Ok(response);
                }
                Err(error) => error,
            };
            if error.is_connect() {
                url.refused(&member);
            }
            self.calls.failed(&target.name, origin, &error, request_id);
            match error {
                Error::Timeout(Wait::Response) => return Err(Refusal::UpstreamTimeout),
                error if error.was_sent() => {
                    return Err(Refusal::UpstreamError("The chatflow's server broke off before it answered."));
                }
                // The next one, if there is one.
                _ => tried.push(member.peer.id()),
            }
        }
        Err(match target.urls.len() {
            1 => Refusal::UpstreamError("The chatflow's server cannot be reached."),
            _ => Refusal::UpstreamUnavailable,
        })
    }

    pub(crate) fn count_error(&self, target: &Target, kind: &str) {
        self.calls.count(&target.name, kind);
    }
}

/// The server that is asked, after others that took nothing.
fn tell_server(span: &mut OpenSpan, origin: &Origin, others: u64) {
    span.set("server.address", origin.host().to_owned());
    span.set("server.port", origin.port());
    if others > 0 {
        span.set("http.request.resend_count", others);
    }
}

/// The wait is over.
fn answered(mut span: OpenSpan, result: &Result<Response, Refusal>) {
    match result {
        Ok(response) => {
            let status = response.status.as_u16();
            span.set("http.response.status_code", status);
            if status >= 400 {
                span.failed(status.to_string());
            }
        }
        Err(refusal) => span.failed(refusal.code().name()),
    }
    span.end();
}
