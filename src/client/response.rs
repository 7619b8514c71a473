//! What comes back: a head, and a body with the connection that it comes over.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::error::Broken;
use super::http1::{Connection, Decoded, Decoder, ResponseHead};
use super::peer::InFlight;
use super::pool::Pool;

/// A response whose body is still to be read.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    /// Those that the client [keeps](super::Client::new).
    pub(crate) headers: HeaderMap,
    pub(crate) body: ResponseBody,
    /// From the request to the head.
    pub(crate) first_byte: Duration,
}

/// Reads a body to its end, then gives the connection back. Dropping it before closes the connection, which is how
/// a request is cancelled.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    decoder: Decoder,
    /// With the request that is under way on it.
    connection: Option<(Connection, InFlight)>,
    peer: u64,
    keeps_alive: bool,
    rest: Duration,
    pool: Rc<Pool>,
}

impl ResponseBody {
    pub(super) fn new(
        head: &mut ResponseHead,
        connection: Connection,
        peer: u64,
        in_flight: InFlight,
        pool: &Rc<Pool>,
    ) -> Self {
        let mut body = Self {
            decoder: head.take_body(),
            connection: Some((connection, in_flight)),
            peer,
            keeps_alive: head.keeps_alive,
            rest: head.rest,
            pool: Rc::clone(pool),
        };
        body.give_back_if_done();
        body
    }

    /// The next piece; one chunk's data is never joined with another's.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let Some((connection, _)) = &mut self.connection else { return Poll::Ready(None) };
            let outcome = match ready!(connection.poll_read(cx)) {
                Err(error) => Err(error.into()),
                Ok(piece) if piece.is_empty() => {
                    let end = self.decoder.closed();
                    self.connection = None;
                    return Poll::Ready(end.err().map(Err));
                }
                Ok(mut piece) => self.decoder.decode(&mut piece).inspect(|_| connection.put_back(piece)),
            };
            match outcome {
                Ok(Decoded::Data(data)) => {
                    self.give_back_if_done();
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::More | Decoded::End) => self.give_back_if_done(),
                Err(error) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn give_back_if_done(&mut self) {
        if self.decoder.is_done()
            && let Some((connection, _)) = self.connection.take()
            && self.keeps_alive
        {
            self.pool.give_back(self.peer, connection, self.rest);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
