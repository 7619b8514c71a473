//! One HTTP/1.1 connection: hyper reads its requests and writes their answers, and is set aside while there is nothing
//! for it to do.
//!
//! hyper keeps its buffers, 8 KiB and more, for as long as it has a connection. Most connections of a gateway are between
//! two requests, or have an event stream that says a few words now and then. So hyper has a connection only from the
//! first byte of a request: one that stays idle, and one that has not said anything yet, is a socket that is waited for,
//! and an event stream is written by [`Outflow`].

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use super::admission::Admission;
use super::connection::Acceptor;
use super::drive::{ConnectionEnd, ConnectionFault, DriveContext, Driven, Driver};
use super::exchange::{Exchanges, LiftedAnswer};
use super::liveness::Liveness;
use super::noted::{ClientSocket, Noted};
use super::outflow::Outflow;
use super::signal::Listener;
use crate::stack::{Stack, text_of};
use crate::wire::client_body::UnreadRest;

/// hyper reads at least this much at a time.
const LEAST_BUFFER: usize = 8 * 1024;

/// An answer that is taken from hyper.
pub(super) type Lift = Rc<RefCell<Option<Box<LiftedAnswer>>>>;

/// See the module. One that waits is as small as can be.
pub(super) struct Http1<IO: ClientSocket, S: Stack> {
    state: State<IO, S>,
    acceptor: Rc<Acceptor<S>>,
    liveness: Rc<Liveness>,
    peer: SocketAddr,
    max_head: usize,
    is_tls: bool,
    /// No further request is taken.
    is_closing: bool,
}

enum State<IO: ClientSocket, S: Stack> {
    /// Nothing has come.
    Waiting(IO),
    /// hyper has it.
    Serving(Box<Serving<IO, S>>),
    Streaming(Box<Outflow<IO>>),
    /// Nothing follows.
    Closing(IO),
    Ended,
}

struct Serving<IO: ClientSocket, S: Stack> {
    connection: http1::Connection<TokioIo<Noted<IO>>, Exchanges<S>>,
    rest: UnreadRest,
    lift: Lift,
}

impl<IO: ClientSocket, S: Stack> Http1<IO, S> {
    pub(super) fn new(
        socket: IO,
        acceptor: Rc<Acceptor<S>>,
        liveness: Rc<Liveness>,
        peer: SocketAddr,
        is_tls: bool,
        max_head: usize,
    ) -> Self {
        let state = State::Waiting(socket);
        let mut connection = Self { state, acceptor, liveness, peer, max_head, is_tls, is_closing: false };
        if IO::MAY_HAVE_READ {
            connection.woken();
        }
        connection
    }

    pub(super) fn driver(&self) -> Driver {
        Driver::new(&self.liveness)
    }

