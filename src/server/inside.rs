//! Requests that come from within the process: the console tries a chatflow by the same stack as everybody, whatever the
//! public listener speaks and wherever it is.

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, response};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};

use super::worker::Connections;
use crate::stack::{Arrival, ListenerKind, Stack, text_of};
use crate::wire::client_body::ClientBody;

/// Pieces of an answer that are on their way.
const AHEAD: usize = 4;

/// A request with its whole body, and where its answer goes.
pub(crate) struct InsideCall {
    pub(crate) request: Request<Bytes>,
    pub(crate) peer: SocketAddr,
    pub(crate) answer: oneshot::Sender<InsideAnswer>,
}

/// An answer that has begun. Whoever drops it has left, as a client does.
pub(crate) struct InsideAnswer {
    pub(crate) head: response::Parts,
    pub(crate) pieces: mpsc::Receiver<Bytes>,
}

/// Serves until nobody is left who could call.
pub(super) async fn serve<S: Stack>(stack: S, mut calls: mpsc::Receiver<InsideCall>, connections: Connections) {
    while let Some(call) = calls.recv().await {
        connections.spawn(answer(stack.clone(), call));
    }
}

async fn answer<S: Stack>(mut stack: S, call: InsideCall) {
    let InsideCall { request, peer, answer: mut asker } = call;
    let called = stack.call(Arrival {
        request: request.map(ClientBody::read),
        peer,
        peer_text: text_of(peer.ip().to_canonical()),
        tls: false,
        listener: ListenerKind::Public,
    });
    let response = tokio::select! {
        Ok(response) = called => response,
        () = asker.closed() => return,
    };
    let (head, body) = response.into_parts();
    let (piece, pieces) = mpsc::channel(AHEAD);
    if asker.send(InsideAnswer { head, pieces }).is_err() {
        return;
    }
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = piece.closed() => return,
        };
        let Some(Ok(frame)) = frame else { return };
        if let Ok(data) = frame.into_data()
            && piece.send(data).await.is_err()
        {
            return;
        }
    }
}
