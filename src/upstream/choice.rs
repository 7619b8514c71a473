//! Which server gets a request.
//!
//! Flowise keeps running chats in memory, so a chat goes on where it was answered last. One that nobody remembers goes
//! where the hash of its id says, on every gateway alike (rendezvous hashing). All others go where the fewest requests are
//! under way. Servers that take no connections or fail their checks come last, and are tried all the same: better than to
//! refuse.

use std::sync::Arc;

use super::target::Target;
use crate::client::Origin;
use crate::state::endpoints::{Availability, UrlMember, UrlState, fnv1a};

/// What a request has to do with a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Affinity {
    /// It belongs to a chat.
    Chat(u64),
    /// It begins one, which goes on where it is answered.
    NewChat(u64),
    Nothing,
}

impl Affinity {
    /// To a chat with that id.
    pub(crate) fn chat(id: impl AsRef<[u8]>) -> Self {
        Self::Chat(fnv1a(id.as_ref()))
    }

    /// To a chat that begins, or to one that is known by its client.
    pub(crate) fn of_chat(id: &str, is_new: bool) -> Self {
        let hash = fnv1a(id.as_bytes());
        if is_new { Self::NewChat(hash) } else { Self::Chat(hash) }
    }
}

/// One server of a target.
pub(super) struct Chosen<'a> {
    pub(super) origin: &'a Origin,
    pub(super) url: &'a UrlState,
    pub(super) member: Arc<UrlMember>,
}

/// The least is the best: how willing it is to try that server at all, then what the way of choosing says.
type Rank = (Willing, u64, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Willing {
    Yes,
    /// It has just come back, and it is not this chat's turn yet.
    Later,
    Last,
}

impl Target {
    /// The best server of those that are not in `tried`. `turn` decides where nothing else does.
    pub(super) fn choose(&self, affinity: Affinity, turn: u64, tried: &[u64]) -> Option<Chosen<'_>> {
        let mut best: Option<(Rank, Chosen<'_>)> = None;
        let mut has_others = self.urls.len() > 1;
        for (origin, url) in &self.urls {
            let members = url.members();
            has_others |= members.len() > 1;
            for member in members.iter().filter(|member| !tried.contains(&member.peer.id())) {
                // With one server there is no choice.
                let rank = if has_others { self.rank(member, affinity, turn) } else { (Willing::Last, 0, 0) };
                if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                    best = Some((rank, Chosen { origin, url, member: Arc::clone(member) }));
                }
            }
        }
        let (_, chosen) = best?;
        if has_others && let Affinity::Chat(chat) | Affinity::NewChat(chat) = affinity {
            self.stick_table.remember(mix(chat), chosen.member.peer.id());
        }
        Some(chosen)
    }

    fn rank(&self, member: &UrlMember, affinity: Affinity, turn: u64) -> Rank {
        let availability = member.health.availability(self.settings.slow_start);
        let chat = match affinity {
            Affinity::Chat(chat) => chat,
            Affinity::NewChat(seed) => return by_load(member, availability, seed),
            Affinity::Nothing => return by_load(member, availability, turn),
        };
        if availability != Availability::Out && self.stick_table.is_at(mix(chat), member.peer.id()) {
            return (Willing::Yes, 0, 0);
        }
        let score = mix(chat ^ member.weight);
        let willing = match availability {
            Availability::Ready => Willing::Yes,
            // A chat that may go there may do so from then on.
            Availability::Warming(share) if mix(score) % 1000 < share => Willing::Yes,
            Availability::Warming(_) => Willing::Later,
            Availability::Out => Willing::Last,
        };
        (willing, score, 0)
    }
}

/// The one with the fewest requests under way, for what it is to be given.
fn by_load(member: &UrlMember, availability: Availability, seed: u64) -> Rank {
    let (willing, share) = match availability {
        Availability::Ready => (Willing::Yes, 1000),
        Availability::Warming(share) => (Willing::Yes, share),
        Availability::Out => (Willing::Last, 1000),
    };
    let load = (member.peer.in_flight() as u64 + 1) * 1000 / share.max(1);
    (willing, load, mix(seed ^ member.weight))
}

/// The finaliser of `SplitMix64`: spreads similar inputs.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
