//! The console on the admin listener: what it tells, to whom, and what it never tells.

mod access;
mod attempt;
mod commands;
mod explain;
mod overview;
mod refusals;

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::client::{self, Response};
use crate::harness::gateway::Gateway;

/// Every path that is read.
pub(crate) const READ: [&str; 7] = [
    "/api/status",
    "/api/chatflows",
    "/api/keys",
    "/api/refusals",
    "/api/upstreams",
    "/api/config",
    "/api/certificates",
];

const HERE: (&str, &str) = ("host", "localhost");

fn get(admin: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    let named = headers.iter().any(|(name, _)| *name == "host");
    let headers: Vec<_> = headers.iter().copied().chain((!named).then_some(HERE)).collect();
    client::get(admin, path, &headers)
}

/// What is read at that path.
#[track_caller]
fn read(gateway: &Gateway, path: &str) -> Value {
    let response = get(gateway.admin, path, &[]);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}
