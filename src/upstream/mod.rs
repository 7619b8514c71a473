//! The backend that forwards to Flowise.
//!
//! [`target`]: an upstream as configured, with its servers; [`choice`]: which of them gets a request; [`checks`]: whether
//! they work, and where they are; [`forward`]: sending a request, with time-outs and the only retry that is safe; [`answer`]: what comes back; [`stream`]: an event stream on its way;
//! [`failures`]: what of both is told of tools and steps that failed; [`abort`]: telling Flowise that nobody listens any more.

pub(crate) mod abort;
pub(crate) mod answer;
pub(crate) mod checks;
pub(crate) mod choice;
mod failures;
pub(crate) mod forward;
pub(crate) mod outgoing;
mod passing;
pub(crate) mod stream;
pub(crate) mod target;
