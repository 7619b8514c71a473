//! Why a prediction has no answer.

use http::StatusCode;

use super::budget::RunLimit;
use crate::wire::refusal::Refusal;

/// See the module. Messages are for whoever built the flow and for clients; they hold no key and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The flow cannot go on with what it was given.
    #[error("{0}")]
    Flow(String),
    /// The request overrides an input with what the node cannot take.
    #[error("The field {0}.")]
    Override(String),
    /// A provider said no: its status and its own words.
    #[error("{status} {message}")]
    Provider { status: u16, message: String },
    /// The same of one whose words Flowise tells without a status.
    #[error("{0}")]
    Refused(String),
    /// A provider cannot be reached, or broke off.
    #[error("{0}")]
    Unreachable(String),
    #[error("the model did not answer in time")]
    Timeout,
    /// A failure with the place where it happened.
    #[error("{place}: {cause}")]
    Within { place: &'static str, cause: Box<Failure> },
    /// Somebody asked for the end of the chat.
    #[error("This operation was aborted")]
    Aborted,
    /// The run has taken what a run may take.
    #[error("{0}")]
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

    /// As Flowise answers: every error of a flow is its 500. What is the caller's own is 400.
    pub(crate) fn refusal(&self) -> Refusal {
        if let Self::Override(_) = self {
            return Refusal::Invalid("override_type", self.to_string().into());
        }
        Refusal::Flow { status: StatusCode::INTERNAL_SERVER_ERROR, message: self.sentence(), retry_after: None }
    }

    /// As Flowise words it, whose clients may look for it.
    pub(crate) fn sentence(&self) -> String {
        format!("Error: predictionsServices.buildChatflow - {self}")
    }
}
