//! The body of an upstream's answer, and the connection that it comes over.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1::{Connection, Decoded, Decoder, Http1Error, ResponseHead};
use super::pool::Pool;

/// Reads a body to its end, then gives the connection back. Dropping it before closes the connection, which is how
/// an upstream call is cancelled.
#[derive(Debug)]
pub(crate) struct Reading {
    decoder: Decoder,
    connection: Option<Connection>,
    endpoint: u64,
    keeps_alive: bool,
    rest: std::time::Duration,
    pool: Rc<Pool>,
}

impl Reading {
    pub(crate) fn new(head: &mut ResponseHead, connection: Connection, endpoint: u64, pool: &Rc<Pool>) -> Self {
        let mut reading = Self {
            decoder: head.take_body(),
            connection: Some(connection),
            endpoint,
            keeps_alive: head.keeps_alive,
            rest: head.rest,
            pool: Rc::clone(pool),
        };
        reading.give_back_if_done();
        reading
    }

    /// The next piece; one chunk's data is never joined with another's.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Http1Error>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
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
            && let Some(connection) = self.connection.take()
            && self.keeps_alive
        {
            self.pool.give_back(self.endpoint, connection, self.rest);
        }
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = Http1Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
