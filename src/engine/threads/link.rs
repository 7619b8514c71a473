//! Between the connection that asks and the thread that computes the answer: one small shared place for each prediction.
//!
//! What is told waits in one buffer until it is read, so a reader that is behind is not woken for every token, and takes
//! all that has come at once. While [`MOST_UNREAD`] waits there, the run stands still: a slow reader slows the flow, and
//! holds no more memory than that and what the flow's last step told. Whoever asks and goes ends the run.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::error::EngineError;
use super::wakes::WakeQueue;
use crate::config::ResponseShape;
use crate::engine::contract::sink::MOST_UNREAD;
use crate::predict::answer::failure;
use crate::predict::report::Ending;
use crate::state::chats::ChatLease;

/// Bytes from which on a text is handed over, and not copied into one of just its length.
const WORTH_MOVING: usize = 4 * 1024;

/// What is said of a run that ended without a word.
pub(crate) const LOST: &str = "The chatflow's run broke off.";

/// Makes the two ends. `lease`: keeps the chat busy until the run is over or nobody waits for it. `shape`: in which what is
/// told is written. `wakes`: of the thread that asks.
pub(crate) fn link(lease: ChatLease, shape: ResponseShape, wakes: &WakeQueue) -> (StreamReceiver, StreamSender) {
    let state = Mutex::new(LinkState { lease: Some(lease), ..LinkState::default() });
    let link = Arc::new(StreamLink { state, shape, wakes: wakes.clone() });
    (StreamReceiver(Arc::clone(&link)), StreamSender(link))
}

/// How an answer begins.
pub(crate) enum Head {
    /// All of it.
    Whole(Result<Bytes, EngineError>),
    /// As a stream.
    Stream,
}

/// The next of a stream.
pub(crate) struct StreamPiece {
    pub(crate) text: Bytes,
    /// Events so far.
    pub(crate) events: u64,
    /// It is over.
    pub(crate) ending: Option<Ending>,
}

struct StreamLink {
    state: Mutex<LinkState>,
    shape: ResponseShape,
    wakes: WakeQueue,
}

#[derive(Default)]
struct LinkState {
    head: Option<Head>,
    text: Vec<u8>,
    events: u64,
    ending: Option<Ending>,
    /// It is told of one that it has begun.
    is_stream: bool,
    /// Nothing more is told.
    is_told: bool,
    /// Nobody reads any more.
    is_left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    lease: Option<ChatLease>,
}

impl StreamLink {
    fn state(&self) -> MutexGuard<'_, LinkState> {
        // Whole between any two statements that may panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and wakes who reads if somebody waits.
    fn tell(&self, change: impl FnOnce(&mut LinkState)) {
        let mut state = self.state();
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            self.wakes.wake(reader);
        }
    }
}

fn note(waiting: &mut Option<Waker>, cx: &Context<'_>) {
    match waiting {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waiting = Some(cx.waker().clone()),
    }
}

/// The end of who asks. Dropping it ends the run.
pub(crate) struct StreamReceiver(Arc<StreamLink>);

impl StreamReceiver {
    pub(crate) async fn head(&self) -> Head {
        std::future::poll_fn(|cx| {
            let mut state = self.0.state();
            let Some(head) = state.head.take() else {
                note(&mut state.reader, cx);
                return Poll::Pending;
            };
            Poll::Ready(head)
        })
        .await
    }

    /// All that has come of a stream.
    pub(crate) fn poll_told(&self, cx: &Context<'_>) -> Poll<StreamPiece> {
        let mut state = self.0.state();
        if state.text.is_empty() && state.ending.is_none() {
            note(&mut state.reader, cx);
            return Poll::Pending;
        }
        let was_full = state.text.len() >= MOST_UNREAD;
        let text = Bytes::from(std::mem::take(&mut state.text));
        let told = StreamPiece { text, events: state.events, ending: state.ending };
        let writer = state.writer.take_if(|_| was_full);
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(told)
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_left = true;
        let (writer, lease) = (state.writer.take(), state.lease.take());
        drop(state);
        // Free at once, however long the run takes to see it.
        drop(lease);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// Whether a run may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamCapacity {
    Free,
    /// Not before more is read.
    Full,
    /// Nobody waits for it.
    Left,
}

/// The end of who computes. Dropped before the answer is told, it says that the run broke off.
pub(crate) struct StreamSender(Arc<StreamLink>);

impl StreamSender {
    /// Whether there is room for more; the task is woken when that changes.
    pub(crate) fn room(&self, cx: &Context<'_>) -> StreamCapacity {
        let mut state = self.0.state();
        if state.is_left {
            return StreamCapacity::Left;
        }
        note(&mut state.writer, cx);
        if state.text.len() < MOST_UNREAD { StreamCapacity::Free } else { StreamCapacity::Full }
    }

