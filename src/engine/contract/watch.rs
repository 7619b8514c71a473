//! Who looks on at a prediction: what is counted of it, and what ends it early.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::failure::{Failure, RunLimit};
use super::message::Usage;
use crate::predict::report::ModelReport;
use crate::redact::Redactor;
use crate::telemetry::metrics::Metrics;

/// In place of a model that the flow's author did not choose.
const OTHER: &str = "other";

/// See the module. The default counts nothing and ends nothing.
#[derive(Default)]
pub(crate) struct RunWatch {
    counted: Option<ModelMetrics>,
    /// For the line in the access log.
    pub(crate) report: Arc<ModelReport>,
    /// Fires when somebody asks for the end of the chat.
    pub(crate) abort: CancellationToken,
    /// What the run may take.
    pub(crate) budget: Budget,
    /// What of a failure is told.
    pub(crate) redactor: Arc<Redactor>,
}

struct ModelMetrics {
    metrics: Arc<Metrics>,
    /// The chatflow's public name.
    chatflow: Arc<str>,
    /// The models that the flow's author chose, by name.
    models: Arc<[Box<str>]>,
}

impl fmt::Debug for RunWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl RunWatch {
    pub(crate) fn new(
        metrics: &Arc<Metrics>,
        chatflow: &Arc<str>,
        models: &Arc<[Box<str>]>,
        budget: Budget,
        abort: CancellationToken,
        report: Arc<ModelReport>,
        redactor: Arc<Redactor>,
    ) -> Self {
        let counted =
            ModelMetrics { metrics: Arc::clone(metrics), chatflow: Arc::clone(chatflow), models: Arc::clone(models) };
        Self { counted: Some(counted), report, abort, budget, redactor }
    }

    /// The run ends because of a bound.
    pub(crate) fn met(&self, limit: RunLimit) {
        if let Some(ModelMetrics { metrics, chatflow, .. }) = &self.counted {
            metrics.engine.limits.with_label_values(&[chatflow, limit.name()]).inc();
            tracing::warn!(request_id = self.request_id(), %chatflow, limit = limit.name(), "a flow met a limit");
        }
    }

    /// By which whoever reads the log finds what belongs to a request.
    fn request_id(&self) -> Option<&str> {
        self.report.request_id().and_then(|id| id.to_str().ok())
    }

    /// A call of a model begins.
    pub(crate) fn asking<'a>(&'a self, model: &'a str) -> Asking<'a> {
        let asking = Asking { watch: self, model, begun: Instant::now(), is_over: false };
        asking.count(|metrics, labels| {
            metrics.engine.requests.with_label_values(labels).inc();
            self.report.asked(labels[1]);
        });
        asking
    }
}

/// A call of a model under way; one that is dropped before its end was cancelled.
pub(crate) struct Asking<'a> {
    watch: &'a RunWatch,
    model: &'a str,
    begun: Instant,
    is_over: bool,
}

impl Asking<'_> {
    /// Counts and logs how it ended.
    pub(crate) fn ended(mut self, outcome: Result<Usage, &Failure>) {
        self.is_over = true;
        match outcome {
            Ok(usage) => self.answered(usage),
            Err(failure) => self.failed(failure.kind(), Some(failure)),
        }
    }

    /// The model's name, if the flow's author chose it.
    pub(crate) fn known_model(&self) -> &str {
        let models = self.watch.counted.iter().flat_map(|counted| counted.models.iter());
        models.into_iter().find(|known| ***known == *self.model).map_or(OTHER, |known| known)
    }

    fn count(&self, count: impl FnOnce(&Metrics, &[&str; 2])) {
        if let Some(ModelMetrics { metrics, chatflow, .. }) = &self.watch.counted {
            count(metrics, &[chatflow, self.known_model()]);
        }
    }

    fn answered(&self, usage: Usage) {
        self.watch.report.took(usage.input, usage.output);
        self.count(|metrics, [chatflow, model]| {
            for (direction, tokens) in [("in", usage.input), ("out", usage.output)] {
                metrics.engine.tokens.with_label_values(&[chatflow, model, direction]).inc_by(tokens);
            }
            let seconds = self.begun.elapsed().as_secs_f64();
            tracing::debug!(
                chatflow,
                model,
                seconds,
                tokens_in = usage.input,
                tokens_out = usage.output,
                "model answered"
            );
        });
    }

    fn failed(&self, kind: &str, failure: Option<&Failure>) {
        self.count(|metrics, [chatflow, model]| {
            metrics.engine.errors.with_label_values(&[chatflow, model, kind]).inc();
            let seconds = self.begun.elapsed().as_secs_f64();
            if let Some(error) = failure.map(|failure| failure.told(&self.watch.redactor)) {
                let request_id = self.watch.request_id();
                tracing::warn!(request_id, chatflow, model, seconds, kind, %error, "model call failed");
            } else {
                tracing::debug!(chatflow, model, seconds, kind, "model call ended early");
            }
        });
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.failed("cancelled", None);
        }
    }
}
