//! Sends one request to one peer of an origin.
//!
//! Two waits have their limits here, for a connection and for the head of the response; silence in a body is for those
//! who read it. A request is sent again only if nothing of it was sent: the pooled connection turned out closed before
//! the first byte.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::HeaderName;

use super::connect::connect;
use super::deadline::Deadlines;
use super::error::{Broken, Error, Wait};
use super::http1::Connection;
use super::origin::Origin;
use super::peer::Peer;
use super::pool::{Pool, Taken};
use super::request::Request;
use super::response::{Response, ResponseBody};

/// One thread's means of reaching origins. Clones share connections.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Rc<Pool>,
    deadlines: Rc<Deadlines>,
    keeps: fn(&HeaderName) -> bool,
}

impl Client {
    /// `keeps`: which fields of responses are kept; the rest is dropped unread. What is about the connection never is
    /// kept. Nothing is on time unless [`run`](Self::run) runs.
    pub(crate) fn new(keeps: fn(&HeaderName) -> bool) -> Self {
        Self { pool: Rc::default(), deadlines: Rc::default(), keeps }
    }

    /// Looks at limits and idle connections, for as long as the thread serves.
    pub(crate) async fn run(self) {
        tokio::join!(self.deadlines.keep(), self.pool.keep());
    }

    /// The head of the response, or why there is none. `connected` is called when a new connection was made.
    pub(crate) async fn send(
        &self,
        origin: &Origin,
        peer: &Peer,
        request: &mut Request,
        connected: &dyn Fn(),
    ) -> Result<Response, Error> {
        let limit = origin.timeouts.response;
        let since = request.since;
        // When the last piece of the request's body went by.
        let progress = Cell::new(since);
        let mut deadline = self.deadlines.at(since + limit);
        let mut attempt = pin!(self.attempt(origin, peer, request, &progress, connected));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if !deadline.is_reached(cx) {
                    return Poll::Pending;
                }
                // While the body is on its way, a response cannot be expected.
                let later = progress.get() + limit;
                if later <= Instant::now() {
                    return Poll::Ready(Err(Error::Timeout(Wait::Response)));
                }
                deadline.reset(later);
            }
        })
        .await
    }

    async fn attempt(
        &self,
        origin: &Origin,
        peer: &Peer,
        request: &mut Request,
        progress: &Cell<Instant>,
        connected: &dyn Fn(),
    ) -> Result<Response, Error> {
        let in_flight = peer.begin();
        loop {
            let (mut connection, is_pooled) = self.connection(origin, peer, request.since, connected).await?;
            match connection.exchange(request, &origin.authority, progress, self.keeps).await {
                Ok(mut head) => {
                    let first_byte = request.since.elapsed();
                    let body = ResponseBody::new(&mut head, connection, peer.id(), in_flight, &self.pool);
                    return Ok(Response { status: head.status, headers: head.headers, body, first_byte });
                }
                Err(error) => {
                    if is_pooled && matches!(error, Error::Broken { cause: Broken::Closed | Broken::Io(_), .. }) {
                        self.pool.ended_early(peer.id());
                    }
                    // A fresh connection that takes nothing is no better than the next.
                    if error.was_sent() || !is_pooled {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// A connection, and whether it was used before.
    async fn connection(
        &self,
        origin: &Origin,
        peer: &Peer,
        now: Instant,
        connected: &dyn Fn(),
    ) -> Result<(Connection, bool), Error> {
        let mut taken = self.pool.take(peer.id(), now);
        if let Taken::NotYet(wait) = taken {
            // Boxed: it happens once.
            Box::pin(tokio::time::sleep(wait)).await;
            taken = self.pool.take(peer.id(), Instant::now());
        }
        if let Taken::Connection(connection) = taken {
            return Ok((connection, true));
        }
        // Boxed: it is rare, and large with its TLS handshake, and would be moved with every request.
        let connection = Box::pin(connect(origin, peer)).await?;
        connected();
        Ok((connection, false))
    }
}
