//! flowgate: an authenticating reverse-proxy gateway in front of Flowise.
//!
//! The modules in the order in which a request meets them:
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`], [`app`] | commands; putting the parts together |
//! | `service` | what systemd is told and gives; the channel to the process that takes this one's place |
//! | `server` | workers, listeners, TLS, connections and their limits |
//! | `stack` | the request path: one list of layers, one file each |
//! | `predict` | the prediction call as types: request, events, report |
//! | `upstream` | the backend that forwards to Flowise |
//! | `widget` | the other calls of Flowise's widget, field by field |
//! | `engine` | the backend that runs exported flows, and answers `flowgate demo` |
//! | `adopt` | Flowise's flows, keys and chats as a folder that runs |
//! | `snapshot` | what one request runs on, swapped as a whole: a policy, bound to the state that it needs |
//! | `policy` | what is allowed, and what answers: made of the files, and of nothing else |
//! | `keys`, `tls` | who may ask, and certificates |
//! | `state` | what is counted, running or remembered, by id, over all snapshots |
//! | `reload`, `admin` | live changes; metrics and health |
//! | `redact` | what of a failure may be told |
//! | `wire` | bodies, refusals, header policy, addresses |
//! | `identity` | reads the keys of identity providers, beside the requests |
//! | `client` | HTTP/1.1 as a client: connections, pool, TLS, time limits |
//! | `jwt` | tokens that others have signed, and their keys |
//! | [`config`], `telemetry` | settings; logs and metrics |
//! | `exported` | what Flowise exports, as it lies in files |
//! | `frames` | messages between two processes |
//! | `counted` | how many there are, in words |
//! | `percent` | percent-encoding, taken off |
//! | `uuid` | ids as Flowise gives them out |
//!
//! Invariants: a request sees one snapshot; nothing on the way of a plain answer to a request with a secret
//! key takes a lock, and nothing copies configuration; a permit, a count or a time belongs to a request until its last byte; only `wire::refusal`
//! makes error responses.
#![forbid(unsafe_code)]
// They panic once nobody reads: `cli::print` is how commands speak.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod admin;
mod adopt;
pub mod app;
pub mod cli;
mod client;
pub mod config;
mod counted;
mod engine;
mod exported;
mod frames;
#[cfg(test)]
mod fuzzing;
mod identity;
mod jwt;
pub mod keys;
mod percent;
mod policy;
mod predict;
mod redact;
mod reload;
mod server;
mod service;
mod snapshot;
mod stack;
mod state;
#[doc(hidden)]
pub mod tables;
mod telemetry;
mod tls;
mod unprintable;
mod upstream;
mod uuid;
mod widget;
mod wire;
