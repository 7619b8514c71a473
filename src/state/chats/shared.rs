//! Chats that are being answered, as all replicas know them.
//!
//! In the store stands which replica has a stream of a chat, and of each replica until when it lives: that is said again
//! three times a second, once for all of its chats, as long as it has some. So whatever a replica had is free within a
//! second after it died, and a stream costs two small calls. While the store is lost each replica knows its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{ChatLease, Chats};
use crate::state::valkey::{CallClass, CallFailed, Calls, SharedStore, StoreScript, StoreTag};

/// Between two words that this replica lives, and how long it does without: what it had is free within a second, with
/// the time that others take to find out that it died.
const EVERY: Duration = Duration::from_millis(300);
const LIFE_MS: u64 = 900;
/// Between two times that all chats are said again, and how long they are kept without.
const SAY_AGAIN: Duration = Duration::from_secs(30);
const KEPT_MS: u64 = 90_000;
/// A chat that another replica has is asked for once more after so long: its stream may have ended just now.
const ASK_AGAIN: Duration = Duration::from_millis(15);
/// Chats of one call.
const AT_ONCE: usize = 256;
/// Chats that ended while the store was lost. Of more, it forgets the rest by itself.
const MOST_RELEASED: usize = 16_384;

/// See the module.
#[derive(Debug)]
pub(super) struct SharedChats {
    pub(super) store: Arc<SharedStore>,
    acquire: StoreScript,
    renew: StoreScript,
    release: StoreScript,
    /// That have ended, and the store does not know.
    released: Mutex<Vec<HeldChat>>,
    wake: Notify,
}

/// A chat, and which of this replica's streams has it.
pub(super) type HeldChat = (StoreTag, u64);

impl SharedChats {
    pub(super) fn new(store: &Arc<SharedStore>) -> Self {
        Self {
            store: Arc::clone(store),
            acquire: StoreScript::new(include_str!("acquire.lua")),
            renew: StoreScript::new(include_str!("renew.lua")),
            release: StoreScript::new(include_str!("release.lua")),
            released: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// All lie in one slot of a Cluster, so that one call may name several.
    fn key(&self, what: impl std::fmt::Display) -> String {
        format!("{}v1:{{chats}}:{what}", self.store.prefix)
    }

    /// It has ended.
    pub(super) fn release(&self, chat: HeldChat) {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        if released.len() < MOST_RELEASED {
            released.push(chat);
        }
        drop(released);
        self.wake.notify_one();
    }

    /// `false`: another replica has it.
    async fn acquire(&self, calls: &Calls, (tag, number): HeldChat) -> Result<bool, CallFailed> {
        let keys = [self.key(tag), self.key("replicas")];
        let mut script = self.acquire.call();
        script.key(&keys).arg(&*self.store.replica).arg(number).arg(KEPT_MS).arg(LIFE_MS);
        calls.run(CallClass::Front, "chat", &keys, &script).await
    }

    /// Gives back what has ended.
    async fn give_back(&self, calls: &Calls) {
        let released = std::mem::take(&mut *self.released.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, chats) in released.chunks(AT_ONCE).enumerate() {
            let mut script = self.release.call();
            script.arg(&*self.store.replica);
            let keys: Vec<String> = chats.iter().map(|(tag, _)| self.key(tag)).collect();
            script.key(&keys);
            for (_, number) in chats {
                script.arg(number);
            }
            if calls.run::<u64>(CallClass::Front, "chat_end", &keys, &script).await.is_err() {
                // It may answer again.
                released.iter().skip(at * AT_ONCE).for_each(|chat| self.keep_released(*chat));
                return;
            }
        }
    }

    fn keep_released(&self, chat: HeldChat) {
        self.released.lock().unwrap_or_else(PoisonError::into_inner).push(chat);
    }

    /// Says that this replica lives, and has these chats.
    async fn renew(&self, calls: &Calls, held: &[HeldChat]) -> Result<(), CallFailed> {
        let mut chats = held.chunks(AT_ONCE);
        let mut next = chats.next().or(Some(&[]));
        while let Some(held) = next {
            let mut keys = vec![self.key("replicas")];
            keys.extend(held.iter().map(|(tag, _)| self.key(tag)));
            let mut script = self.renew.call();
            script.key(&keys).arg(&*self.store.replica).arg(KEPT_MS).arg(LIFE_MS);
            for (_, number) in held {
                script.arg(number);
            }
            calls.run::<u64>(CallClass::Background, "chats", &keys, &script).await?;
            next = chats.next();
        }
        Ok(())
    }
}

/// The lease, unless another replica has the chat. Where the store says nothing in time, what is known here counts.
pub(super) async fn agreed(mut lease: ChatLease) -> Option<ChatLease> {
    let chats = Arc::clone(&lease.chats);
    let (Some(shared), Some(tag)) = (&chats.shared, lease.tag) else { return Some(lease) };
    let end = Instant::now() + shared.store.timeout;
    let mut is_busy = false;
    loop {
        match timeout_at(end, ask(&chats, &lease, tag)).await {
            Ok(Ok(true)) => return Some(lease),
            Ok(Ok(false)) if !is_busy => {
                is_busy = true;
                sleep_until(end.min(Instant::now() + ASK_AGAIN)).await;
            }
            Err(_) | Ok(Err(_)) if !is_busy => return Some(lease),
            _ => {
                lease.disown();
                return None;
            }
        }
    }
}

/// Asks on the store's thread. Whatever becomes of whoever asks, what is granted is kept or given back.
fn ask(chats: &Arc<Chats>, lease: &ChatLease, tag: StoreTag) -> oneshot::Receiver<bool> {
    let (answer, asked) = oneshot::channel();
    let (held, place, number) = (Arc::clone(chats), lease.place.clone(), lease.number);
    if let Some(shared) = &chats.shared {
        shared.store.submit(move |calls| async move {
            let Some(shared) = &held.shared else { return };
            if let Ok(is_ours) = shared.acquire(&calls, (tag, number)).await {
                if is_ours && !held.has(&place, number) {
                    shared.release((tag, number));
                }
                let _ = answer.send(is_ours);
            }
        });
    }
    asked
}

/// Looks after what this replica has, on the store's thread.
pub(super) fn begin(chats: &Arc<Chats>) {
    let Some(shared) = &chats.shared else { return };
    let chats = Arc::clone(chats);
    shared.store.submit(|calls| async move { tend(&chats, &calls).await });
}

async fn tend(chats: &Chats, calls: &Calls) {
    let Some(shared) = &chats.shared else { return };
    let health = shared.store.health();
    let mut due = Instant::now() + EVERY;
    // When all chats were said last; `None`: the store may have forgotten them.
    let mut said = None;
    loop {
        let ends = tokio::select! {
            () = sleep_until(due) => false,
            () = shared.wake.notified() => false,
            () = calls.closed() => true,
        };
        if health.is_heard() {
            shared.give_back(calls).await;
        }
        if ends {
            return;
        }
        if Instant::now() < due {
            continue;
        }
        due = Instant::now() + EVERY;
        if !health.is_heard() {
            said = None;
        } else if chats.shares_any() {
            let now = Instant::now();
            let is_due = said.is_none_or(|said| now >= said + SAY_AGAIN);
            let held = if is_due { chats.shared_ones() } else { Vec::new() };
            match shared.renew(calls, &held).await {
                Ok(()) if is_due => said = Some(now),
                Ok(()) => {}
                Err(CallFailed) => said = None,
            }
        }
    }
}
