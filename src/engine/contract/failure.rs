//! Why a prediction has no answer.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

use crate::redact::{Redactor, Sentence};

/// See the module. Its words may be anybody's: only [cleaned](Self::told) they go anywhere, so there is no other way to
/// read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The flow cannot go on with what it was given.
    Flow(String),
    /// The request overrides an input with what the node cannot take.
    Override(String),
    /// A provider said no: its status and its own words.
    Provider {
        status: u16,
        message: String,
    },
    /// The same of one whose words Flowise tells without a status.
    Refused(String),
    /// A provider cannot be reached, or broke off.
    Unreachable(String),
    Timeout,
    /// A failure with the place where it happened.
    Within {
        place: &'static str,
        cause: Box<Failure>,
    },
    /// Somebody asked for the end of the chat.
    Aborted,
    /// The run has taken what a run may take.
    Limit(RunLimit),
}

impl Failure {
    pub(crate) fn flow(message: impl Into<String>) -> Self {
        Self::Flow(message.into())
    }

    /// Says where it happened.
    pub(crate) fn within(self, place: &'static str) -> Self {
        Self::Within { place, cause: Box::new(self) }
    }

    /// The word in metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flow(_) | Self::Override(_) => "flow",
            Self::Provider { .. } | Self::Refused(_) => "provider",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Within { cause, .. } => cause.kind(),
            Self::Aborted => "aborted",
            Self::Limit(_) => "limit",
        }
    }

    /// Whether nothing is to be made of it: neither the next item of an iteration nor something that a model is told.
    pub(crate) fn ends_run(&self) -> bool {
        match self {
            Self::Aborted | Self::Limit(_) => true,
            Self::Within { cause, .. } => cause.ends_run(),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Flow(words) | Self::Refused(words) | Self::Unreachable(words) => words.clone(),
            Self::Override(field) => format!("The field {field}."),
            Self::Provider { status, message } => format!("{status} {message}"),
            Self::Timeout => "the model did not answer in time".to_owned(),
            // Some places have a mark of their own behind them.
            Self::Within { place, cause } if place.ends_with('-') => format!("{place} {}", cause.words()),
            Self::Within { place, cause } => format!("{place}: {}", cause.words()),
            Self::Aborted => "This operation was aborted".to_owned(),
            Self::Limit(limit) => limit.to_string(),
        }
    }

    /// As clients, models and logs are told.
    pub(crate) fn told(&self, redactor: &Redactor) -> Sentence {
        redactor.sentence(&self.words())
    }

    /// As Flowise words it for clients, who may look for it.
    pub(crate) fn sentence(&self, redactor: &Redactor) -> Sentence {
        redactor.sentence(&format!("Error: predictionsServices.buildChatflow - {}", self.words()))
    }

    /// Without the secrets that were sent to a provider, who may repeat what he refuses.
    pub(crate) fn without(self, secrets: &[HeaderValue]) -> Self {
        let strike = |words: String| {
            let secrets = secrets.iter().filter_map(|secret| secret.to_str().ok());
            let secrets = secrets.map(|secret| secret.strip_prefix("Bearer ").unwrap_or(secret));
            secrets.filter(|secret| !secret.is_empty()).fold(words, |words, secret| words.replace(secret, "[key]"))
        };
        match self {
            Self::Provider { status, message } => Self::Provider { status, message: strike(message) },
            Self::Refused(words) => Self::Refused(strike(words)),
            other => other,
        }
    }
}

/// A bound of a run, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunLimit {
    Time(Duration),
    Steps(u64),
    ModelCalls(u64),
    ToolCalls(u64),
    /// In bytes.
    Text(u64),
    /// Of conditions; nobody configures it.
    PatternWork,
}

impl RunLimit {
    /// Its word in metrics, which is its field in `engine.limits` if it has one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time(_) => "time",
            Self::Steps(_) => "steps",
            Self::ModelCalls(_) => "model_calls",
            Self::ToolCalls(_) => "tool_calls",
            Self::Text(_) => "text",
            Self::PatternWork => "pattern_work",
        }
    }
}

impl fmt::Display for RunLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::PatternWork {
            return f.write_str("The flow's conditions take more steps of patterns than one run may take.");
        }
        f.write_str("The flow met its limit of ")?;
        match *self {
            Self::Time(time) => match time.as_millis() {
                millis if millis % 60_000 == 0 => write!(f, "{}m", millis / 60_000)?,
                millis if millis % 1000 == 0 => write!(f, "{}s", millis / 1000)?,
                millis => write!(f, "{millis}ms")?,
            },
            Self::Steps(most) => write!(f, "{most} steps")?,
            Self::ModelCalls(most) => write!(f, "{most} model calls")?,
            Self::ToolCalls(most) => write!(f, "{most} tool calls")?,
            Self::Text(most) if most % (1 << 20) == 0 => write!(f, "{} MiB of text", most >> 20)?,
            Self::Text(most) => write!(f, "{most} bytes of text")?,
            Self::PatternWork => {}
        }
        write!(f, " (engine.limits.{}).", self.name())
    }
}

/// Tests read the words as they came.
#[cfg(test)]
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}
