//! Tells Flowise that nobody listens to a chat any more.
//!
//! Flowise ignores a closed socket and runs on; `PUT /api/v1/chatmessage/abort/{flow}/{chat}` stops agentflows
//! (chains cannot be stopped). A bounded queue a worker, off the request path.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::mpsc;

use super::choice::Affinity;
use super::forward::{Forward, UpstreamClient};
use super::outgoing::Outgoing;
use super::target::{FlowiseCredentials, Target};
use crate::client::RequestHead;
use crate::state::chats::ChatLease;
use crate::wire::segment;

/// Aborts waiting in a worker; more are dropped and counted.
const QUEUE: usize = 256;
/// Aborts under way at once.
const AT_ONCE: usize = 16;
/// For one abort, all in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The chat that an abort names, and where it runs.
#[derive(Clone)]
pub(crate) struct Chat {
    pub(crate) target: Arc<Target>,
    pub(crate) credentials: Option<Arc<FlowiseCredentials>>,
    /// Flowise's id of the chatflow.
    pub(crate) flow: Arc<str>,
    pub(crate) id: String,
}

/// A worker's queue of aborts.
#[derive(Clone)]
pub(crate) struct Aborts {
    queue: mpsc::Sender<Chat>,
    dropped: prometheus::IntCounter,
}

impl Aborts {
    /// Must be called on the worker's runtime; the returned task ends once all handles are gone and the queue is
    /// empty.
    pub(crate) fn start(upstreams: Rc<UpstreamClient>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let dropped = upstreams.metrics.upstreams.aborts.with_label_values(&["dropped"]);
        (Self { queue, dropped }, tokio::task::spawn_local(work(waiting, upstreams)))
    }

    fn queue(&self, chat: Chat) {
        if self.queue.try_send(chat).is_err() {
            self.dropped.inc();
        }
    }
}

async fn work(mut waiting: mpsc::Receiver<Chat>, upstreams: Rc<UpstreamClient>) {
    let mut under_way = tokio::task::JoinSet::new();
    while let Some(chat) = waiting.recv().await {
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        let upstreams = Rc::clone(&upstreams);
        under_way.spawn_local(async move { abort(&upstreams, chat).await });
    }
    while under_way.join_next().await.is_some() {}
}

async fn abort(upstreams: &UpstreamClient, chat: Chat) {
    let Some(path) = abort_path(&chat.flow, &chat.id) else { return };
    let mut head = RequestHead::new(Method::PUT, &[&path]);
    if let Some(credentials) = chat.credentials {
        head.lines(credentials.fields());
    }
    let mut forward = Forward::new(head, Outgoing::EMPTY, Affinity::chat(&chat.id));
    let outcome = tokio::time::timeout(PATIENCE, upstreams.send(&chat.target, &mut forward, None)).await;
    let result = match outcome {
        Ok(Ok(answer)) if answer.status.is_success() => "ok",
        _ => "failed",
    };
    upstreams.metrics.upstreams.aborts.with_label_values(&[result]).inc();
    tracing::debug!(upstream = &*chat.target.name, result, "told the upstream to abort a chat");
}

/// `None` for a chat id that cannot stand in a path: Flowise decodes paths twice, so `%25` must never go there.
pub(crate) fn abort_path(flow: &str, chat_id: &str) -> Option<String> {
    if chat_id.contains(['%', '/', '\\']) || matches!(chat_id, "." | "..") {
        return None;
    }
    let mut path = format!("/api/v1/chatmessage/abort/{flow}/");
    segment::push(&mut path, chat_id);
    Some(path)
}

/// Queues an abort when dropped, unless the answer came to its end.
pub(crate) struct AbortGuard {
    chat: Option<Chat>,
    aborts: Aborts,
    /// Keeps a second stream away until this one is dropped.
    _lease: Option<ChatLease>,
}

impl AbortGuard {
    pub(crate) fn new(aborts: &Aborts, chat: Chat, lease: Option<ChatLease>) -> Self {
        if let Some(lease) = &lease {
            lease.forward_aborts(|| {
                let (aborts, chat) = (aborts.clone(), chat.clone());
                Arc::new(move || aborts.queue(chat.clone()))
            });
        }
        Self { chat: Some(chat), aborts: aborts.clone(), _lease: lease }
    }

    /// The chat has ended by itself.
    pub(crate) fn disarm(&mut self) {
        self.chat = None;
    }
}

impl Drop for AbortGuard {
    fn drop(&mut self) {
        if let Some(chat) = self.chat.take() {
            self.aborts.queue(chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::abort_path;

    #[test]
    fn chat_ids_are_encoded_once_or_not_sent() {
        assert_eq!(abort_path("f", "a b").unwrap(), "/api/v1/chatmessage/abort/f/a%20b");
        assert_eq!(abort_path("f", "ü").unwrap(), "/api/v1/chatmessage/abort/f/%C3%BC");
        for unfit in ["a/b", "..", "%2e", "a\\b"] {
            assert!(abort_path("f", unfit).is_none(), "{unfit}");
        }
    }
}
