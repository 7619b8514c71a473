//! Chats that all replicas remember, in the store that they share. Bounded as those on disk.
//!
//! All of a flow lies in one slot of a Cluster: its sessions by when they were used, and of each its exchanges and its
//! last run. What is asked for long texts goes over a connection of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use redis::FromRedisValue;

use super::records::RecordFile;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::memory::{AGE, MOST_BYTES, MOST_SESSIONS, MOST_TURNS, Store, Turn};
use crate::engine::contract::records::RecordStore;
use crate::state::valkey::{CallClass, CallFailed, Calls, ScriptCall, SharedStore, StoreScript, StoreTag};

/// For one call, and whatever it waits for on the store's thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module. It is asked from threads that may wait.
#[derive(Debug)]
pub(crate) struct InStore {
    store: Arc<SharedStore>,
    scripts: Arc<MemoryScripts>,
    /// Each replica has its own.
    records: Arc<dyn RecordStore>,
}

#[derive(Debug)]
struct MemoryScripts {
    add: StoreScript,
    read: StoreScript,
    keep: StoreScript,
    get: StoreScript,
    forget: StoreScript,
}

/// Names of what is kept of a session.
struct SessionKeys {
    /// Of the flow.
    sessions: String,
    turns: String,
    run: String,
    /// Its name among the flow's sessions.
    tag: String,
}

/// Sessions that gave way to a new one, or `None`: nothing was written.
type Forgotten = Option<Vec<String>>;

impl InStore {
    /// `folder`: what no other replica needs to know lies there.
    pub(crate) fn new(store: &Arc<SharedStore>, folder: &Path) -> Self {
        let scripts = MemoryScripts {
            add: StoreScript::new(concat!(include_str!("use.lua"), include_str!("add.lua"))),
            read: StoreScript::new(include_str!("read.lua")),
            keep: StoreScript::new(concat!(include_str!("use.lua"), include_str!("keep.lua"))),
            get: StoreScript::new("-- v1\nreturn redis.call('GET', KEYS[1])"),
            forget: StoreScript::new("-- v1\nreturn redis.call('UNLINK', unpack(KEYS))"),
        };
        let records = Arc::new(RecordFile::in_folder(folder));
        Self { store: Arc::clone(store), scripts: Arc::new(scripts), records }
    }

    fn keys(&self, flow: &str, session: &str) -> SessionKeys {
        let start = self.start(flow);
        let tag = StoreTag::of(&["session", session]).to_string();
        SessionKeys {
            sessions: format!("{start}sessions"),
            turns: format!("{start}turns:{tag}"),
            run: format!("{start}run:{tag}"),
            tag,
        }
    }

    fn start(&self, flow: &str) -> String {
        format!("{}v1:{{{}}}:", self.store.prefix, StoreTag::of(&["flow", flow]))
    }

