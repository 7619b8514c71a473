//! The admin listener: `/metrics`, `/livez`, `/readyz`, and the console with what it stands on (`/api`). Never on the
//! public listener: bind it to loopback or to a network of your own.
//!
//! | file | what it is |
//! |---|---|
//! | [`routes`] | what answers which path |
//! | [`access`] | who may look: the token, this machine alone without one, and no page of somebody else |
//! | [`overview`] | all that can be seen |
//! | [`page`] | the console itself |
//! | [`api`] | what the console shows, as JSON |
//! | [`respond`] | answers, with the header fields of all of them |

mod access;
mod api;
mod overview;
mod page;
mod respond;
mod routes;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub(crate) use overview::Overview;

use crate::server::Phase;

/// Connections at once: a few scrapers, probes and people.
const MOST_CONNECTIONS: usize = 64;

/// Serves until the runtime ends.
pub(crate) async fn serve(socket: TcpListener, overview: Arc<Overview>) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin listener");
            return;
        }
    };
    let mut open = OpenConnections::default();
    let mut changes = overview.phase.clone();
    loop {
        let accepted = tokio::select! {
            () = handed_over(&mut changes) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let overview = Arc::clone(&overview);
        let answers = Arc::new(AtomicBool::new(false));
        let is_answering = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            let peer = peer.ip().to_canonical();
            let service = service_fn(|request: Request<Incoming>| {
                let answer = routes::answer(request, peer, Arc::clone(&overview));
                let is_answering = &is_answering;
                async move {
                    is_answering.store(true, Ordering::Relaxed);
                    let answer = answer.await;
                    is_answering.store(false, Ordering::Relaxed);
                    Ok::<_, Infallible>(answer)
                }
            });
            let mut connection = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(75))
                    .serve_connection(TokioIo::new(stream), service)
            );
            let mut changes = overview.phase.clone();
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
        open.add(OpenConnection { answers, task: task.abort_handle() });
    }
}

/// The oldest first. Where all places are taken, a probe still gets one: who lets the gateway wait gives way to who asks.
#[derive(Default)]
struct OpenConnections(VecDeque<OpenConnection>);

struct OpenConnection {
    /// A request is being answered.
    answers: Arc<AtomicBool>,
    task: AbortHandle,
}

impl OpenConnections {
    fn add(&mut self, connection: OpenConnection) {
        self.0.retain(|open| !open.task.is_finished());
        if self.0.len() >= MOST_CONNECTIONS {
            let waits = self.0.iter().position(|open| !open.answers.load(Ordering::Relaxed));
            if let Some(open) = self.0.remove(waits.unwrap_or(0)) {
                open.task.abort();
            }
        }
        self.0.push_back(connection);
    }
}

/// Another process has this listener, too.
async fn handed_over(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Leaving).await;
}
