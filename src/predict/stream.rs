//! An event stream on its way to a client, whoever tells it: shown as the client may see it, with comments in its
//! silences, and with last words where it cannot go on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::answer::StreamView;
use super::events::KEEP_ALIVE;
use super::report::Ending;
use crate::wire::body::BodyError;
use crate::wire::offload;

/// Silence after which a comment is sent, to keep middleboxes awake.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What is said where the gateway ends.
pub(crate) const SHUTTING_DOWN: &str = "The gateway is shutting down.";

/// Who tells. It notes in its report how far it has come, and how it ended.
pub(crate) trait EventSource: Unpin + 'static {
    /// What has come, as it may go on now; nothing, where that is held back. `None`: that was all.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Nothing follows what has come.
    fn is_over(&self) -> bool;

    /// Whether a comment may stand here.
    fn is_between_records(&self) -> bool {
        true
    }

    /// Ends it before its time; what there is to say of that.
    fn break_off(&mut self, ending: Ending, message: &str) -> Bytes;
}

/// See the module.
pub(crate) struct EventBody<S> {
    source: S,
    view: Option<StreamView>,
    /// The view, while it looks at a long record elsewhere.
    away: Option<Away>,
    heard: Instant,
    sent: Instant,
    timer: Pin<Box<Sleep>>,
    bounds: Bounds,
}

/// Gives the view back, and what it shows.
type Away = Pin<Box<dyn Future<Output = (StreamView, Bytes)>>>;

/// What ends a stream that does not end by itself.
pub(crate) struct Bounds {
    /// Longest silence; `None`: the source minds its own.
    pub(crate) idle: Option<Duration>,
    /// Fires when running streams must end; `None`: the source hears of it.
    pub(crate) cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<S: EventSource> EventBody<S> {
    pub(crate) fn new(source: S, view: Option<StreamView>, bounds: Bounds) -> Self {
        let now = Instant::now();
        let first = bounds.idle.map_or(HEARTBEAT, |idle| HEARTBEAT.min(idle));
        let timer = Box::pin(tokio::time::sleep_until(now + first));
        Self { source, view, away: None, heard: now, sent: now, timer, bounds }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.source.is_over() {
                return Poll::Ready(None);
            }
            // First of all, so that a stream that never pauses ends with its last words as well.
            if self.bounds.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(Some(self.source.break_off(Ending::Drained, SHUTTING_DOWN)));
            }
            match self.source.poll_events(cx) {
                Poll::Ready(Some(bytes)) => {
                    self.heard = Instant::now();
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(bytes));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return self.poll_silence(cx).map(Some),
            }
        }
    }

    /// What to say in a silence, if it is time.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let silence_ends = self.bounds.idle.map(|idle| self.heard + idle);
            if silence_ends.is_some_and(|end| now >= end) {
                let message = "The chatflow's server was silent for too long.";
                return Poll::Ready(self.source.break_off(Ending::Idle, message));
            }
            let heartbeat = self.sent + HEARTBEAT;
            let due = now >= heartbeat;
            let next = if due { now + HEARTBEAT } else { heartbeat };
            self.timer.as_mut().reset(silence_ends.map_or(next, |end| next.min(end)));
            if due && self.source.is_between_records() {
                return Poll::Ready(KEEP_ALIVE);
            }
        }
        Poll::Pending
    }
}

fn look_aside(mut view: StreamView, piece: Bytes) -> Away {
    let look = move || {
        let shown = view.take(piece);
        (view, shown)
    };
    Box::pin(offload::elsewhere(look))
}

impl<S: EventSource> Body for EventBody<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if let Some(away) = &mut this.away {
                let (view, shown) = ready!(away.as_mut().poll(cx));
                (this.away, this.view) = (None, Some(view));
                if !shown.is_empty() {
                    this.sent = Instant::now();
                    return Poll::Ready(Some(Ok(Frame::data(shown))));
                }
            }
            let next = ready!(this.poll_next(cx));
            let is_end = next.is_none();
            let shown = match (&mut this.view, next) {
                (None, next) => next,
                (Some(view), Some(bytes)) if offload::is_large(view.awaited(&bytes)) => {
                    this.away = this.view.take().map(|view| look_aside(view, bytes));
                    continue;
                }
                (Some(view), Some(bytes)) => Some(view.take(bytes)),
                (Some(view), None) => Some(view.end()),
            };
            match shown {
                Some(bytes) if !bytes.is_empty() => {
                    this.sent = Instant::now();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                _ if is_end => return Poll::Ready(None),
                // All of it is held or hidden.
                _ => {}
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_over() && self.away.is_none() && self.view.as_ref().is_none_or(StreamView::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