    /// Asks on the store's thread, and waits for the answer. Nobody goes on without one: a chat would begin anew.
    fn ask<T, F>(&self, work: impl FnOnce(Calls, Arc<MemoryScripts>) -> F + Send + 'static) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallFailed>> + Send + 'static,
    {
        if self.store.is_up() {
            let (answer, answered) = sync_channel(1);
            let scripts = Arc::clone(&self.scripts);
            self.store.submit(|calls| async move {
                let _ = answer.send(work(calls, scripts).await);
            });
            if let Ok(Ok(answer)) = answered.recv_timeout(PATIENCE) {
                return Ok(answer);
            }
        }
        Err(Failure::flow("What the chat remembers is in a store that cannot be reached at the moment (state.valkey)."))
    }

    /// Keeps a run, if `known` is the last one or nobody asks for that.
    fn write_run(&self, flow: &str, session: &str, run: Arc<str>, known: Option<String>) -> Result<bool, Failure> {
        let (keys, start) = (self.keys(flow, session), self.start(flow));
        self.ask(move |calls, scripts| async move {
            let mine = [keys.run, keys.sessions];
            let mut script = scripts.keep.key(&mine);
            script.arg(keys.tag).arg(MOST_SESSIONS).arg(AGE.as_secs()).arg(&*run);
            if let Some(known) = known {
                script.arg(known);
            }
            let forgotten: Forgotten = run_script(&calls, "chat_run", &mine, &script).await?;
            let is_written = forgotten.is_some();
            scripts.forget(&calls, &start, forgotten).await;
            Ok(is_written)
        })
    }
}

async fn run_script<T: FromRedisValue>(
    calls: &Calls,
    call: &'static str,
    keys: &[String],
    script: &ScriptCall<'_>,
) -> Result<T, CallFailed> {
    calls.run(CallClass::Bulk, call, keys, script).await
}

impl MemoryScripts {
    /// Lets go of sessions. What is left of them if it fails ends by itself.
    async fn forget(&self, calls: &Calls, start: &str, sessions: Forgotten) {
        let sessions = sessions.unwrap_or_default();
        if sessions.is_empty() {
            return;
        }
        let of = |session: &String| [format!("{start}turns:{session}"), format!("{start}run:{session}")];
        let keys: Vec<String> = sessions.iter().flat_map(of).collect();
        let _: Result<u64, CallFailed> = run_script(calls, "chat_forget", &keys, &self.forget.key(&keys)).await;
    }
}

impl Store for InStore {
    fn records(&self) -> Option<&Arc<dyn RecordStore>> {
        Some(&self.records)
    }

    fn reads_wait(&self) -> bool {
        true
    }

    fn writes_wait(&self) -> bool {
        true
    }

    fn turns(&self, flow: &str, session: &str) -> Result<Vec<Turn>, Failure> {
        let keys = self.keys(flow, session);
        let exchanges: Vec<Vec<u8>> = self.ask(move |calls, scripts| async move {
            let mine = [keys.turns];
            let mut script = scripts.read.key(&mine);
            run_script(&calls, "chat_read", &mine, script.arg(AGE.as_secs())).await
        })?;
        // What cannot be read is as good as forgotten.
        let read = |exchange: &Vec<u8>| serde_json::from_slice::<Vec<Turn>>(exchange).unwrap_or_default();
        let mut turns: Vec<Turn> = exchanges.iter().flat_map(read).collect();
        turns.drain(..turns.len().saturating_sub(MOST_TURNS));
        Ok(turns)
    }

    fn add(&self, flow: &str, session: &str, turns: &[Turn]) -> Result<(), Failure> {
        let (keys, start) = (self.keys(flow, session), self.start(flow));
        let (text, count) = (serde_json::to_string(turns).unwrap_or_default(), turns.len());
        self.ask(move |calls, scripts| async move {
            let mine = [keys.turns, keys.sessions];
            let mut script = scripts.add.key(&mine);
            script.arg(keys.tag).arg(MOST_SESSIONS).arg(AGE.as_secs());
            script.arg(text).arg(count).arg(MOST_TURNS).arg(MOST_BYTES);
            let forgotten = run_script(&calls, "chat_add", &mine, &script).await?;
            scripts.forget(&calls, &start, forgotten).await;
            Ok(())
        })
    }

    fn run(&self, flow: &str, session: &str) -> Result<Option<Arc<str>>, Failure> {
        let keys = self.keys(flow, session);
        let run: Option<String> = self.ask(move |calls, scripts| async move {
            let mine = [keys.run];
            run_script(&calls, "chat_read", &mine, &scripts.get.key(&mine)).await
        })?;
        Ok(run.map(Arc::from))
    }

    fn keep_run(&self, flow: &str, session: &str, run: Option<Arc<str>>) -> Result<(), Failure> {
        let Some(run) = run else {
            let keys = self.keys(flow, session);
            return self.ask(move |calls, scripts| async move {
                let mine = [keys.run];
                let gone: Result<u64, _> = run_script(&calls, "chat_run", &mine, &scripts.forget.key(&mine)).await;
                gone.map(|_| ())
            });
        };
        self.write_run(flow, session, run, None).map(|_| ())
    }

    fn replace_run(&self, flow: &str, session: &str, known: &str, next: Arc<str>) -> Result<bool, Failure> {
        self.write_run(flow, session, next, Some(known.to_owned()))
    }
}
