//! When to look at the files: on a file event, on demand (SIGHUP), and once a second, since network file systems and
//! full inotify tables give no events. Looking costs one `stat` a file. Keys are looked at as soon as some file is
//! written to its end or put in its place, all else once nothing has happened for a moment.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::apply::{ReloadCheck, Reloader};

/// Between two looks without an event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After an event: a file that is being written is left in peace until nothing has happened for so long,
const SETTLE: Duration = Duration::from_millis(50);
/// but not for longer than this.
const LONGEST_SETTLE: Duration = Duration::from_millis(500);
/// A look that takes longer is told of.
const OVERDUE: Duration = Duration::from_secs(10);

/// A wish to reload now; told whether the new set is in force.
pub(crate) struct ReloadNow(pub(crate) Option<oneshot::Sender<bool>>);

/// What is to be looked for once the look that is made has ended.
#[derive(Default)]
struct Wish {
    is_due: bool,
    /// Read again even if nothing has changed.
    force: bool,
    answers: Vec<oneshot::Sender<bool>>,
}

/// A look that is made.
struct Looking {
    job: JoinHandle<ReloadCheck>,
    since: Instant,
    answers: Vec<oneshot::Sender<bool>>,
}

/// A burst of events, for as long as it lasts.
#[derive(Debug, Clone, Copy)]
struct Burst {
    began: Instant,
    last: Instant,
}

impl Burst {
    /// When it counts as over.
    fn end(self) -> Instant {
        (self.last + SETTLE).min(self.began + LONGEST_SETTLE)
    }
}

/// Runs until the gateway ends.
pub(crate) async fn watch(mut reloader: Reloader, mut wanted: mpsc::Receiver<ReloadNow>) {
    let (event_sent, mut event) = mpsc::channel(1);
    let (whole_sent, mut whole) = mpsc::channel(1);
    let mut folders = Folders::new(event_sent, whole_sent);
    let mut burst: Option<Burst> = None;
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut wish = Wish::default();
    let mut looking: Option<Looking> = None;
    loop {
        let mut are_keys_due = true;
        tokio::select! {
            now = wanted.recv() => match now {
                Some(ReloadNow(done)) => {
                    wish.force = true;
                    wish.answers.extend(done);
                }
                None => return,
            },
            Some(()) = event.recv() => {
                let last = Instant::now();
                burst = Some(Burst { last, ..burst.unwrap_or(Burst { began: last, last }) });
                // Whoever is writing is left in peace.
                continue;
            }
            // Keys are looked at below.
            Some(()) = whole.recv() => {}
            () = end_of_burst(burst) => {
                burst = None;
                wish.is_due = true;
            }
            _ = tick.tick() => match &looking {
                None => wish.is_due = true,
                Some(looking) if looking.since.elapsed() > OVERDUE => reloader.tell_overdue(),
                Some(_) => {}
            },
            looked = end_of(&mut looking) => {
                let answers = looking.take().map(|looking| looking.answers).unwrap_or_default();
                let Some(back) = settled(reloader, looked, answers).await else { return };
                reloader = back;
                // What changed before a folder was watched gave no event.
                wish.is_due |= reloader.folders().is_some_and(|wanted| folders.follow(wanted));
                are_keys_due = false;
            }
        }
        if are_keys_due {
            let Some((back, ())) = apart(reloader, Reloader::look_at_keys).await else { return };
            reloader = back;
        }
        if looking.is_none() && (wish.is_due || wish.force) {
            let Wish { force, answers, .. } = std::mem::take(&mut wish);
            let job = reloader.job(force);
            looking = Some(Looking { job: spawn_blocking(|| job.run()), since: Instant::now(), answers });
        }
    }
}

/// Never, if there is none.
async fn end_of_burst(burst: Option<Burst>) {
    match burst {
        Some(burst) => tokio::time::sleep_until(burst.end()).await,
        None => std::future::pending().await,
    }
}

/// Never, if none is made.
async fn end_of(looking: &mut Option<Looking>) -> Result<ReloadCheck, JoinError> {
    match looking {
        Some(looking) => (&mut looking.job).await,
        None => std::future::pending().await,
    }
}

async fn settled(
    mut reloader: Reloader,
    looked: Result<ReloadCheck, JoinError>,
    answers: Vec<oneshot::Sender<bool>>,
) -> Option<Reloader> {
    let (reloader, is_in_force) = match looked {
        // Once a second, as a rule: another thread is not woken for it.
        Ok(looked) if looked.is_as_before() => {
            let is_in_force = reloader.settle(looked);
            (reloader, is_in_force)
        }
        Ok(looked) => apart(reloader, |reloader| reloader.settle(looked)).await?,
        Err(_) => {
            tracing::error!("a reload failed unexpectedly, what was in force stays in force");
            (reloader, false)
        }
    };
    for done in answers {
        let _ = done.send(is_in_force);
    }
    Some(reloader)
}

/// Does what reads or computes for milliseconds elsewhere: metrics and health go on meanwhile.
async fn apart<T: Send + 'static>(
    mut reloader: Reloader,
    work: impl FnOnce(&mut Reloader) -> T + Send + 'static,
) -> Option<(Reloader, T)> {
    let done = spawn_blocking(move || {
        let done = work(&mut reloader);
        (reloader, done)
    });
    done.await.inspect_err(|_| tracing::error!("the reload failed unexpectedly; files are no longer watched")).ok()
}

fn is_reading(kind: EventKind) -> bool {
    kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
}

/// A file is there as it was meant to be: closed by whoever wrote it, or renamed to its name.
fn is_whole(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
    )
}

/// The folders under watch.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    /// `whole` is told of files that are there as they were meant to be, beside `event`.
    fn new(event: mpsc::Sender<()>, whole: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |happened: notify::Result<notify::Event>| {
            // Whoever reads a file changes nothing, and a look reads them.
            let kind = happened.map_or(EventKind::Any, |happened| happened.kind);
            if is_reading(kind) {
                return;
            }
            // Full: a look is due already.
            let _ = event.try_send(());
            if is_whole(kind) {
                let _ = whole.try_send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no file events: changes are found by looking once a second");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Whether there is one that was not watched before.
    fn follow(&mut self, wanted: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        for gone in self.watched.difference(wanted) {
            // It may have been deleted, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        let followed = wanted.iter().filter(|folder| {
            self.watched.contains(*folder) || watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
        });
        let followed = followed.cloned().collect();
        let before = std::mem::replace(&mut self.watched, followed);
        !self.watched.is_subset(&before)
    }
}
