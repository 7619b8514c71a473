//! The end of an HTTP/1.1 connection whose client is still sending.
//!
//! A request that is answered before its body has come ends its connection. A socket that is closed with something unread
//! resets the connection, and a reset takes from the client the answer that it has not read yet (RFC 9112, section 9.6):
//! it sees a broken pipe instead of the reason, and a proxy in between answers 502. So what still comes is read and
//! thrown away, until the client has seen the end of the answer and closes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::admission::Admission;
use super::signal::{Listener, Phase};

/// For all that still comes.
const LONGEST: Duration = Duration::from_secs(30);
/// For the next of it.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes in all.
const MOST: usize = 64 * 1024 * 1024;
/// Bytes read at once.
const PIECE: usize = 8 * 1024;

/// See the module. The answer has been sent, and that nothing follows it.
pub(super) struct Lingering<S> {
    pub(super) stream: S,
    pub(super) listener: Listener,
    pub(super) admission: Arc<Admission>,
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    pub(super) async fn linger(mut self) {
        let end = Instant::now() + LONGEST;
        let mut piece = vec![0; PIECE];
        let mut left = MOST;
        while left > 0 {
            let patience = end.min(Instant::now() + SILENCE);
            match timeout_at(patience, self.read(&mut piece)).await {
                Ok(read @ 1..) => left = left.saturating_sub(read),
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// How much has come; 0: no more is waited for.
    async fn read(&mut self, piece: &mut [u8]) -> usize {
        let Self { stream, listener, admission } = self;
        poll_fn(|cx| {
            let mut buffer = ReadBuf::new(piece);
            if let Poll::Ready(result) = Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                return Poll::Ready(result.map_or(0, |()| buffer.filled().len()));
            }
            // Others want the place, or the gateway ends.
            if listener.phase(cx) > Phase::Running || admission.claim().is_some() {
                return Poll::Ready(0);
            }
            Poll::Pending
        })
        .await
    }
}
