//! Stands between a gateway and the store, as a network does: it passes bytes on, closes connections, or says nothing.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use super::store::StoreServer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayMode {
    Open,
    /// Connections are closed, at once and from now on.
    Closed,
    /// Nothing comes through, and nobody is told of it: not even that the other side has closed.
    Silent,
}

/// See the module.
pub(crate) struct StoreRelay {
    dir: TempDir,
    state: Arc<RelayState>,
}

struct RelayState {
    mode: Mutex<RelayMode>,
    streams: Mutex<Vec<UnixStream>>,
    store: PathBuf,
}

impl StoreRelay {
    pub(crate) fn start(store: &StoreServer) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        let state = Arc::new(RelayState {
            mode: Mutex::new(RelayMode::Open),
            streams: Mutex::default(),
            store: store.socket(),
        });
        let relayed = Arc::clone(&state);
        thread::spawn(move || listener.incoming().flatten().for_each(|client| relayed.accept(client)));
        Self { dir, state }
    }

    /// `unix://…`, for `urls`.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("socket").display())
    }

    /// What was silent before does not speak again: its connections are closed.
    pub(crate) fn set(&self, mode: RelayMode) {
        let before = std::mem::replace(&mut *self.state.mode.lock().unwrap(), mode);
        if mode == RelayMode::Closed || before == RelayMode::Silent {
            for stream in self.state.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl RelayState {
    fn mode(&self) -> RelayMode {
        *self.mode.lock().unwrap()
    }

    fn accept(self: &Arc<Self>, client: UnixStream) {
        if self.mode() == RelayMode::Closed {
            return;
        }
        let Ok(store) = UnixStream::connect(&self.store) else { return };
        let copy = |stream: &UnixStream| stream.try_clone().expect("a second handle");
        self.streams.lock().unwrap().extend([copy(&client), copy(&store)]);
        for (from, to) in [(copy(&client), copy(&store)), (store, client)] {
            let state = Arc::clone(self);
            thread::spawn(move || state.pass(from, to));
        }
    }

    fn pass(&self, mut from: UnixStream, mut to: UnixStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if self.mode() == RelayMode::Open && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        if self.mode() != RelayMode::Silent {
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}
