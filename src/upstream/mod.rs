//! The backend that forwards to Flowise.
//!
//! [`target`]: an upstream as configured, its endpoints and their health; [`pool`]: one worker's idle connections;
//! [`connect`]: a new one; [`forward`]: sending a request, with time-outs and the only retry that is safe; [`http1`]: the protocol;
//! [`deadline`]: their limits; [`public`] and [`special`]: addresses that strangers may choose; [`answer`]: what comes back; [`stream`]: an event stream on its way; [`abort`]: telling Flowise that nobody
//! listens any more.

pub(crate) mod abort;
pub(crate) mod answer;
pub(crate) mod connect;
pub(crate) mod deadline;
pub(crate) mod forward;
pub(crate) mod http1;
pub(crate) mod outgoing;
pub(crate) mod pool;
pub(crate) mod public;
pub(crate) mod reading;
pub(crate) mod running;
mod special;
pub(crate) mod stream;
pub(crate) mod target;
