//! Sockets: the listeners of each worker, TLS, connections and their limits.

mod admission;
mod connection;
mod drive;
mod exchange;
mod http1;
mod inside;
mod linger;
mod listener;
mod liveness;
mod malformed;
mod noted;
mod outflow;
mod proxied;
mod signal;
mod trailers;
mod unserved;
mod watchdog;
mod worker;

pub(crate) use admission::Admission;
pub(crate) use inside::InsideCall;
pub(crate) use listener::{Bound, bind};
pub(crate) use signal::Phase;
pub(crate) use watchdog::{ThreadHeartbeat, Watchdog};
pub(crate) use worker::Worker;
