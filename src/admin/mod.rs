//! The admin listener: `/metrics`, `/livez`, `/readyz`. Never on the public listener, and without keys: bind it to
//! loopback or to a network of your own.

use std::convert::Infallible;
use std::net::TcpListener;
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

use crate::server::Phase;
use crate::telemetry::metrics::Metrics;

/// Connections at once: a few scrapers and probes.
const MOST_CONNECTIONS: usize = 64;

/// Serves until the runtime ends.
pub(crate) async fn serve(socket: TcpListener, metrics: Arc<Metrics>, phase: watch::Receiver<Phase>) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin listener");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (metrics, phase) = (Arc::clone(&metrics), phase.clone());
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request: Request<Incoming>| {
                let response = answer(request.method(), request.uri().path(), &metrics, &phase);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(75))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}

fn answer(method: &Method, path: &str, metrics: &Metrics, phase: &watch::Receiver<Phase>) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(path, "/metrics" | "/livez" | "/readyz") {
        return respond(StatusCode::NOT_FOUND, TEXT, "not found\n".into());
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.render().into()),
        // Ready means: takes new connections. Flowise's health is no part of it, or its restart would take the
        // gateway out of service too.
        "/readyz" if *phase.borrow() != Phase::Running => {
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into())
        }
        _ => respond(StatusCode::OK, TEXT, "ok\n".into()),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
