//! Sends spans to the collector in batches, on the control thread.
//!
//! Its settings are those in force when a batch is sent. What cannot be sent is tried again for a while, and then given
//! up; meanwhile the queue fills, and what it cannot take is dropped. Nobody but the exporter waits for the collector.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounterVec;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::messages;
use super::scope::SpanQueue;
use super::sender::{ExportError, Retry, Sender, Unsent};
use super::span::Span;
use super::{ids, sender};
use crate::config::{Otlp, OtlpProtocol};
use crate::telemetry::calls::CallReason;

/// Spans in one export.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How often a batch is sent in vain, and the pause after the first time, which doubles.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts when the gateway ends.
const LAST_PAUSE: Duration = Duration::from_millis(200);
/// Whatever the collector wants.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Exporter<S> {
    spans: mpsc::Receiver<Span>,
    /// Its other end, so that it stays open while nobody has a span.
    queue: SpanQueue,
    settings: S,
    counts: IntCounterVec,
    closing: CancellationToken,
    /// Tells this process from others of the same name.
    instance: String,
    /// The log knows that the last export failed.
    is_failing: bool,
}

impl<S: Fn() -> Option<Arc<Otlp>>> Exporter<S> {
    /// With the queue that it empties. `settings`: those in force; `None`: there is no collector any more. `counts`: of
    /// spans, by result. When `closing` is cancelled, what is in the queue is sent once more, and that is all.
    pub(crate) fn new(settings: S, counts: &IntCounterVec, closing: CancellationToken) -> (SpanQueue, Self) {
        let (queue, spans) = SpanQueue::new(counts.clone());
        let instance = format!("{:032x}", ids::trace());
        let exporter = Self { spans, queue, settings, counts: counts.clone(), closing, instance, is_failing: false };
        (exporter.queue.clone(), exporter)
    }

    /// Ends once it is closing and has sent what there is.
    pub(crate) async fn run(mut self) {
        let work = async {
            let mut batch = Vec::with_capacity(BATCH);
            // Made and kept on this thread.
            let mut sender = None;
            while self.gather(&mut batch).await {
                self.export(&batch, &mut sender).await;
                batch.clear();
            }
        };
        tokio::task::LocalSet::new().run_until(work).await;
    }

    /// Waits for the next batch; `false`: there is none any more.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        let Self { spans, closing, .. } = self;
        tokio::select! {
            biased;
            _ = spans.recv_many(batch, BATCH) => {}
            () = closing.cancelled() => {}
        }
        let late = tokio::time::sleep(DELAY);
        tokio::pin!(late);
        while batch.len() < BATCH && !closing.is_cancelled() {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                _ = spans.recv_many(batch, room) => {}
                () = closing.cancelled() => {}
                () = &mut late => break,
            }
        }
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        !batch.is_empty()
    }

    async fn export(&mut self, batch: &[Span], sender: &mut Option<Sender>) {
        let count = batch.len() as u64;
        let Some(settings) = (self.settings)() else {
            *sender = None;
            return self.count("dropped", count);
        };
        let result = self.send(batch, &settings, sender).await;
        match result {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                self.count("sent", count - rejected);
                if rejected > 0 {
                    self.count("failed", rejected);
                    tracing::warn!(rejected, "the collector has not taken all spans");
                }
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("traces are exported again");
                }
            }
            Err(()) => self.count("failed", count),
        }
    }

    /// How many spans the collector has not taken; an error is in the log.
    async fn send(&mut self, batch: &[Span], settings: &Arc<Otlp>, sender: &mut Option<Sender>) -> Result<u64, ()> {
        if sender.as_ref().is_none_or(|sender| !sender.is_of(settings)) {
            *sender = Some(Sender::new(settings).map_err(|error| self.tell(settings, &error))?);
        }
        let Some(sender) = sender else { return Err(()) };
        let message = messages::encode(batch, &self.resource(settings));
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let Unsent { error, retry } = match sender.send(message.clone()).await {
                Ok(rejected) => return Ok(rejected),
                Err(unsent) => unsent,
            };
            self.tell(settings, &error);
            let wait = match retry {
                Retry::Never => break,
                Retry::Soon => pause.mul_f64(0.8) + jitter(pause.mul_f64(0.4)),
                Retry::After(wait) => wait.min(LONGEST_PAUSE),
            };
            if attempt < ATTEMPTS {
                self.rest(wait).await;
                pause *= 2;
            }
        }
        Err(())
    }

    /// For that long, or a moment: at the end there is little time left.
    async fn rest(&self, wait: Duration) {
        if tokio::time::timeout(wait, self.closing.cancelled()).await.is_ok() {
            tokio::time::sleep(wait.min(LAST_PAUSE)).await;
        }
    }

    /// What the collector is told of this process: a configuration's own words win.
    fn resource<'a>(&'a self, settings: &'a Otlp) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("service.name", "flowgate"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.instance),
        ];
        own.into_iter().chain(settings.resource.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect()
    }

    fn count(&self, result: &str, spans: u64) {
        self.counts.with_label_values(&[result]).inc_by(spans);
    }

    /// Once, until an export goes through again.
    fn tell(&mut self, settings: &Otlp, error: &ExportError) {
        if std::mem::replace(&mut self.is_failing, true) {
            return;
        }
        let CallReason { cause, advice } = match error {
            ExportError::Call(error) => CallReason::of(error),
            error => CallReason { cause: cause(error), advice: advice(settings.protocol, error) },
        };
        let url = sender::url(settings);
        tracing::warn!(url, %error, cause, advice, "traces cannot be exported");
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

/// What can be done about it.
fn advice(protocol: OtlpProtocol, error: &ExportError) -> Option<&'static str> {
    match (protocol, error) {
        (OtlpProtocol::Grpc, ExportError::Http2(_)) => Some(
            "does the collector speak gRPC on this port? HTTP, which has `protocol: http`, mostly has the port 4318",
        ),
        (_, ExportError::Status(status)) if matches!(status.as_u16(), 401 | 403) => {
            Some("the collector wants credentials: see `headers`")
        }
        (_, ExportError::Grpc(7 | 16)) => Some("the collector wants credentials: see `headers`"),
        (OtlpProtocol::Http, ExportError::Status(status)) if matches!(status.as_u16(), 404 | 405) => {
            Some("does the collector take traces at this path? /v1/traces is put behind `endpoint`")
        }
        _ => None,
    }
}

/// Up to that much, so that replicas do not all come back at once.
fn jitter(most: Duration) -> Duration {
    Duration::from_millis(ids::below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1)))
}
