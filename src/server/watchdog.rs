//! Whether all threads that must not stand still do not: each beats now and then, and who watches sees who has stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Of several threads.
#[derive(Debug)]
pub(crate) struct Watchdog {
    names: Vec<String>,
    beats: Arc<[AtomicU32]>,
    /// At the last look.
    seen: Vec<u32>,
    every: Duration,
}

/// One thread's part.
#[derive(Debug)]
pub(crate) struct ThreadHeartbeat {
    beats: Arc<[AtomicU32]>,
    index: usize,
    every: Duration,
}

impl Watchdog {
    /// Between two looks at it `every` passes twice or more.
    pub(crate) fn new(names: Vec<String>, every: Duration) -> (Self, Vec<ThreadHeartbeat>) {
        // The first look finds that each has begun.
        let beats: Arc<[AtomicU32]> = names.iter().map(|_| AtomicU32::new(1)).collect();
        let parts = (0..names.len()).map(|index| ThreadHeartbeat { beats: Arc::clone(&beats), index, every }).collect();
        (Self { seen: vec![0; names.len()], names, beats, every }, parts)
    }

    /// Who has not beaten since the last look.
    pub(crate) fn stopped(&mut self) -> Vec<&str> {
        let mut stopped = Vec::new();
        for ((name, beat), seen) in self.names.iter().zip(&*self.beats).zip(&mut self.seen) {
            let now = beat.load(Ordering::Relaxed);
            if std::mem::replace(seen, now) == now {
                stopped.push(name.as_str());
            }
        }
        stopped
    }

    /// Between two looks.
    pub(crate) fn pause(&self) -> Duration {
        self.every * 2
    }
}

impl ThreadHeartbeat {
    pub(crate) async fn run(self) {
        loop {
            self.beat();
            tokio::time::sleep(self.every).await;
        }
    }

    fn beat(&self) {
        if let Some(beat) = self.beats.get(self.index) {
            beat.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_still_is_named() {
        let names = ["worker-0", "control"].map(str::to_owned).to_vec();
        let (mut watchdog, beats) = Watchdog::new(names, Duration::from_secs(1));
        assert!(watchdog.stopped().is_empty());
        beats[1].beat();
        assert_eq!(watchdog.stopped(), ["worker-0"]);
        assert_eq!(watchdog.stopped(), ["worker-0", "control"]);
        beats.iter().for_each(ThreadHeartbeat::beat);
        assert!(watchdog.stopped().is_empty());
    }
}
