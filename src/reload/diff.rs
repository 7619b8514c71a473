//! What a reload cannot change, because it is bound to sockets and threads.

use crate::config::{Config, UpstreamKind};

const ENGINE_THREADS: &str = "upstreams.*.engine.threads";

/// What a reload changes of that, set beside what the process was started with.
pub(super) struct RestartBound {
    /// They are in force after a restart.
    pub(super) waiting: Vec<&'static str>,
    /// They are as they were at the start again.
    pub(super) back: Vec<&'static str>,
}

impl RestartBound {
    pub(super) fn of(started: &Config, old: &Config, new: &Config) -> Self {
        let differs = needs_restart(started, new);
        // The engine's threads start with the first engine, and are as many as was said then.
        let waits =
            |field: &&'static str| differs.contains(field) || (*field == ENGINE_THREADS && !has_engine(started));
        let (waiting, back) = needs_restart(old, new).into_iter().partition(waits);
        Self { waiting, back }
    }
}

/// The fields that differ and need a restart.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let tls_listen = |config: &Config| config.server.tls.as_ref().map(|tls| tls.listen);
    let ext_auth_listen = |config: &Config| config.server.ext_auth.map(|ext_auth| ext_auth.listen);
    [
        ("server.listen", old.server.listen != new.server.listen),
        ("server.tls.listen", tls_listen(old) != tls_listen(new)),
        ("server.ext_auth.listen", ext_auth_listen(old) != ext_auth_listen(new)),
        ("server.workers", old.server.workers != new.server.workers),
        ("server.max_connections", old.server.max_connections != new.server.max_connections),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("state.valkey", is_another_store(old, new)),
        (ENGINE_THREADS, old.engine_threads() != new.engine_threads() && has_engine(old) && has_engine(new)),
        // Counts of quotas move at once; chats are held where they are.
        ("state_dir", old.state_dir != new.state_dir && has_engine(new)),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

/// Its password alone may change at any time.
fn is_another_store(old: &Config, new: &Config) -> bool {
    match (&old.valkey, &new.valkey) {
        (Some(old), Some(new)) => !old.is_same_store(new),
        (None, None) => false,
        _ => true,
    }
}

fn has_engine(config: &Config) -> bool {
    config.upstreams.iter().any(|upstream| matches!(upstream.kind, UpstreamKind::Engine(_)))
}
