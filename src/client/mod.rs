//! HTTP/1.1 as a client.
//!
//! [`pool`]: one worker's idle connections; [`connect`]: a new one; [`http1`]: the protocol; [`deadline`]: limits of
//! time; [`reading`]: the body of an answer; [`reach`] and [`special`]: addresses that strangers may choose.

pub(crate) mod connect;
pub(crate) mod deadline;
pub(crate) mod http1;
pub(crate) mod pool;
pub(crate) mod reach;
pub(crate) mod reading;
mod special;
