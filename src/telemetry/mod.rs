//! What the gateway says about itself: log lines on stdout and metrics for the admin listener.

pub(crate) mod access_log;
pub(crate) mod calls;
pub(crate) mod logging;
pub(crate) mod metrics;
mod process;
pub(crate) mod series;
pub(crate) mod traces;
pub(crate) mod warn_once;
