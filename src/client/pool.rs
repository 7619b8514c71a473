//! One thread's idle connections: no lock, no task for a request.
//!
//! A request that crosses the server's close is lost: it may not be sent again, since nobody knows what became of it
//! (RFC 9110, section 9.2.2). So an idle connection is used for half the time that the server's `Keep-Alive`
//! promises (Node closes after 5 s), and looked at first. That shows an end only once it has arrived; whether a
//! peer closes connections right behind its answers is learnt, see [`Habit`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::http1::Connection;

/// Idle time when the server promises nothing: half of Node's 5 s.
pub(super) const USUAL_REST: Duration = Duration::from_millis(2500);
/// Longest idle time, whatever the server promises.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How often connections that have rested are closed, while there are any.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Idle connections to one peer.
const MOST_IDLE: usize = 512;
/// Where connections are kept open, one that was given back so shortly before is used without a look, which is a system
/// call: an end that came before the events that the worker is busy with is known, and that it came since is unlikely.
const JUST_USED: Duration = Duration::from_millis(5);
/// A connection that is open so long after an answer was not closed behind it.
const TELLING_REST: Duration = Duration::from_millis(20);
/// As long, at a peer that was seen to close: whatever delays it there.
const CAUTIOUS_REST: Duration = Duration::from_millis(100);
/// What closes a connection so soon after an answer may well do the same to the next.
const EARLY: Duration = Duration::from_secs(1);
/// How long a peer is treated so after it was last seen to close early.
const CAUTION: Duration = Duration::from_secs(10);
/// What is known of a peer without connections is forgotten after that time.
const FORGOTTEN: Duration = Duration::from_mins(10);

struct Idle {
    connection: Connection,
    since: Instant,
    rest: Duration,
}

/// What a peer does with connections behind an answer.
#[derive(Debug, Clone, Copy)]
enum Habit {
    /// The first connection to be used again shows it.
    Unknown,
    KeepsOpen,
    /// It closed one early: until then, only connections that have rested for some time are used.
    Closes {
        until: Instant,
    },
}

/// One peer's idle connections, the one that rests longest in front.
struct Resting {
    peer: u64,
    idle: VecDeque<Idle>,
    habit: Habit,
    asked: Instant,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pool {
    /// There are few peers, so a search is faster than a hash.
    peers: RefCell<Vec<Resting>>,
    /// Notified when the first connection of all begins to rest.
    begun: Notify,
    is_swept: Cell<bool>,
}

/// What the pool has for a request.
pub(super) enum Taken {
    Connection(Connection),
    /// One that will tell in that time whether it is good.
    NotYet(Duration),
    /// A new one is to be opened.
    Nothing,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    pub(super) fn take(&self, peer: u64, now: Instant) -> Taken {
        let mut peers = self.peers.borrow_mut();
        match peers.iter_mut().find(|resting| resting.peer == peer) {
            Some(resting) => resting.take(now),
            None => Taken::Nothing,
        }
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn give_back(&self, peer: u64, connection: Connection, rest: Duration) {
        let now = Instant::now();
        let mut peers = self.peers.borrow_mut();
        if !self.is_swept.replace(true) {
            self.begun.notify_one();
        }
        let known = peers.iter().position(|resting| resting.peer == peer);
        let index = known.unwrap_or_else(|| {
            peers.push(Resting { peer, idle: VecDeque::new(), habit: Habit::Unknown, asked: now });
            peers.len() - 1
        });
        if let Some(resting) = peers.get_mut(index)
            && resting.idle.len() < MOST_IDLE
        {
            resting.idle.push_back(Idle { connection, since: now, rest });
        }
    }

    /// A connection that was used again had ended before it brought an answer.
    pub(super) fn ended_early(&self, peer: u64) {
        let mut peers = self.peers.borrow_mut();
        if let Some(resting) = peers.iter_mut().find(|resting| resting.peer == peer) {
            resting.habit = Habit::Closes { until: Instant::now() + CAUTION };
        }
    }

    /// Closes connections that have rested long enough, so that the server need not; for as long as the thread serves.
    pub(super) async fn keep(&self) {
        loop {
            self.begun.notified().await;
            while self.is_swept.get() {
                tokio::time::sleep(SWEEP_EVERY).await;
                self.sweep();
            }
        }
    }

    fn sweep(&self) {
        let (now, mut is_needed) = (Instant::now(), false);
        self.peers.borrow_mut().retain_mut(|resting| {
            resting.idle.retain(|idle| now.saturating_duration_since(idle.since) < idle.rest);
            is_needed |= !resting.idle.is_empty();
            !resting.idle.is_empty() || !resting.is_forgotten(now)
        });
        self.is_swept.set(is_needed);
    }
}

impl Resting {
    fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.asked) >= FORGOTTEN
    }

    fn take(&mut self, now: Instant) -> Taken {
        if self.is_forgotten(now) {
            self.habit = Habit::Unknown;
        }
        self.asked = now;
        loop {
            let needed = match self.habit {
                Habit::KeepsOpen => Duration::ZERO,
                Habit::Unknown => TELLING_REST,
                Habit::Closes { until } if now < until => CAUTIOUS_REST,
                Habit::Closes { .. } => {
                    self.habit = Habit::Unknown;
                    TELLING_REST
                }
            };
            // The last one is the warmest; where some may be dead, the one that has rested longest has shown most.
            let next = if needed.is_zero() { self.idle.pop_back() } else { self.idle.pop_front() };
            let Some(idle) = next else { return Taken::Nothing };
            let rested = now.saturating_duration_since(idle.since);
            if rested < needed {
                self.idle.push_front(idle);
                return match self.habit {
                    Habit::Unknown => Taken::NotYet(needed.saturating_sub(rested)),
                    _ => Taken::Nothing,
                };
            }
            if rested >= idle.rest {
                continue;
            }
            let is_just_used = needed.is_zero() && rested < JUST_USED;
            if is_just_used || idle.connection.is_quiet() {
                if matches!(self.habit, Habit::Unknown) {
                    self.habit = Habit::KeepsOpen;
                }
                return Taken::Connection(idle.connection);
            }
            if rested < EARLY {
                self.habit = Habit::Closes { until: now + CAUTION };
            }
        }
    }
}

/// How long a connection may rest after an answer with that `Keep-Alive`; zero: not at all.
pub(super) fn promised_rest(keep_alive: &str) -> Option<Duration> {
    let seconds: u64 =
        keep_alive.split(',').find_map(|item| item.trim().strip_prefix("timeout=")?.trim().parse().ok())?;
    Some((Duration::from_secs(seconds.min(3600)) / 2).min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_a_server_promises_is_used() {
        assert_eq!(promised_rest("max=5"), None);
        assert_eq!(promised_rest("timeout=5"), Some(Duration::from_millis(2500)));
        assert_eq!(promised_rest("max=3, timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(promised_rest("timeout=0"), Some(Duration::ZERO));
        assert_eq!(promised_rest("timeout=99999999"), Some(LONGEST_REST));
    }
}
