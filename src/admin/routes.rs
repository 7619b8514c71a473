//! What answers which path.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::overview::Overview;
use super::respond::{AdminAnswer, no, not_allowed, respond, text};
use super::{access, api};
use crate::server::Phase;
use crate::state::valkey::StoreHealth;

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn answer(request: Request<Incoming>, peer: IpAddr, overview: Arc<Overview>) -> AdminAnswer {
    let (head, _body) = request.into_parts();
    let path = head.uri.path();
    let snapshot = overview.snapshots.load_full();
    let admin = &snapshot.config.admin;
    let is_known = match path {
        "/metrics" | "/livez" | "/readyz" => true,
        path => admin.console && api::is_known(path),
    };
    if let Err(refused) = access::check(&head, peer, admin) {
        // What is not there is nobody's to see.
        return if is_known || admin.token.is_some() { *refused } else { not_found(path) };
    }
    if !is_known {
        return not_found(path);
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return not_allowed(path, "GET, HEAD");
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match readiness(&overview) {
            Ok(more) => text(StatusCode::OK, format!("ok\n{more}")),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
        },
        "/metrics" => respond(StatusCode::OK, METRICS, overview.metrics.render()),
        path => {
            let (path, query) = (path.to_owned(), head.uri.query().unwrap_or_default().to_owned());
            // There may be very many keys: nothing else waits for a list of them.
            let made = tokio::task::spawn_blocking(move || api::get(&path, &query, &overview));
            made.await.unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be made\n"))
        }
    }
}

fn not_found(path: &str) -> AdminAnswer {
    no(path, StatusCode::NOT_FOUND, "not found")
}

/// Ready means: takes new connections; else what hinders. Flowise's health is no part of it, or its restart would take
/// the gateway out of service too; the store's is told, and hinders as little.
fn readiness(overview: &Overview) -> Result<String, &'static str> {
    if *overview.phase.borrow() != Phase::Running {
        return Err("draining\n");
    }
    if overview.admission.is_full() {
        return Err("full\n");
    }
    Ok(overview.store().map(StoreHealth::line).unwrap_or_default())
}
