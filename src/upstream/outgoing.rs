//! The body of a request that goes upstream: made by the gateway, or a client's on its way through.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::predict::multipart::Rewriter;
use crate::wire::client_body::ClientBody;
use crate::wire::pace::{Pace, PaceLimits, Slowness};
use crate::wire::refusal::{BodyLimit, Refusal, Rule};

/// Bytes of files that are looked at before anything of them is sent.
const LOOKED_AT: usize = 64 * 1024;

/// Nothing, a checked body, or an upload that is never held in memory.
pub(crate) enum Outgoing {
    Empty,
    Full(Bytes),
    Upload(Box<Upload>),
}

/// What a client's body may have.
#[derive(Clone, Copy)]
pub(crate) struct BodyBounds {
    pub(crate) limit: BodyLimit,
    pub(crate) pace: PaceLimits,
}

/// A client's body on its way through, bounded in size and time.
pub(crate) struct Upload {
    /// What came with the head.
    first: Bytes,
    incoming: ClientBody,
    limit: BodyLimit,
    left: u64,
    is_untouched: bool,
    pace: Pace,
    /// Checks files and writes them anew; gone at the body's end.
    rewriter: Option<Rewriter>,
    progress: UploadProgress,
}

/// How an upload goes, for whoever answers the client.
#[derive(Clone)]
pub(crate) struct UploadProgress(Rc<Progress>);

struct Progress {
    fault: Cell<Option<Fault>>,
    /// What is wrong with its content.
    refused: RefCell<Option<Refusal>>,
    last_data: Cell<Instant>,
}

#[derive(Clone, Copy)]
enum Fault {
    TooLarge(BodyLimit),
    TooSlow(Slowness),
    Broken,
}

impl UploadProgress {
    /// When the last piece went by.
    pub(crate) fn last_data(&self) -> Instant {
        self.0.last_data.get()
    }

    /// What the client did wrong, if anything.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.refused.borrow().clone().or_else(|| self.0.fault.get().map(Fault::refusal))
    }
}

impl Fault {
    fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge(limit) => limit.exceeded(),
            Self::TooSlow(slowness) => Refusal::RequestTimeout(slowness),
            Self::Broken => Rule::BodyBroken.refuse("The request body broke off."),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the client's body failed")]
pub(crate) struct UploadFailed;

impl Outgoing {
    /// A client's body. One that came whole with its head can go out with its head, in one write.
    pub(crate) async fn passing(mut incoming: ClientBody, bounds: BodyBounds) -> Result<Self, Refusal> {
        let first = match poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx))).await {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Poll::Ready(Some(Err(_))) => return Err(Fault::Broken.refusal()),
            Poll::Ready(None) => return Ok(Self::Empty),
            Poll::Pending => Bytes::new(),
        };
        if first.len() as u64 > bounds.limit.bytes {
            return Err(bounds.limit.exceeded());
        }
        if incoming.is_end_stream() {
            return Ok(Self::Full(first));
        }
        Ok(Self::Upload(Box::new(Upload::new(first, incoming, bounds))))
    }

    /// A client's files, checked and written anew as they go by. Nothing is sent before the first of them is known to
    /// be good, and a short body is looked at whole.
    pub(crate) async fn rewritten(
        incoming: ClientBody,
        bounds: BodyBounds,
        rewriter: Rewriter,
    ) -> Result<Self, Refusal> {
        let mut upload = Upload::new(Bytes::new(), incoming, bounds);
        upload.rewriter = Some(rewriter);
        let mut beginning = BytesMut::new();
        while beginning.len() < LOOKED_AT {
            match poll_fn(|cx| upload.poll(cx)).await {
                Some(Ok(frame)) => beginning.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(_)) => return Err(upload.progress.refusal().unwrap_or(Fault::Broken.refusal())),
                None => return Ok(Self::Full(beginning.freeze())),
            }
        }
        upload.first = beginning.freeze();
        upload.is_untouched = true;
        Ok(Self::Upload(Box::new(upload)))
    }

    /// Whether the body can be sent from its beginning.
    pub(crate) fn is_untouched(&self) -> bool {
        match self {
            Self::Upload(upload) => upload.is_untouched,
            Self::Empty | Self::Full(_) => true,
        }
    }

    /// `None` if the whole body is at hand.
    pub(crate) fn progress(&self) -> Option<UploadProgress> {
        match self {
            Self::Upload(upload) => Some(upload.progress.clone()),
            Self::Empty | Self::Full(_) => None,
        }
    }
}

impl Upload {
    fn new(first: Bytes, incoming: ClientBody, bounds: BodyBounds) -> Self {
        let mut pace = Pace::new(bounds.pace);
        pace.came(first.len());
        let progress =
            Progress { fault: Cell::new(None), refused: RefCell::new(None), last_data: Cell::new(Instant::now()) };
        Self {
            limit: bounds.limit,
            left: bounds.limit.bytes.saturating_sub(first.len() as u64),
            first,
            incoming,
            is_untouched: true,
            pace,
            rewriter: None,
            progress: UploadProgress(Rc::new(progress)),
        }
    }

    fn fail(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        self.progress.0.fault.set(Some(fault));
        Poll::Ready(Some(Err(UploadFailed)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return self.passed(first);
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                let slowness = ready!(self.pace.poll_limit(cx));
                return self.fail(Fault::TooSlow(slowness));
            };
            let frame = match next {
                None => return self.ended(),
                Some(Err(_)) => return self.fail(Fault::Broken),
                Some(Ok(frame)) => frame,
            };
            self.pace.came(frame.data_ref().map_or(0, Bytes::len));
            // Trailers end here: Flowise reads none.
            let Ok(data) = frame.into_data() else { continue };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return self.fail(Fault::TooLarge(self.limit));
            };
            self.left = left;
            let rewritten = match &mut self.rewriter {
                None => Ok(data),
                Some(rewriter) => rewriter.feed(&data),
            };
            match rewritten {
                // All of it is held until more is known.
                Ok(data) if data.is_empty() && self.rewriter.is_some() => {}
                Ok(data) => return self.passed(data),
                Err(refusal) => return self.refuse(refusal),
            }
        }
    }

    /// The client's body has ended.
    fn ended(&mut self) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        match self.rewriter.take().map(|mut rewriter| rewriter.finish()) {
            None => Poll::Ready(None),
            Some(Ok(last)) => self.passed(last),
            Some(Err(refusal)) => self.refuse(refusal),
        }
    }

    fn passed(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        self.is_untouched = false;
        self.progress.0.last_data.set(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        self.progress.0.refused.replace(Some(refusal));
        Poll::Ready(Some(Err(UploadFailed)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Upload(upload) => upload.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Upload(upload) => {
                upload.first.is_empty() && upload.rewriter.is_none() && upload.incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Upload(upload) => match upload.incoming.size_hint().exact().filter(|_| upload.rewriter.is_none()) {
                Some(rest) => SizeHint::with_exact(rest + upload.first.len() as u64),
                None => SizeHint::default(),
            },
        }
    }
}
