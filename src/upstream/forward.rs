//! Sends one request to an upstream.
//!
//! Three waits, each with its limit: connecting, the head of the answer, and (in [`stream`](super::stream)) silence
//! in a stream. A request is sent again only if nothing of it was sent: no connection could be made, or the pooled
//! one turned out closed before the first byte.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use super::outgoing::Outgoing;
use super::target::{Endpoint, Target};
use crate::client::connect::{ConnectError, connect};
use crate::client::deadline::Deadlines;
use crate::client::http1::{Connection, Http1Error, RequestHead};
use crate::client::pool::{Pool, Taken};
use crate::client::reading::Reading;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::series::Histograms;
use crate::wire::refusal::Refusal;

/// A worker's means of reaching upstreams.
pub(crate) struct Upstreams {
    pub(crate) pool: Rc<Pool>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) first_byte: Histograms,
}

/// A request without its endpoint.
pub(crate) struct Forward {
    pub(crate) head: RequestHead,
    pub(crate) body: Outgoing,
    /// What keeps one chat at one endpoint.
    pub(crate) chat: u64,
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Those that may go to the client.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Reading,
    pub(crate) first_byte: Duration,
}

impl Upstreams {
    /// The head of the upstream's answer, or why there is none.
    pub(crate) async fn send(&self, target: &Target, forward: Forward) -> Result<Answer, Refusal> {
        let limit = target.settings.response_timeout;
        let upload = forward.body.progress();
        let sent = Instant::now();
        let mut attempt = pin!(self.attempt(target, forward, sent));
        let mut deadline = self.deadlines.at(sent + limit);
        let result = poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(Some(result));
                }
                if !deadline.is_reached(cx) {
                    return Poll::Pending;
                }
                // While an upload goes on, the upstream cannot be expected to answer.
                match upload.as_ref().map(|upload| upload.last_data() + limit) {
                    Some(later) if later > Instant::now() => deadline.reset(later),
                    _ => return Poll::Ready(None),
                }
            }
        });
        if let Some(result) = result.await {
            // An upload that failed says better what went wrong than the connection it took down.
            let fault = upload.filter(|_| result.is_err()).and_then(|upload| upload.refusal());
            return fault.map_or(result, Err);
        }
        self.count_error(target, "timeout");
        tracing::warn!(upstream = &*target.name, limit = ?limit, "no answer in time");
        Err(Refusal::UpstreamTimeout)
    }

    async fn attempt(&self, target: &Target, forward: Forward, sent: Instant) -> Result<Answer, Refusal> {
        let Forward { mut head, mut body, chat } = forward;
        for endpoint in target.candidates(chat) {
            loop {
                // Without a connection the next endpoint is asked, if there is one.
                let Ok((mut connection, is_pooled)) = self.connection(target, endpoint, sent).await else { break };
                match connection.exchange(&mut head, &endpoint.authority, &mut body).await {
                    Ok(mut head) => {
                        let first_byte = sent.elapsed();
                        self.first_byte.observe(&target.name, first_byte.as_secs_f64());
                        let body = Reading::new(&mut head, connection, endpoint.id, &self.pool);
                        return Ok(Answer { status: head.status, headers: head.headers, body, first_byte });
                    }
                    Err(failure) => {
                        if is_pooled && matches!(failure.error, Http1Error::Closed | Http1Error::Io(_)) {
                            self.pool.ended_early(endpoint.id);
                        }
                        match failure {
                            // Nothing of it was sent. A fresh connection that does so is broken.
                            failure if !failure.was_sent && is_pooled => {}
                            failure if !failure.was_sent && body.is_untouched() => break,
                            failure => return Err(self.broken(target, endpoint, &failure.error)),
                        }
                    }
                }
            }
        }
        Err(match target.endpoints.len() {
            1 => Refusal::UpstreamError("The chatflow's server cannot be reached."),
            _ => Refusal::UpstreamUnavailable,
        })
    }

    /// A connection, and whether it was used before.
    async fn connection(
        &self,
        target: &Target,
        endpoint: &Endpoint,
        now: Instant,
    ) -> Result<(Connection, bool), ConnectError> {
        let mut taken = self.pool.take(endpoint.id, now);
        if let Taken::NotYet(wait) = taken {
            // Boxed: it happens once.
            Box::pin(tokio::time::sleep(wait)).await;
            taken = self.pool.take(endpoint.id, Instant::now());
        }
        if let Taken::Connection(connection) = taken {
            return Ok((connection, true));
        }
        // Boxed: it is rare, and large with its TLS handshake, and would be moved with every request.
        match Box::pin(connect(target, endpoint)).await {
            Ok(connection) => Ok((connection, false)),
            Err(error) => {
                self.count_error(target, "connect");
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let url = super::target::label(&endpoint.url);
                let advice = error.advice();
                tracing::warn!(upstream = &*target.name, url, %error, cause, advice, "upstream not reachable");
                Err(error)
            }
        }
    }

    fn broken(&self, target: &Target, endpoint: &Endpoint, error: &Http1Error) -> Refusal {
        // If the client's own body failed, whoever made it knows why, and Flowise is not to blame.
        if !matches!(error, Http1Error::Upload) {
            self.count_error(target, "broken");
            let url = super::target::label(&endpoint.url);
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(upstream = &*target.name, url, %error, cause, "upstream broke off before its answer");
        }
        Refusal::UpstreamError("The chatflow's server broke off before it answered.")
    }

    pub(crate) fn count_error(&self, target: &Target, kind: &str) {
        self.metrics.upstream_errors.with_label_values(&[&*target.name, kind]).inc();
    }
}
