//! Calls of models and tools in a trace, by OpenTelemetry's conventions for generative AI: who was asked, how much it
//! took, and whether it went well. Nothing that anybody said is in them.

use super::failure::Failure;
use super::model::ModelAnswer;
use crate::telemetry::traces::{OpenSpan, SpanKind, TraceScope};

/// A call of a model; empty where no trace is sampled.
pub(super) struct ModelSpan(Option<OpenSpan>);

impl ModelSpan {
    pub(super) fn open(below: Option<&TraceScope>, model: &str, provider: &'static str) -> Self {
        let span = below.and_then(|scope| scope.open(SpanKind::Client));
        Self(span.map(|mut span| {
            span.name(format!("chat {model}"));
            span.set("gen_ai.operation.name", "chat");
            span.set("gen_ai.provider.name", provider);
            span.set("gen_ai.request.model", model.to_owned());
            span
        }))
    }

    /// What the call is part of.
    pub(super) fn scope<'a>(&'a self, below: Option<&'a TraceScope>) -> Option<&'a TraceScope> {
        self.0.as_ref().map(OpenSpan::scope).or(below)
    }

    pub(super) fn end(self, outcome: &Result<ModelAnswer, Failure>) {
        let Some(mut span) = self.0 else { return };
        match outcome {
            Ok(answer) => {
                span.set("gen_ai.usage.input_tokens", answer.usage.input);
                span.set("gen_ai.usage.output_tokens", answer.usage.output);
            }
            Err(failure) => span.failed(failure.kind()),
        }
        span.end();
    }
}

/// The same of a tool.
pub(super) struct ToolSpan(Option<OpenSpan>);

impl ToolSpan {
    pub(super) fn open(below: Option<&TraceScope>, tool: &str) -> Self {
        let span = below.and_then(|scope| scope.open(SpanKind::Internal));
        Self(span.map(|mut span| {
            span.name(format!("execute_tool {tool}"));
            span.set("gen_ai.operation.name", "execute_tool");
            span.set("gen_ai.tool.name", tool.to_owned());
            span
        }))
    }

    /// What the call is part of.
    pub(super) fn scope<'a>(&'a self, below: Option<&'a TraceScope>) -> Option<&'a TraceScope> {
        self.0.as_ref().map(OpenSpan::scope).or(below)
    }

    pub(super) fn end<T>(self, outcome: &Result<T, Failure>) {
        let Some(mut span) = self.0 else { return };
        if let Err(failure) = outcome {
            span.failed(failure.kind());
        }
        span.end();
    }
}
