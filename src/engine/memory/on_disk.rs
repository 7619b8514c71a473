//! Chats that survive a restart, from the first that is remembered on.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::records::RecordFile;
use super::remote::{Gone, RemoteStore};
use super::write_behind::WriteBehindStore;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{Store, Turn};
use crate::engine::contract::records::RecordStore;
use crate::telemetry::metrics::Metrics;

/// Survives a restart: kept in a folder, which is made and taken hold of by whoever remembers first. The process that
/// takes this one's place takes the folder too, and is asked from then on.
#[derive(Debug)]
pub(crate) struct OnDisk {
    folder: PathBuf,
    metrics: Arc<Metrics>,
    place: RwLock<ChatsPlace>,
    opening: Mutex<()>,
    records: Arc<dyn RecordStore>,
}

/// Who has the folder.
#[derive(Debug)]
enum ChatsPlace {
    Nobody,
    /// Nobody else holds it, so that the file is closed when it is dropped.
    Here(Box<WriteBehindStore>),
    There(Arc<RemoteStore>),
}

/// What can be asked of either.
type Ask<'a, T> = &'a dyn Fn(&dyn Store) -> Result<T, Failure>;

impl OnDisk {
    pub(crate) fn new(folder: PathBuf, metrics: &Arc<Metrics>) -> Self {
        let place = RwLock::new(ChatsPlace::Nobody);
        let records = Arc::new(RecordFile::in_folder(&folder));
        Self { folder, metrics: Arc::clone(metrics), place, opening: Mutex::default(), records }
    }

    /// Takes hold of the folder.
    ///
    /// # Errors
    /// It cannot be used, or another process does.
    pub(crate) fn open(&self) -> io::Result<()> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*self.place(), ChatsPlace::Nobody) {
            let store = Box::new(WriteBehindStore::open(&self.folder, &self.metrics)?);
            self.put(ChatsPlace::Here(store));
        }
        Ok(())
    }

    /// Writes what waits, lets go of the folder, and asks the process behind `successor` from now on. Where nobody has
    /// remembered anything, the folder is the successor's all the same.
    pub(crate) fn hand_over(&self, successor: UnixStream) -> io::Result<()> {
        let remote = ChatsPlace::There(Arc::new(RemoteStore::new(successor)?));
        let _not_opened_meanwhile = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let ChatsPlace::Here(store) = self.put(remote) {
            store.finish();
        }
        Ok(())
    }

    /// The successor has failed: the folder is this process's again.
    pub(crate) fn take_back(&self) {
        if let ChatsPlace::There(remote) = self.put(ChatsPlace::Nobody) {
            remote.give_up();
        }
    }

    fn place(&self) -> std::sync::RwLockReadGuard<'_, ChatsPlace> {
        self.place.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, place: ChatsPlace) -> ChatsPlace {
        std::mem::replace(&mut *self.place.write().unwrap_or_else(PoisonError::into_inner), place)
    }

    /// Asks whoever has the folder.
    fn ask<T>(&self, here: Ask<'_, T>, there: impl Fn(&RemoteStore) -> Result<T, Gone>) -> Result<T, Failure> {
        // Twice: a successor that fails gives the folder back.
        for _ in 0..2 {
            self.open_if_nobody_has_it()?;
            let remote = match &*self.place() {
                ChatsPlace::Here(store) => return here(&**store),
                ChatsPlace::There(remote) => Arc::clone(remote),
                ChatsPlace::Nobody => continue,
            };
            match there(&remote) {
                Ok(answer) => return Ok(answer),
                Err(Gone(error)) => tracing::debug!(%error, "what chats remember is not to be had from the successor"),
            }
        }
        Err(Failure::flow("What the chat remembers cannot be read."))
    }

    fn open_if_nobody_has_it(&self) -> Result<(), Failure> {
        if !matches!(*self.place(), ChatsPlace::Nobody) {
            return Ok(());
        }
        self.open().map_err(|error| {
            tracing::error!(folder = %self.folder.display(), %error, "chats cannot be remembered");
            Failure::flow("What the chat remembers cannot be read.")
        })
    }
}

impl Store for OnDisk {
    fn reads_wait(&self) -> bool {
        true
    }

    /// Unless the folder is held.
    fn writes_wait(&self) -> bool {
        !matches!(*self.place(), ChatsPlace::Here(_))
    }

    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        self.ask(&|store| store.turns(flow, session), |remote| remote.turns(flow, session))
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        self.ask(&|store| store.add(flow, session, turns), |remote| remote.add(flow, session, turns))
    }

    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        self.ask(&|store| store.run(flow, session), |remote| remote.run(flow, session))
    }

    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure> {
        self.ask(&|store| store.keep_run(flow, session, run.clone()), |remote| {
            remote.keep_run(flow, session, run.as_deref())
        })
    }

    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure> {
        self.ask(&|store| store.replace_run(flow, session, known, Arc::clone(&next)), |remote| {
            remote.replace_run(flow, session, known, &next)
        })
    }

    fn records(&self) -> Option<&Arc<dyn RecordStore>> {
        Some(&self.records)
    }

    fn finish(&self) {
        if let ChatsPlace::Here(store) = &*self.place() {
            store.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::serve_predecessor;

    fn turn(text: &str) -> Turn {
        Turn { by_user: true, text: text.to_owned() }
    }

    #[test]
    fn the_folder_goes_to_the_successor_which_is_asked_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let (old, new) = [(); 2].map(|()| OnDisk::new(folder.path().to_owned(), &metrics)).into();
        let new = Arc::new(new);
        old.add("f", "s", &[turn("before")]).unwrap();
        assert!(new.open().is_err(), "it is held");
        let (ours, theirs) = UnixStream::pair().unwrap();
        old.hand_over(ours).unwrap();
        new.open().unwrap();
        let asked: Arc<dyn Store> = Arc::clone(&new) as Arc<dyn Store>;
        let server = std::thread::spawn(move || serve_predecessor(&theirs, &*asked));
        assert!(old.writes_wait());
        old.add("f", "s", &[turn("after")]).unwrap();
        let both = [turn("before"), turn("after")];
        assert_eq!((old.turns("f", "s").unwrap(), new.turns("f", "s").unwrap()), (both.to_vec(), both.to_vec()));
        old.keep_run("f", "s", Some("one".into())).unwrap();
        assert_eq!(old.run("f", "s").unwrap().as_deref(), Some("one"));
        assert!(!old.replace_run("f", "s", "other", "two".into()).unwrap());
        assert!(old.replace_run("f", "s", "one", "two".into()).unwrap());
        assert_eq!(new.run("f", "s").unwrap().as_deref(), Some("two"));
        drop(old);
        server.join().unwrap();
    }

    #[test]
    fn a_successor_that_fails_gives_the_folder_back() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let old = Arc::new(OnDisk::new(folder.path().to_owned(), &metrics));
        old.add("f", "s", &[turn("before")]).unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        old.hand_over(ours).unwrap();
        let waiting = std::thread::spawn({
            let old = Arc::clone(&old);
            move || old.turns("f", "s")
        });
        old.take_back();
        assert_eq!(waiting.join().unwrap().unwrap(), [turn("before")]);
    }
}
