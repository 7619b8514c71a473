//! What the console shows, as JSON: `GET /api/...`. Ids, names, counts, times and places; no secret, no digest, and
//! nothing of a request but what the access log says of it.

pub(super) mod attempt;
mod certificates;
mod chatflows;
mod configuration;
pub(super) mod explain;
mod keys;
mod problems;
mod refusals;
mod status;
mod telling;
mod upstreams;

use http::StatusCode;

use super::overview::Overview;
use super::respond::{AdminAnswer, json, no};

/// Whether there is an answer to that path.
pub(super) fn is_known(path: &str) -> bool {
    const KNOWN: [&str; 7] = ["status", "chatflows", "keys", "refusals", "upstreams", "config", "certificates"];
    path.strip_prefix("/api/").is_some_and(|name| KNOWN.contains(&name))
}

/// The answer. To be made where waiting hurts nobody.
pub(super) fn get(path: &str, query: &str, overview: &Overview) -> AdminAnswer {
    let snapshot = overview.snapshots.load_full();
    match path {
        "/api/status" => json(StatusCode::OK, &status::status(overview, &snapshot)),
        "/api/chatflows" => json(StatusCode::OK, &chatflows::list(overview, &snapshot)),
        "/api/keys" => json(StatusCode::OK, &keys::list(overview, &snapshot, query)),
        "/api/refusals" => json(StatusCode::OK, &refusals::list(overview, query)),
        "/api/upstreams" => json(StatusCode::OK, &upstreams::list(overview, &snapshot)),
        "/api/config" => json(StatusCode::OK, &configuration::told(overview, &snapshot)),
        "/api/certificates" => json(StatusCode::OK, &certificates::list(&snapshot)),
        _ => no(path, StatusCode::NOT_FOUND, "not found"),
    }
}
