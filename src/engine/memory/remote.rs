//! What chats remember, asked of the process that has taken this one's place: one question after the other, over a socket
//! that both have.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{Store, Turn};
use crate::frames;

/// For one answer. The successor may be reading a folder full of chats at first.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a question or an answer: all that one session holds, as JSON, and more.
const LONGEST: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct RemoteStore {
    /// To end a question that waits.
    handle: UnixStream,
    socket: Mutex<UnixStream>,
}

/// The successor has not answered.
pub(super) struct Gone(pub(super) io::Error);

/// One question. Texts are whole.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct MemoryQuestion {
    flow: String,
    session: String,
    what: MemoryCall,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum MemoryCall {
    Turns,
    Add(Vec<Turn>),
    Run,
    KeepRun(Option<String>),
    ReplaceRun { known: String, next: String },
}

/// What was asked for, or nothing: the store failed, and has said so in the log.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct MemoryAnswer<T> {
    done: Vec<T>,
}

impl RemoteStore {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { handle: socket.try_clone()?, socket: Mutex::new(socket) })
    }

    /// Whoever waits for an answer gets none.
    pub(super) fn give_up(&self) {
        let _ = self.handle.shutdown(Shutdown::Both);
    }

    pub(super) fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Gone> {
        self.ask(flow, session, MemoryCall::Turns)
    }

    pub(super) fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Gone> {
        self.ask(flow, session, MemoryCall::Add(turns.to_vec()))
    }

    pub(super) fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Gone> {
        let run: Option<String> = self.ask(flow, session, MemoryCall::Run)?;
        Ok(run.map(Arc::from))
    }

    pub(super) fn keep_run(&self, flow: &str, session: &str, run: Option<&str>) -> Result<(), Gone> {
        self.ask(flow, session, MemoryCall::KeepRun(run.map(str::to_owned)))
    }

    pub(super) fn replace_run(&self, flow: &str, session: &str, known: &str, next: &str) -> Result<bool, Gone> {
        self.ask(flow, session, MemoryCall::ReplaceRun { known: known.to_owned(), next: next.to_owned() })
    }

    fn ask<T: DeserializeOwned>(&self, flow: &str, session: &str, what: MemoryCall) -> Result<T, Gone> {
        let question = MemoryQuestion { flow: flow.to_owned(), session: session.to_owned(), what };
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = (|| {
            frames::write(&*socket, &serde_json::to_vec(&question)?)?;
            let MemoryAnswer { done } = serde_json::from_slice(&frames::read(&*socket, LONGEST)?)?;
            done.into_iter().next().ok_or_else(|| io::Error::other("the successor could not do it"))
        })();
        // An answer that comes late would be taken for that of the next question.
        if let Err(error) = &answer
            && error.kind() != io::ErrorKind::Other
        {
            self.give_up();
        }
        answer.map_err(Gone)
    }
}

/// Answers the process whose place this one takes, until it has ended.
pub(crate) fn serve_predecessor(socket: &UnixStream, store: &dyn Store) {
    loop {
        let answered = frames::read(socket, LONGEST).and_then(|question| {
            let question: MemoryQuestion = serde_json::from_slice(&question)?;
            frames::write(socket, &answer(store, question)?)
        });
        match answered {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                tracing::warn!(%error, "the predecessor's chats are not remembered any more");
                return;
            }
        }
    }
}

fn answer(store: &dyn Store, MemoryQuestion { flow, session, what }: MemoryQuestion) -> io::Result<Vec<u8>> {
    fn written<T: Serialize>(answer: Result<T, Failure>) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&MemoryAnswer { done: answer.into_iter().collect() })?)
    }
    match what {
        MemoryCall::Turns => written(store.turns(&flow, &session)),
        MemoryCall::Add(turns) => written(store.add(&flow, &session, &turns)),
        MemoryCall::Run => written(store.run(&flow, &session).map(|run| run.map(|run| run.to_string()))),
        MemoryCall::KeepRun(run) => written(store.keep_run(&flow, &session, run.map(Arc::from))),
        MemoryCall::ReplaceRun { known, next } => written(store.replace_run(&flow, &session, &known, Arc::from(next))),
    }
}
