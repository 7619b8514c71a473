//! Reads files that are given to a chat, on the threads of an engine thread that may wait: a file may take seconds.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use super::delegate::give;
use super::error::EngineError;
use super::{EngineJob, EngineThreads};
use crate::engine::flow::CompiledFlow;
use crate::engine::flow::attachments::Attachment;

/// At once, in the whole process: each holds a body and what is in it.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Files whose texts are wanted.
pub(crate) struct ReadingJob {
    flow: Arc<CompiledFlow>,
    files: Vec<Attachment>,
    wants_bytes: bool,
    answer: oneshot::Sender<Result<String, EngineError>>,
}

/// What is answered to whoever sends files to a chat, see [`AttachmentRules::read`](crate::engine::flow::attachments::AttachmentRules::read).
pub(crate) async fn read_attachments(
    threads: &EngineThreads,
    count: &dyn Fn() -> NonZeroUsize,
    flow: &Arc<CompiledFlow>,
    files: Vec<Attachment>,
    wants_bytes: bool,
) -> Result<String, EngineError> {
    let (answer, read) = oneshot::channel();
    let job = ReadingJob { flow: Arc::clone(flow), files, wants_bytes, answer };
    give(threads, count, EngineJob::Reading(Box::new(job)))?;
    // Nobody tells what panicked.
    read.await.unwrap_or(Err(EngineError::Lost))
}

impl ReadingJob {
    /// Does it, unless whoever asked goes before it has begun.
    pub(super) async fn run(self: Box<Self>) {
        let Self { flow, files, wants_bytes, mut answer } = *self;
        let limits = flow.limits();
        let reading = async {
            // Nobody closes it.
            let place = PLACES.acquire().await;
            let work = move || {
                // Held until the work is done, also if nobody waits for it any more.
                let _place = place;
                let rules = flow.info.attachments.as_ref();
                let most = usize::try_from(limits.text).unwrap_or(usize::MAX);
                rules.map_or(Err(String::new()), |rules| rules.read(files, wants_bytes, most))
            };
            match tokio::time::timeout(limits.time, tokio::task::spawn_blocking(work)).await {
                Ok(Ok(read)) => read.map_err(EngineError::File),
                Ok(Err(_)) => Err(EngineError::Lost),
                Err(_) => Err(EngineError::File("The files take too long to read (engine.limits.time).".to_owned())),
            }
        };
        let read = tokio::select! {
            () = answer.closed() => return,
            read = reading => read,
        };
        let _ = answer.send(read);
    }
}
