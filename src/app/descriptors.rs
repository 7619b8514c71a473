//! Room in the kernel's table of this process's descriptors.
//!
//! The table doubles when it is full. In a process of several threads the kernel then waits until no core looks at the
//! old one, and whoever opens the 257th, 513th or 1025th descriptor stands still for 10 to 30 ms, a worker with all its
//! connections. While there is one thread, it is at once.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};

/// Files, listeners, and connections to whoever is not an upstream.
const OTHERS: u64 = 256;
/// The table has no more by that, which takes 8 bytes for each; one that still grows then does so seldom.
const MOST: u64 = 64 * 1024;

/// Makes room for so many connections of clients, and as many to upstreams, as far as the process may have them. To be
/// called before any thread is started.
pub(crate) fn make_room(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(MOST).saturating_mul(2).saturating_add(OTHERS).min(MOST);
    let count = getrlimit(Resource::Nofile).current.map_or(wanted, |limit| wanted.min(limit));
    if let Ok(last) = i32::try_from(count.saturating_sub(1)) {
        // The table stays as large when that is closed. Without room, it grows as it is needed.
        drop(fcntl_dupfd_cloexec(std::io::stdin(), last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_and_no_descriptor_stays_open() {
        let size = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        make_room(300);
        assert!(size() >= limit.min(856), "{}", size());
        assert_eq!(open(), before);
        make_room(usize::MAX);
        assert!(size() >= limit.min(MOST) && size() <= MOST.max(limit), "{}", size());
    }
}
