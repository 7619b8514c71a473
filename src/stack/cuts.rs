//! What ends running streams before their time: the end of the gateway, and of a key whose streams end with it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::keys::Key;
use crate::predict::stream::{CutStream, StreamCut};
use crate::state::ended_keys::EndedKeys;

/// One worker's.
#[derive(Debug)]
pub(crate) struct StreamCuts {
    gateway_ends: CancellationToken,
    /// Fires at the end of the gateway, and whenever keys have ended; then there is another one.
    look_again: RefCell<CancellationToken>,
    ended: Arc<EndedKeys>,
}

impl StreamCuts {
    pub(crate) fn new(gateway_ends: CancellationToken, ended: Arc<EndedKeys>) -> Rc<Self> {
        let look_again = RefCell::new(gateway_ends.child_token());
        Rc::new(Self { gateway_ends, look_again, ended })
    }

    /// Lets streams look whether they are those of a key that has ended; runs as long as the worker.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut changes = self.ended.changes();
        while changes.changed().await.is_ok() {
            let next = self.gateway_ends.child_token();
            self.look_again.replace(next).cancel();
        }
    }

    /// For those who mind the end of the gateway themselves.
    pub(crate) fn gateway_ends(&self) -> &CancellationToken {
        &self.gateway_ends
    }

    /// Of a stream for that key, if there is one.
    pub(crate) fn of(self: &Rc<Self>, key: Option<&Key>) -> StreamCut {
        let (cuts, id) = (Rc::clone(self), key.map(|key| key.id.clone()));
        StreamCut::new(move || {
            if cuts.gateway_ends.is_cancelled() {
                return Err(CutStream::GatewayEnds);
            }
            cuts.unless_ended(id.as_deref())
        })
    }

    /// The same where the source minds the end of the gateway.
    pub(crate) fn of_engine(self: &Rc<Self>, key: Option<&Key>) -> StreamCut {
        let (cuts, id) = (Rc::clone(self), key.map(|key| key.id.clone()));
        StreamCut::new(move || {
            // Nothing more happens to keys, and the source has its last words.
            if cuts.gateway_ends.is_cancelled() {
                Ok(CancellationToken::new())
            } else {
                cuts.unless_ended(id.as_deref())
            }
        })
    }

    fn unless_ended(&self, id: Option<&str>) -> Result<CancellationToken, CutStream> {
        // First what fires: a key that ends in between makes it fire.
        let look_again = self.look_again.borrow().clone();
        match id {
            Some(id) if self.ended.has(id) => Err(CutStream::KeyRevoked),
            _ => Ok(look_again),
        }
    }
}
