//! A body that passes as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::abort::AbortGuard;
use super::failures::FailureScrubber;
use crate::client::ResponseBody;
use crate::predict::answer::Renamer;
use crate::wire::body::BodyError;

/// See the module.
pub(super) struct Passing {
    pub(super) body: ResponseBody,
    /// What was read before the head was sent.
    pub(super) first: Option<Bytes>,
    /// Longest silence.
    idle: Duration,
    /// Made when there is something to wait for; most bodies come with their head.
    silence: Option<Pin<Box<Sleep>>>,
    /// Told one poll later, so that what came before is written out: hyper drops what it holds with the error.
    broken: Option<BodyError>,
    pub(super) abort: Option<AbortGuard>,
    /// Of tools and steps; `None`: it is no JSON.
    pub(super) failures: Option<FailureScrubber>,
    /// Puts the client's ids in; the length is not known before the end.
    pub(super) renamer: Option<Renamer>,
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let next = match ready!(this.poll_passing(cx)).transpose() {
                Ok(next) => next,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            let is_end = next.is_none();
            let mut shown = next.unwrap_or_default();
            if let Some(failures) = &mut this.failures {
                shown = if is_end { failures.end() } else { failures.take(shown) };
            }
            if let Some(renamer) = &mut this.renamer {
                shown = renamer.take(shown);
                if is_end {
                    shown = if shown.is_empty() { renamer.end() } else { [shown, renamer.end()].concat().into() };
                }
            }
            if !shown.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(shown))));
            }
            if is_end {
                return Poll::Ready(None);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none()
            && self.broken.is_none()
            && self.body.is_end_stream()
            && self.failures.as_ref().is_none_or(FailureScrubber::is_empty)
            && self.renamer.as_ref().is_none_or(Renamer::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        if self.renamer.is_some() {
            return SizeHint::default();
        }
        let first = self.first.as_ref().map_or(0, Bytes::len);
        let here = (first + self.failures.as_ref().map_or(0, FailureScrubber::held)) as u64;
        self.body.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(here + rest))
    }
}

impl Passing {
    pub(super) fn new(body: ResponseBody, idle: Duration) -> Self {
        let (first, silence, broken, abort) = (None, None, None, None);
        Self { body, first, idle, silence, broken, abort, failures: None, renamer: None }
    }

    fn poll_passing(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let this = self;
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Poll::Ready(data) = this.body.poll_data(cx) else {
            let silence = this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(this.idle)));
            ready!(silence.as_mut().poll(cx));
            return Poll::Ready(Some(Err(BodyError::Idle)));
        };
        this.silence = None;
        // At its end, or gone down with the connection.
        if (this.body.is_end_stream() || !matches!(data, Some(Ok(_))))
            && let Some(abort) = &mut this.abort
        {
            abort.disarm();
        }
        match data {
            Some(Err(error)) => {
                this.broken = Some(BodyError::Upstream(Box::new(error)));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            data => Poll::Ready(data.and_then(Result::ok).map(Ok)),
        }
    }
}
