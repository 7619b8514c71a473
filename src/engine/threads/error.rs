//! Why a prediction gets no answer from the engine.

use crate::redact::Sentence;

/// See the module. What it means to whoever asked, they decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EngineError {
    /// No thread can take it now.
    Busy,
    /// It says nothing but in speech, which the engine does not understand.
    Spoken,
    /// It overrides an input with what the node cannot take: the field, and what it must be.
    Override(String),
    /// A file of the caller's that cannot be read: why, for people.
    File(String),
    /// The flow failed.
    Failed(Sentence),
    /// Its answer cannot be written.
    Unreadable,
    /// The run ended without a word, which only a fault of the engine's own explains.
    Lost,
}
