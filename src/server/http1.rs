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
use tokio::io::AsyncWrite as _;

use super::admission::Admission;
use super::connection::Acceptor;
use super::drive::{ConnectionEnd, ConnectionFault, Driven, drive};
use super::exchange::{Exchanges, LiftedAnswer};
use super::liveness::Liveness;
use super::noted::{ClientSocket, Noted};
use super::outflow::Outflow;
use super::signal::Listener;
use crate::stack::Stack;
use crate::wire::client_body::UnreadRest;

/// hyper reads at least this much at a time.
const LEAST_BUFFER: usize = 8 * 1024;

/// An answer that is taken from hyper.
pub(super) type Lift = Rc<RefCell<Option<Box<LiftedAnswer>>>>;

/// See the module.
pub(super) struct Http1<IO: ClientSocket, S: Stack> {
    state: State<IO, S>,
    acceptor: Rc<Acceptor<S>>,
    liveness: Rc<Liveness>,
    rest: UnreadRest,
    lift: Lift,
    max_head: usize,
    /// No further request is taken.
    is_closing: bool,
}

type Served<IO, S> = http1::Connection<TokioIo<Noted<IO>>, Exchanges<S>>;

enum State<IO: ClientSocket, S: Stack> {
    /// Nothing has come.
    Waiting(Noted<IO>, Box<Exchanges<S>>),
    /// hyper has it.
    Serving(Box<Served<IO, S>>),
    Streaming(Box<Outflow<IO>>, Box<Exchanges<S>>),
    /// Nothing follows.
    Closing(Noted<IO>),
    Ended,
}

impl<IO: ClientSocket, S: Stack> Http1<IO, S> {
    /// `rest` and `lift` are those of the service.
    pub(super) fn new(socket: IO, service: Exchanges<S>, rest: UnreadRest, lift: Lift, max_head: usize) -> Self {
        let (acceptor, liveness) = (Rc::clone(&service.acceptor), Rc::clone(&service.liveness));
        let socket = Noted::new(socket, &liveness, Some((Rc::clone(&acceptor.heads), service.peer)));
        let state = State::Waiting(socket, Box::new(service));
        let mut connection = Self { state, acceptor, liveness, rest, lift, max_head, is_closing: false };
        if IO::MAY_HAVE_READ {
            connection.woken();
        }
        connection
    }

    /// Keeps it going until it ends.
    pub(super) async fn drive(&mut self, listener: &mut Listener, peer: &SocketAddr) -> ConnectionEnd {
        let (acceptor, liveness) = (Rc::clone(&self.acceptor), Rc::clone(&self.liveness));
        drive(self, &liveness, listener, peer, (&acceptor.metrics, &acceptor.admission)).await
    }

    /// The socket, at the end.
    pub(super) fn into_socket(self) -> Option<(IO, Arc<Admission>)> {
        let socket = match self.state {
            State::Waiting(socket, _) | State::Closing(socket) => socket,
            State::Serving(connection) => connection.into_parts().io.into_inner(),
            State::Streaming(..) | State::Ended => return None,
        };
        Some((socket.stream, Arc::clone(&self.acceptor.admission)))
    }

    fn serve(&self, socket: Noted<IO>, service: Exchanges<S>) -> State<IO, S> {
        let connection = http1::Builder::new()
            // `liveness` keeps time for the head and between requests.
            .header_read_timeout(None)
            .writev(false)
            // hyper answers 431 when a head does not fit, or has more than 100 fields. That it takes no more is its default;
            // to be told so makes it write a table of 6 KiB for each head.
            .max_buf_size(self.max_head.max(LEAST_BUFFER))
            .serve_connection(TokioIo::new(socket), service);
        State::Serving(Box::new(connection))
    }

    /// Takes the connection from hyper, with what that has read beyond its last request.
    fn set_aside(&mut self) -> Option<(Noted<IO>, Bytes, Box<Exchanges<S>>)> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Serving(connection) => {
                let http1::Parts { io, read_buf, service, .. } = connection.into_parts();
                Some((io.into_inner(), read_buf, Box::new(service)))
            }
            _ => None,
        }
    }

    /// hyper has done what it can. `true`: the connection goes on without it.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let lifted = self.lift.take();
        if let Some(answer) = lifted {
            if let Some((socket, early, service)) = self.set_aside() {
                self.state = State::Streaming(Box::new(Outflow::new(socket, &early, *answer)), service);
            }
            return true;
        }
        // What is left of a body would be taken for the next request.
        if self.is_closing || !self.rest.is_none() {
            return false;
        }
        self.acceptor.signal.watch(&self.liveness, cx);
        if !self.liveness.rests() {
            return false;
        }
        if let Some((mut socket, early, service)) = self.set_aside() {
            self.state = if early.is_empty() {
                State::Waiting(socket, service)
            } else {
                // Half a head, which came with the request before.
                socket.put_back(copied(&early));
                self.liveness.wakes();
                self.serve(socket, *service)
            };
        }
        true
    }

    /// An event stream has ended.
    fn streamed(&mut self) {
        if let State::Streaming(outflow, service) = std::mem::replace(&mut self.state, State::Ended) {
            let (mut socket, early, keeps_alive) = outflow.into_parts();
            self.state = if !keeps_alive || self.is_closing {
                State::Closing(socket)
            } else if early.is_empty() {
                State::Waiting(socket, service)
            } else {
                socket.put_back(early);
                self.serve(socket, *service)
            };
        }
    }

    fn woken(&mut self) {
        if let State::Waiting(socket, service) = std::mem::replace(&mut self.state, State::Ended) {
            self.liveness.wakes();
            self.state = self.serve(socket, *service);
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
                State::Waiting(socket, _) => {
                    ready!(socket.stream.poll_readable(cx));
                    self.woken();
                }
                State::Serving(connection) => {
                    if let Poll::Ready(ended) = Pin::new(&mut **connection).poll(cx) {
                        return Poll::Ready(ended.map_err(ConnectionFault::Protocol));
                    }
                    if !self.waits(cx) {
                        return Poll::Pending;
                    }
                }
                State::Streaming(outflow, _) => {
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
            State::Waiting(socket, _) => self.state = State::Closing(socket),
            State::Serving(mut connection) => {
                Pin::new(&mut *connection).graceful_shutdown();
                self.state = State::Serving(connection);
            }
            other => self.state = other,
        }
    }
}