    /// Keeps it going until it ends.
    pub(super) fn drive(
        &mut self,
        driver: Pin<&mut Driver>,
        listener: &mut Listener,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionEnd> {
        let (acceptor, liveness, peer) = (Rc::clone(&self.acceptor), Rc::clone(&self.liveness), self.peer);
        let (metrics, admission) = (&*acceptor.metrics, &acceptor.admission);
        driver.poll(self, listener, DriveContext { liveness: &liveness, peer: &peer, metrics, admission }, cx)
    }

    /// The socket, at the end, if the client may be sending still.
    pub(super) fn into_unread(self, end: ConnectionEnd) -> Option<(IO, Arc<Admission>)> {
        let is_left = matches!(&self.state, State::Serving(serving) if serving.rest.is_left());
        let is_wanted = end == ConnectionEnd::Malformed || (end == ConnectionEnd::Whole && is_left);
        let socket = match self.state {
            _ if !is_wanted => return None,
            State::Waiting(socket) | State::Closing(socket) => socket,
            State::Serving(serving) => serving.connection.into_parts().io.into_inner().stream,
            State::Streaming(..) | State::Ended => return None,
        };
        Some((socket, Arc::clone(&self.acceptor.admission)))
    }

    /// `early`: what has been read before.
    fn serve(&self, stream: IO, early: Bytes) -> State<IO, S> {
        let mut socket = Noted::new(stream, &self.liveness, Some((Rc::clone(&self.acceptor.heads), self.peer)));
        socket.put_back(early);
        let (rest, lift) = (UnreadRest::default(), Lift::default());
        let service = Exchanges {
            acceptor: Rc::clone(&self.acceptor),
            peer: self.peer,
            peer_text: text_of(self.peer.ip().to_canonical()),
            tls: self.is_tls,
            counts_pieces: false,
            liveness: Rc::clone(&self.liveness),
            rest: Some(rest.clone()),
            lift: Some(Rc::clone(&lift)),
        };
        let connection = http1::Builder::new()
            // `liveness` keeps time for the head and between requests.
            .header_read_timeout(None)
            .writev(false)
            // hyper answers 431 when a head does not fit, or has more than 100 fields. That it takes no more is its default;
            // to be told so makes it write a table of 6 KiB for each head.
            .max_buf_size(self.max_head.max(LEAST_BUFFER))
            .serve_connection(TokioIo::new(socket), service);
        State::Serving(Box::new(Serving { connection, rest, lift }))
    }

    /// Takes the connection from hyper, with what that has read beyond its last request.
    fn set_aside(&mut self) -> Option<(Noted<IO>, Bytes)> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Serving(serving) => {
                let http1::Parts { io, read_buf, .. } = serving.connection.into_parts();
                Some((io.into_inner(), read_buf))
            }
            _ => None,
        }
    }

    /// hyper has done what it can. `true`: the connection goes on without it.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let State::Serving(serving) = &self.state else { return false };
        let (lifted, has_rest) = (serving.lift.take(), !serving.rest.is_none());
        if let Some(answer) = lifted {
            if let Some((socket, early)) = self.set_aside() {
                self.state = State::Streaming(Box::new(Outflow::new(socket, &early, *answer)));
            }
            return true;
        }
        // What is left of a body would be taken for the next request.
        if self.is_closing || has_rest {
            return false;
        }
        self.acceptor.signal.watch(&self.liveness, cx);
        if !self.liveness.rests() {
            return false;
        }
        if let Some((socket, early)) = self.set_aside() {
            self.state = if early.is_empty() {
                State::Waiting(socket.stream)
            } else {
                // Half a head, which came with the request before.
                self.liveness.wakes();
                self.serve(socket.stream, copied(&early))
            };
        }
        true
    }

    /// An event stream has ended.
    fn streamed(&mut self) {
        if let State::Streaming(outflow) = std::mem::replace(&mut self.state, State::Ended) {
            let (socket, early, keeps_alive) = outflow.into_parts();
            self.state = if !keeps_alive || self.is_closing {
                State::Closing(socket.stream)
            } else if early.is_empty() {
                State::Waiting(socket.stream)
            } else {
                self.serve(socket.stream, early)
            };
        }
    }

    fn woken(&mut self) {
        if let State::Waiting(socket) = std::mem::replace(&mut self.state, State::Ended) {
            self.liveness.wakes();
            self.state = self.serve(socket, Bytes::new());
        }
    }
}

/// Without the buffer that it lies in.
pub(super) fn copied(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl<IO: ClientSocket, S: Stack> Driven for Http1<IO, S> {
    const WAITS_FOR_AN_ANSWER: bool = true;

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionFault>> {
        loop {
            match &mut self.state {
                State::Waiting(socket) => {
                    ready!(socket.poll_readable(cx));
                    self.woken();
                }
                State::Serving(serving) => {
                    if let Poll::Ready(ended) = Pin::new(&mut serving.connection).poll(cx) {
                        return Poll::Ready(ended.map_err(ConnectionFault::Protocol));
                    }
                    if !self.waits(cx) {
                        return Poll::Pending;
                    }
                }
                State::Streaming(outflow) => {
                    ready!(outflow.poll_end(cx))?;
                    self.streamed();
                }
                State::Closing(socket) => return Pin::new(socket).poll_shutdown(cx).map_err(ConnectionFault::Io),
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn say_farewell(&mut self) {
        self.is_closing = true;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Waiting(socket) => self.state = State::Closing(socket),
            State::Serving(mut serving) => {
                Pin::new(&mut serving.connection).graceful_shutdown();
                self.state = State::Serving(serving);
            }
            other => self.state = other,
        }
    }
}
