//! An event stream on its way to a client, whoever tells it: shown as the client may see it, with comments in its
//! silences, and with last words where it cannot go on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::StreamView;
use super::events::KEEP_ALIVE;
use super::report::Ending;

use crate::wire::body::BodyError;
use crate::wire::offload;

/// Pieces that go by before it is looked whether the stream must end, where there is no pause.
const LOOK_AFTER: u8 = 16;
/// Silence after which a comment is sent, to keep middleboxes awake.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What is said where the gateway ends.
pub(crate) const SHUTTING_DOWN: &str = "The gateway is shutting down.";
/// What is said where a key and its streams end.
const KEY_REVOKED: &str = "The key was revoked.";

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
    bounds: StreamBounds,
    /// Pieces since it was last looked whether the stream must end.
    unlooked: u8,
}

/// A view that is not at hand. The client stands between two records, and nothing is asked of the source meanwhile.
struct Away {
    /// Gives the view back, and what it shows.
    work: Pin<Box<dyn Future<Output = (StreamView, Bytes)>>>,
    /// What ends the stream, should it be time for that before: as the gateway ends, or the key.
    last_words: [Bytes; 2],
}

/// What ends a stream that does not end by itself.
pub(crate) struct StreamBounds {
    /// Longest silence; `None`: the source minds its own.
    pub(crate) idle: Option<Duration>,
    pub(crate) cut: StreamCut,
}

/// Why a stream ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutStream {
    GatewayEnds,
    KeyRevoked,
}

/// Why the stream must end; or what fires when there may be a reason.
pub(crate) type CutVerdict = Result<CancellationToken, CutStream>;

/// Ends a stream when there is a reason to.
pub(crate) struct StreamCut {
    judge: Box<dyn Fn() -> CutVerdict>,
    /// Until it fires there is none.
    waits: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl StreamCut {
    /// `judge` is asked at first, and whenever what it gave has fired.
    pub(crate) fn new(judge: impl Fn() -> CutVerdict + 'static) -> Self {
        Self { judge: Box::new(judge), waits: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Option<CutStream> {
        loop {
            let waits = match &mut self.waits {
                Some(waits) => waits,
                None => match (self.judge)() {
                    Ok(next) => self.waits.insert(Box::pin(next.cancelled_owned())),
                    Err(reason) => return Some(reason),
                },
            };
            if waits.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.waits = None;
        }
    }
}

impl CutStream {
    fn ending(self) -> Ending {
        match self {
            Self::GatewayEnds => Ending::Drained,
            Self::KeyRevoked => Ending::Revoked,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::GatewayEnds => SHUTTING_DOWN,
            Self::KeyRevoked => KEY_REVOKED,
        }
    }
}

impl<S: EventSource> EventBody<S> {
    pub(crate) fn new(source: S, view: Option<StreamView>, bounds: StreamBounds) -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(bounds.next(now, now)));
        Self { source, view, away: None, heard: now, sent: now, timer, bounds, unlooked: LOOK_AFTER }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.source.is_over() {
                return Poll::Ready(None);
            }
            // Before the source is asked, so that a stream that never pauses ends with its last words as well.
            let has_looked = self.unlooked >= LOOK_AFTER;
            if has_looked && let Some(words) = self.poll_cut(cx) {
                return Poll::Ready(Some(words));
            }
            match self.source.poll_events(cx) {
                Poll::Ready(Some(bytes)) => {
                    self.unlooked += 1;
                    self.heard = Instant::now();
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(bytes));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    // It wakes this task as well.
                    let words = if has_looked { None } else { self.poll_cut(cx) };
                    return words.map_or_else(|| self.poll_silence(cx), Poll::Ready).map(Some);
                }
            }
        }
    }

    /// What is said last, if the stream must end.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        self.unlooked = 0;
        let reason = self.bounds.cut.poll(cx)?;
        Some(self.source.break_off(reason.ending(), reason.words()))
    }

    /// What to say in a silence, if it is time.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            // Nobody is silent who is not listened to.
            if self.away.is_some() {
                self.heard = now;
            }
            if self.bounds.idle.is_some_and(|idle| now >= self.heard + idle) {
                let message = "The chatflow's server was silent for too long.";
                return Poll::Ready(self.source.break_off(Ending::Idle, message));
            }
            let due = now >= self.sent + HEARTBEAT;
            let said = if due { now } else { self.sent };
            self.timer.as_mut().reset(self.bounds.next(said, self.heard));
            if due && (self.away.is_some() || self.source.is_between_records()) {
                return Poll::Ready(KEEP_ALIVE);
            }
        }
        Poll::Pending
    }

    /// What to say while the view is away, `None`: the end.
    fn poll_beside(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(reason) = self.bounds.cut.poll(cx) else { return self.poll_silence(cx).map(Some) };
        // It would go through the view.
        self.source.break_off(reason.ending(), reason.words());
        let words = self.away.take().map(|Away { last_words: [ends, revoked], .. }| match reason {
            CutStream::GatewayEnds => ends,
            CutStream::KeyRevoked => revoked,
        });
        Poll::Ready(words.filter(|words| !words.is_empty()))
    }

    /// The view is back from a piece that it looked at elsewhere; what it shows of it.
    fn poll_away(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(away) = &mut self.away else { return Poll::Ready(Bytes::new()) };
        away.work.as_mut().poll(cx).map(|(view, shown)| {
            (self.away, self.view) = (None, Some(view));
            self.heard = Instant::now();
            shown
        })
    }
}

impl StreamBounds {
    /// When to look next, of what was said and heard last.
    fn next(&self, said: Instant, heard: Instant) -> Instant {
        let heartbeat = said + HEARTBEAT;
        self.idle.map_or(heartbeat, |idle| heartbeat.min(heard + idle))
    }
}

impl Away {
    fn new(mut view: StreamView, piece: Bytes) -> Self {
        let last_words = [SHUTTING_DOWN, KEY_REVOKED].map(|words| view.failure(words));
        let length = view.awaited(&piece);
        let look = move || {
            let shown = view.take(piece);
            (view, shown)
        };
        Self { work: Box::pin(offload::elsewhere(length, look)), last_words }
    }
}

impl<S: EventSource> Body for EventBody<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let (shown, is_end) = match this.poll_away(cx) {
                Poll::Pending => (ready!(this.poll_beside(cx)), this.away.is_none()),
                Poll::Ready(shown) if !shown.is_empty() => (Some(shown), false),
                Poll::Ready(_) => {
                    let next = ready!(this.poll_next(cx));
                    let is_end = next.is_none();
                    match (&mut this.view, next) {
                        (None, next) => (next, is_end),
                        (Some(view), Some(bytes)) if offload::is_large(view.awaited(&bytes)) => {
                            this.away = this.view.take().map(|view| Away::new(view, bytes));
                            continue;
                        }
                        (Some(view), Some(bytes)) => (Some(view.take(bytes)), is_end),
                        (Some(view), None) => (Some(view.end()), is_end),
                    }
                }
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

#[cfg(test)]
mod tests;
