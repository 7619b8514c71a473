//! The admin listener: `/metrics`, `/livez`, `/readyz`. Never on the public listener, and without keys: bind it to
//! loopback or to a network of your own.

use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};

use crate::server::{Admission, Phase};
use crate::state::valkey::StoreHealth;
use crate::telemetry::metrics::Metrics;

/// Connections at once: a few scrapers and probes.
const MOST_CONNECTIONS: usize = 64;

/// Serves until the runtime ends.
pub(crate) async fn serve(
    socket: TcpListener,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    phase: watch::Receiver<Phase>,
    store: Option<Arc<StoreHealth>>,
) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin listener");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut changes = phase.clone();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = handed_over(&mut changes) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (metrics, admission, phase) = (Arc::clone(&metrics), Arc::clone(&admission), phase.clone());
        let store = store.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request: Request<Incoming>| {
                let ready = readiness(&admission, &phase, store.as_deref());
                let response = answer(request.method(), request.uri().path(), &metrics, ready);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut connection = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(75))
                    .serve_connection(TokioIo::new(stream), service)
            );
            let mut changes = phase.clone();
            let served = tokio::select! {
                served = connection.as_mut() => served,
                // Its next request is for the other process.
                () = handed_over(&mut changes) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}

/// Another process has this listener, too.
async fn handed_over(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Leaving).await;
}

/// Ready means: takes new connections; else what hinders. Flowise's health is no part of it, or its restart would take
/// the gateway out of service too; the store's is told, and hinders as little.
fn readiness(
    admission: &Admission,
    phase: &watch::Receiver<Phase>,
    store: Option<&StoreHealth>,
) -> Result<String, &'static str> {
    if *phase.borrow() != Phase::Running {
        return Err("draining\n");
    }
    if admission.is_full() {
        return Err("full\n");
    }
    Ok(store.map(StoreHealth::line).unwrap_or_default())
}

fn answer(
    method: &Method,
    path: &str,
    metrics: &Metrics,
    ready: Result<String, &'static str>,
) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(path, "/metrics" | "/livez" | "/readyz") {
        return respond(StatusCode::NOT_FOUND, TEXT, "not found\n".into());
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match (path, ready) {
        ("/metrics", _) => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.render().into()),
        ("/readyz", Err(reason)) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, reason.into()),
        ("/readyz", Ok(more)) => respond(StatusCode::OK, TEXT, format!("ok\n{more}").into()),
        _ => respond(StatusCode::OK, TEXT, "ok\n".into()),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
