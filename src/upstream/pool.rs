//! One worker's idle connections to upstreams: no lock, no task per request, last in first out.
//!
//! Node closes a connection that was idle for 5 s, and a request that crosses the close is lost. So an idle
//! connection is used for half the time that the upstream's `Keep-Alive` promises, and one that rested for more than
//! a moment is looked at first.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::http1::Connection;

/// Idle time when the upstream promises nothing: half of Node's 5 s.
pub(super) const USUAL_REST: Duration = Duration::from_millis(2500);
/// Longest idle time, whatever the upstream promises.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// A connection that rested for longer is looked at before it is used.
const BRIEF_REST: Duration = Duration::from_millis(20);
/// Idle connections to one endpoint.
const MOST_IDLE: usize = 512;

struct Idle {
    connection: Connection,
    since: Instant,
    rest: Duration,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Pool {
    /// By endpoint; there are few, so a search is faster than a hash.
    idle: RefCell<Vec<(u64, Vec<Idle>)>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    /// An idle connection that is good for a request; `None`: open one.
    pub(super) fn take(&self, endpoint: u64, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let (_, resting) = idle.iter_mut().find(|(id, _)| *id == endpoint)?;
        while let Some(Idle { connection, since, rest }) = resting.pop() {
            let rested = now.saturating_duration_since(since);
            if rested < rest && (rested <= BRIEF_REST || connection.is_quiet()) {
                return Some(connection);
            }
        }
        None
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn give_back(&self, endpoint: u64, connection: Connection, rest: Duration) {
        let mut idle = self.idle.borrow_mut();
        let known = idle.iter().position(|(id, _)| *id == endpoint);
        let index = known.unwrap_or_else(|| {
            idle.push((endpoint, Vec::new()));
            idle.len() - 1
        });
        if let Some((_, resting)) = idle.get_mut(index)
            && resting.len() < MOST_IDLE
        {
            resting.push(Idle { connection, since: Instant::now(), rest });
        }
    }

    /// Closes connections that have rested long enough, so that the upstream need not.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain_mut(|(_, resting)| {
            resting.retain(|idle| now.saturating_duration_since(idle.since) < idle.rest);
            !resting.is_empty()
        });
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
    fn half_of_what_the_upstream_promises_is_used() {
        assert_eq!(promised_rest("max=5"), None);
        assert_eq!(promised_rest("timeout=5"), Some(Duration::from_millis(2500)));
        assert_eq!(promised_rest("max=3, timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(promised_rest("timeout=0"), Some(Duration::ZERO));
        assert_eq!(promised_rest("timeout=99999999"), Some(LONGEST_REST));
    }
}
