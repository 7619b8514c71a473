//! What answers which path.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;

use super::overview::Overview;
use super::respond::{AdminAnswer, no, not_allowed, respond, text};
use super::{access, api, page};
use crate::server::Phase;
use crate::state::valkey::StoreHealth;

/// Bytes of a body, and how long it may take.
const MOST_BODY: usize = 2 << 20;
const BODY_TIME: Duration = Duration::from_secs(10);
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn answer(request: Request<Incoming>, peer: IpAddr, overview: Arc<Overview>) -> AdminAnswer {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let snapshot = overview.snapshots.load_full();
    let admin = &snapshot.config.admin;
    let is_known = match path {
        "/metrics" | "/livez" | "/readyz" => true,
        path => admin.console && (path == "/" || api::is_known(path) || asks(path)),
    };
    if let Err(refused) = access::check(&head, peer, admin) {
        // What is not there is nobody's to see.
        return if is_known || admin.token.is_some() { *refused } else { not_found(path) };
    }
    if !is_known {
        return not_found(path);
    }
    if asks(path) {
        if head.method != Method::POST {
            return not_allowed(path, "POST");
        }
        return match whole(body).await {
            Some(body) => asked(&head, body, peer, &overview).await,
            None => no(path, StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 2 MiB, or did not come in time"),
        };
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return not_allowed(path, "GET, HEAD");
    }
    match path {
        "/" => page::answer(),
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

/// Whether something is asked there with a body.
fn asks(path: &str) -> bool {
    matches!(path, "/api/explain" | "/api/try") || api::attempt::chatflow_of(path).is_some()
}

async fn asked(head: &Parts, body: Bytes, peer: IpAddr, overview: &Overview) -> AdminAnswer {
    match head.uri.path() {
        "/api/explain" => api::explain::answer(body, overview).await,
        "/api/try" => api::attempt::token(&body, peer, overview),
        path => match api::attempt::chatflow_of(path) {
            Some(chatflow) => api::attempt::ask(chatflow, &head.headers, body, peer, overview).await,
            None => not_found(path),
        },
    }
}

/// A body, if it is not too long and comes in time.
async fn whole(body: Incoming) -> Option<Bytes> {
    let read = Limited::new(body, MOST_BODY).collect();
    tokio::time::timeout(BODY_TIME, read).await.ok()?.ok().map(Collected::to_bytes)
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
