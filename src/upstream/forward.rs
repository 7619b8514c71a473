//! Sends one request to an upstream, at one of its endpoints.
//!
//! The time limit is for all of them together. The next endpoint is asked only if nothing of the request was sent.

use std::sync::Arc;

use super::outgoing::{Outgoing, UploadFault};
use super::target::Target;
use crate::client::{Client, Error, Request, RequestHead, Response, Wait};
use crate::telemetry::calls::CallMetrics;
use crate::telemetry::metrics::Metrics;
use crate::wire::hop;
use crate::wire::refusal::Refusal;

/// A worker's means of reaching upstreams.
pub(crate) struct UpstreamClient {
    pub(crate) client: Client,
    pub(crate) calls: CallMetrics,
    pub(crate) metrics: Arc<Metrics>,
}

/// A request without its endpoint.
pub(crate) struct Forward {
    request: Request,
    upload: Option<UploadFault>,
    /// What keeps one chat at one endpoint.
    chat: u64,
}

impl Forward {
    pub(crate) fn new(head: RequestHead, body: Outgoing, chat: u64) -> Self {
        let Outgoing { body, upload } = body;
        Self { request: Request::new(head, body), upload, chat }
    }
}

impl UpstreamClient {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        let client = Client::new(hop::passes_downstream);
        Self { client, calls: CallMetrics::new(metrics), metrics: Arc::clone(metrics) }
    }

    /// The head of the upstream's answer, or why there is none.
    /// Borrowed, since a future holds what it is given twice.
    pub(crate) async fn send(&self, target: &Target, forward: &mut Forward) -> Result<Response, Refusal> {
        let result = self.ask(target, &mut forward.request, forward.chat).await;
        // An upload that failed says better what went wrong than the connection it took down.
        result.map_err(|refusal| forward.upload.as_ref().and_then(UploadFault::refusal).unwrap_or(refusal))
    }

    async fn ask(&self, target: &Target, request: &mut Request, chat: u64) -> Result<Response, Refusal> {
        for endpoint in target.candidates(chat) {
            let error = match self.client.send(&endpoint.origin, request, &|| endpoint.health.connected()).await {
                Ok(response) => {
                    self.calls.answered(&target.name, response.first_byte);
                    return Ok(response);
                }
                Err(error) => error,
            };
            if error.is_connect() {
                endpoint.health.failed();
            }
            self.calls.failed(&target.name, &endpoint.origin, &error);
            match error {
                Error::Timeout(Wait::Response) => return Err(Refusal::UpstreamTimeout),
                error if error.was_sent() => {
                    return Err(Refusal::UpstreamError("The chatflow's server broke off before it answered."));
                }
                // The next one, if there is one.
                _ => {}
            }
        }
        Err(match target.endpoints.len() {
            1 => Refusal::UpstreamError("The chatflow's server cannot be reached."),
            _ => Refusal::UpstreamUnavailable,
        })
    }

    pub(crate) fn count_error(&self, target: &Target, kind: &str) {
        self.calls.count(&target.name, kind);
    }
}