    /// `None`: nobody waits for it any more.
    pub(crate) async fn unless_left<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| match self.room(cx) {
            StreamCapacity::Left => Poll::Ready(None),
            _ => Pin::as_mut(&mut work).poll(cx).map(Some),
        })
        .await
    }

    /// The chat may be asked again.
    pub(crate) fn free_chat(&self) {
        let lease = self.0.state().lease.take();
        drop(lease);
    }

    /// An answer in one piece.
    pub(crate) fn answer(self, answer: Result<Bytes, EngineError>) {
        self.free_chat();
        self.0.tell(|state| {
            state.head = Some(Head::Whole(answer));
            state.is_told = true;
        });
    }

    /// More of a stream, and its beginning with the first; `ending`: this is all. What is taken of `text` is not in it
    /// any more, or is a copy.
    pub(crate) fn tell(&self, text: &mut Vec<u8>, events: u64, ending: Option<Ending>) {
        if text.is_empty() && ending.is_none() && self.0.state().is_stream {
            return;
        }
        self.0.tell(|state| {
            if !std::mem::replace(&mut state.is_stream, true) {
                state.head = Some(Head::Stream);
            }
            if state.text.is_empty() && text.len() >= WORTH_MOVING {
                state.text = std::mem::take(text);
            } else {
                state.text.extend_from_slice(text);
            }
            state.events = events;
            state.ending = ending;
            state.is_told = ending.is_some();
        });
    }
}

impl Drop for StreamSender {
    fn drop(&mut self) {
        let state = self.0.state();
        let (is_told, is_left) = (state.is_told, state.is_left);
        drop(state);
        if is_told || is_left {
            return;
        }
        self.free_chat();
        let words = failure(self.0.shape, LOST, "upstream_error");
        self.0.tell(|state| {
            state.is_told = true;
            if state.is_stream {
                state.text.extend_from_slice(words.as_bytes());
                state.ending = Some(Ending::ErrorEvent);
            } else {
                state.head = Some(Head::Whole(Err(EngineError::Lost)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::Ordering;

    use super::super::wakes::tests::Counting;
    use super::*;
    use crate::state::chats::{ChatUse, Chats};

    fn linked() -> (StreamReceiver, StreamSender) {
        linked_in(ResponseShape::Flowise)
    }

    fn linked_in(shape: ResponseShape) -> (StreamReceiver, StreamSender) {
        let chats = Arc::new(Chats::default());
        link(chats.enter("engine", "chat", ChatUse::Stream).now().unwrap(), shape, &WakeQueue::none())
    }

    #[test]
    fn a_reader_is_woken_once_for_all_that_comes() {
        let (asker, teller) = linked();
        let woken = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert!(asker.poll_told(&cx).is_pending());
        for word in ["one ", "two ", "three"] {
            teller.tell(&mut word.into(), 1, None);
        }
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(told) = asker.poll_told(&cx) else { panic!("it was told") };
        assert_eq!((&*told.text, told.ending), (&b"one two three"[..], None));
    }

    #[test]
    fn a_run_waits_for_a_slow_reader_and_ends_with_it() {
        let (asker, teller) = linked();
        let woken = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert_eq!(teller.room(&cx), StreamCapacity::Free);
        teller.tell(&mut vec![b'x'; MOST_UNREAD], 1, None);
        assert_eq!(teller.room(&cx), StreamCapacity::Full);
        assert!(asker.poll_told(&Context::from_waker(Waker::noop())).is_ready());
        assert_eq!((woken.0.load(Ordering::SeqCst), teller.room(&cx)), (1, StreamCapacity::Free));
        drop(asker);
        assert_eq!((woken.0.load(Ordering::SeqCst), teller.room(&cx)), (2, StreamCapacity::Left));
    }

    #[tokio::test]
    async fn a_run_that_breaks_off_is_answered_for() {
        let (asker, teller) = linked();
        drop(teller);
        assert!(matches!(asker.head().await, Head::Whole(Err(EngineError::Lost))));
        for shape in [ResponseShape::Flowise, ResponseShape::Message] {
            let (asker, teller) = linked_in(shape);
            teller.tell(&mut Vec::new(), 0, None);
            assert!(matches!(asker.head().await, Head::Stream));
            drop(teller);
            let told = poll_fn(|cx| asker.poll_told(cx)).await;
            // In the client's words.
            assert_eq!(told.text, failure(shape, LOST, "upstream_error"));
            assert_eq!(told.ending, Some(Ending::ErrorEvent));
        }
    }
}
