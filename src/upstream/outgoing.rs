//! The body of a request that goes upstream: made by the gateway, or a client's on its way through.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::predict::multipart::Rewriter;
use crate::wire::refusal::{BodyLimit, Refusal};

/// Bytes of files that are looked at before anything of them is sent.
const LOOKED_AT: usize = 64 * 1024;

/// Nothing, a checked body, or an upload that is never held in memory.
pub(crate) enum Outgoing {
    Empty,
    Full(Bytes),
    Upload(Box<Upload>),
}

/// A client's body on its way through: bounded in size, and in silence.
pub(crate) struct Upload {
    /// What came with the head.
    first: Bytes,
    incoming: Incoming,
    limit: BodyLimit,
    left: u64,
    is_untouched: bool,
    silence: Duration,
    /// Made when there is something to wait for; most bodies come with their head.
    timer: Option<Pin<Box<Sleep>>>,
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
    TooSlow,
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
            Self::TooSlow => Refusal::RequestTimeout,
            Self::Broken => Refusal::Invalid("body_broken", "The request body broke off.".into()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the client's body failed")]
pub(crate) struct UploadFailed;

impl Outgoing {
    /// A client's body. One that came whole with its head can go out with its head, in one write.
    ///
    /// `silence`: longest wait for the next byte.
    pub(crate) async fn passing(mut incoming: Incoming, limit: BodyLimit, silence: Duration) -> Result<Self, Refusal> {
        let first = match poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx))).await {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Poll::Ready(Some(Err(_))) => return Err(Fault::Broken.refusal()),
            Poll::Ready(None) => return Ok(Self::Empty),
            Poll::Pending => Bytes::new(),
        };
        if first.len() as u64 > limit.bytes {
            return Err(limit.exceeded());
        }
        if incoming.is_end_stream() {
            return Ok(Self::Full(first));
        }
        Ok(Self::Upload(Box::new(Upload::new(first, incoming, limit, silence))))
    }

    /// A client's files, checked and written anew as they go by. Nothing is sent before the first of them is known to
    /// be good, and a short body is looked at whole.
    pub(crate) async fn rewritten(
        incoming: Incoming,
        limit: BodyLimit,
        silence: Duration,
        rewriter: Rewriter,
    ) -> Result<Self, Refusal> {
        let mut upload = Upload::new(Bytes::new(), incoming, limit, silence);
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
    fn new(first: Bytes, incoming: Incoming, limit: BodyLimit, silence: Duration) -> Self {
        let progress =
            Progress { fault: Cell::new(None), refused: RefCell::new(None), last_data: Cell::new(Instant::now()) };
        Self {
            limit,
            left: limit.bytes.saturating_sub(first.len() as u64),
            first,
            incoming,
            is_untouched: true,
            silence,
            timer: None,
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
                let end = self.progress.last_data() + self.silence;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
                timer.as_mut().reset(end.into());
                ready!(timer.as_mut().poll(cx));
                return self.fail(Fault::TooSlow);
            };
            let frame = match next {
                None => return self.ended(),
                Some(Err(_)) => return self.fail(Fault::Broken),
                Some(Ok(frame)) => frame,
            };
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
