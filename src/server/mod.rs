//! Sockets: the listeners of each worker, TLS, connections and their limits.

mod connection;
mod exchange;
mod listener;
mod liveness;
mod malformed;
mod signal;
mod worker;

pub(crate) use listener::{Bound, bind};
pub(crate) use signal::Phase;
pub(crate) use worker::Worker;
