//! The body of a request that goes upstream: made by the gateway, or a client's on its way through, which is never held
//! in memory.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::client::{BodyFailed, RequestBody};
use crate::predict::multipart::Rewriter;
use crate::wire::client_body::ClientBody;
use crate::wire::pace::{Pace, PaceLimits, Slowness};
use crate::wire::refusal::{BodyLimit, Refusal, Rule};

/// Bytes of files that are looked at before anything of them is sent.
const LOOKED_AT: usize = 64 * 1024;

/// A request's body, and if it is an upload, why it failed should it fail.
pub(crate) struct Outgoing {
    pub(super) body: RequestBody,
    pub(super) upload: Option<UploadFault>,
}

/// What a client's body may have.
#[derive(Clone, Copy)]
pub(crate) struct BodyBounds {
    pub(crate) limit: BodyLimit,
    pub(crate) pace: PaceLimits,
}

/// A client's body on its way through, bounded in size and time.
struct UploadBody {
    /// What came with the head.
    first: Bytes,
    incoming: ClientBody,
    limit: BodyLimit,
    left: u64,
    pace: Pace,
    /// Checks files and writes them anew; gone at the body's end.
    rewriter: Option<Rewriter>,
    fault: UploadFault,
}

/// What the client did wrong in an upload, for whoever answers it.
#[derive(Clone, Default)]
pub(crate) struct UploadFault(Rc<Faults>);

#[derive(Default)]
struct Faults {
    fault: Cell<Option<Fault>>,
    /// What is wrong with its content.
    refused: RefCell<Option<Refusal>>,
}

#[derive(Clone, Copy)]
enum Fault {
    TooLarge(BodyLimit),
    TooSlow(Slowness),
    Broken,
}

impl UploadFault {
    /// `None`: nothing so far.
    pub(super) fn refusal(&self) -> Option<Refusal> {
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

impl From<RequestBody> for Outgoing {
    /// A body that the gateway made.
    fn from(body: RequestBody) -> Self {
        Self { body, upload: None }
    }
}

impl From<UploadBody> for Outgoing {
    fn from(upload: UploadBody) -> Self {
        Self { upload: Some(upload.fault.clone()), body: RequestBody::Stream(Box::pin(upload)) }
    }
}

impl Outgoing {
    pub(crate) const EMPTY: Self = Self { body: RequestBody::Empty, upload: None };

    pub(crate) fn full(bytes: Bytes) -> Self {
        RequestBody::Full(bytes).into()
    }

    /// A client's body. One that came whole with its head can go out with its head, in one write.
    pub(crate) async fn passing(mut incoming: ClientBody, bounds: BodyBounds) -> Result<Self, Refusal> {
        let first = match poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx))).await {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Poll::Ready(Some(Err(_))) => return Err(Fault::Broken.refusal()),
            Poll::Ready(None) => return Ok(Self::EMPTY),
            Poll::Pending => Bytes::new(),
        };
        if first.len() as u64 > bounds.limit.bytes {
            return Err(bounds.limit.exceeded());
        }
        if incoming.is_end_stream() {
            return Ok(Self::full(first));
        }
        Ok(UploadBody::new(first, incoming, bounds).into())
    }

    /// A client's files, checked and written anew as they go by. Nothing is sent before the first of them is known to
    /// be good, and a short body is looked at whole.
    pub(crate) async fn rewritten(
        incoming: ClientBody,
        bounds: BodyBounds,
        rewriter: Rewriter,
    ) -> Result<Self, Refusal> {
        let mut upload = UploadBody::new(Bytes::new(), incoming, bounds);
        upload.rewriter = Some(rewriter);
        let mut beginning = BytesMut::new();
        while beginning.len() < LOOKED_AT {
            match poll_fn(|cx| upload.poll(cx)).await {
                Some(Ok(frame)) => beginning.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(_)) => return Err(upload.fault.refusal().unwrap_or(Fault::Broken.refusal())),
                None => return Ok(Self::full(beginning.freeze())),
            }
        }
        upload.first = beginning.freeze();
        Ok(upload.into())
    }
}

impl UploadBody {
    fn new(first: Bytes, incoming: ClientBody, bounds: BodyBounds) -> Self {
        let mut pace = Pace::new(bounds.pace);
        pace.came(first.len());
        Self {
            limit: bounds.limit,
            left: bounds.limit.bytes.saturating_sub(first.len() as u64),
            first,
            incoming,
            pace,
            rewriter: None,
            fault: UploadFault::default(),
        }
    }

    fn fail(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        self.fault.0.fault.set(Some(fault));
        Poll::Ready(Some(Err(BodyFailed)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return passed(first);
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
                Ok(data) => return passed(data),
                Err(refusal) => return self.refuse(refusal),
            }
        }
    }

    /// The client's body has ended.
    fn ended(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        match self.rewriter.take().map(|mut rewriter| rewriter.finish()) {
            None => Poll::Ready(None),
            Some(Ok(last)) => passed(last),
            Some(Err(refusal)) => self.refuse(refusal),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        self.fault.0.refused.replace(Some(refusal));
        Poll::Ready(Some(Err(BodyFailed)))
    }
}

fn passed(data: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
    Poll::Ready(Some(Ok(Frame::data(data))))
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        self.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rewriter.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.incoming.size_hint().exact().filter(|_| self.rewriter.is_none()) {
            Some(rest) => SizeHint::with_exact(rest + self.first.len() as u64),
            None => SizeHint::default(),
        }
    }
}
