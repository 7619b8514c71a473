//! When to look at the files: on a file event, on demand (SIGHUP), and once a second, since network file systems and
//! full inotify tables give no events. Looking costs one `stat` a file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, oneshot};

use super::apply::Reloader;

/// Between two looks without an event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After an event: a file that is being written is left in peace until nothing has happened for so long,
const SETTLE: Duration = Duration::from_millis(50);
/// but not for longer than this.
const LONGEST_SETTLE: Duration = Duration::from_millis(500);

/// A wish to reload now; told whether the new set is in force.
pub(crate) struct Now(pub(crate) Option<oneshot::Sender<bool>>);

/// Runs until the gateway ends.
pub(crate) async fn watch(mut reloader: Reloader, mut wanted: mpsc::Receiver<Now>) {
    let (event_sent, mut event) = mpsc::channel(1);
    let mut folders = Folders::new(event_sent);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        folders.follow(&reloader.files.folders());
        let now = tokio::select! {
            now = wanted.recv() => match now {
                Some(now) => Some(now),
                None => return,
            },
            Some(()) = event.recv() => {
                // Whatever comes meanwhile is covered by the look that follows.
                let quiet = async { while tokio::time::timeout(SETTLE, event.recv()).await.is_ok() {} };
                let _ = tokio::time::timeout(LONGEST_SETTLE, quiet).await;
                None
            }
            _ = tick.tick() => None,
        };
        let force = now.is_some();
        // Reading and validating a large keys file takes milliseconds; metrics and health go on meanwhile.
        let looked = tokio::task::spawn_blocking(move || {
            let is_in_force = reloader.reload(force);
            (reloader, is_in_force)
        });
        let Ok((back, is_in_force)) = looked.await else {
            tracing::error!("the reload failed unexpectedly; files are no longer watched");
            return;
        };
        reloader = back;
        if let Some(Now(Some(done))) = now {
            let _ = done.send(is_in_force);
        }
    }
}

fn is_reading(kind: EventKind) -> bool {
    kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
}

/// The folders under watch.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(event: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |happened: notify::Result<notify::Event>| {
            // Whoever reads a file changes nothing, and a look reads them.
            if happened.is_ok_and(|happened| is_reading(happened.kind)) {
                return;
            }
            // Full: a look is due already.
            let _ = event.try_send(());
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no file events: changes are found by looking once a second");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    fn follow(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(wanted) {
            // It may have been deleted, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        let followed = wanted.iter().filter(|folder| {
            self.watched.contains(*folder) || watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
        });
        self.watched = followed.cloned().collect();
    }
}
