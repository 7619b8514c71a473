//! One look at the store, for whoever is no gateway and ends soon.

use std::collections::HashMap;
use std::time::Duration;

use redis::{RedisError, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::timeout;

use super::channels::of_replica;
use super::error::{late, reason};
use super::link::Link;
use super::open::{named, open};
use super::script::StoreScript;
use super::sentinels::Sentinels;
use crate::config::{Valkey, ValkeyMode};

/// Of each question. Nobody waits for it but a person.
const PATIENCE: Duration = Duration::from_secs(2);
/// Whose publishing and listening is new in it.
const OLDEST: u32 = 7;

/// A store that works.
pub(crate) struct TriedStore {
    /// As it says itself; empty if it does not.
    pub(crate) version: String,
    /// What does not work, although limits are shared.
    pub(crate) lacking: Option<String>,
}

/// A connection; `Err`: why there is none.
pub(crate) async fn connect(settings: &Valkey) -> Result<Link, String> {
    let (sentinels, mut primary) = Sentinels::new(settings, watch::channel(settings.password.clone()).1);
    let opened = async {
        let primary = named(settings, &mut primary).await?;
        open(settings, settings.password.as_ref(), primary.as_ref()).await
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = sentinels.run() => unreachable!("it has no end"),
    };
    opened.map_err(|error| reason(&error))
}

/// Whether a gateway could use it: it is what it should be, and lets its user do what a gateway does. Nothing is left
/// there.
pub(crate) async fn try_store(settings: &Valkey) -> Result<TriedStore, String> {
    let link = connect(settings).await?;
    let version = check_kind(settings, link.clone()).await?;
    let said = |error: RedisError| reason(&error);
    write_nothing(settings, link.clone()).await.map_err(said)?;
    let lacking = publish_nothing(settings, link).await.err().map(said);
    Ok(TriedStore { version, lacking })
}

/// What it says it is; its version.
async fn check_kind(settings: &Valkey, mut link: Link) -> Result<String, String> {
    let question = redis::cmd("HELLO");
    let answer = timeout(PATIENCE, question.query_async::<HashMap<String, Value>>(&mut link)).await;
    // Whoever may not ask finds out by what follows.
    let Ok(Ok(answer)) = answer else { return Ok(String::new()) };
    let text = |field: &str| match answer.get(field) {
        Some(Value::BulkString(text)) => String::from_utf8_lossy(text).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    };
    let (version, mode, role) = (text("version"), text("mode"), text("role"));
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if settings.mode == ValkeyMode::Single && mode == "cluster" {
        return Err("it is a member of a Cluster: `mode: cluster` is needed".to_owned());
    }
    if settings.mode == ValkeyMode::Single && role == "replica" {
        return Err("it is a replica of another server, and takes no writes".to_owned());
    }
    if major.is_some_and(|major| major < OLDEST) {
        let digits: String = version.chars().filter(|sign| sign.is_ascii_alphanumeric() || *sign == '.').collect();
        return Err(format!("it is of version {digits}: {OLDEST} or newer is needed"));
    }
    Ok(version)
}

/// As the scripts do that count: one that is full, or takes no writes, refuses it.
async fn write_nothing(settings: &Valkey, mut link: Link) -> RedisResult<()> {
    let script = StoreScript::new(
        "redis.call('TIME') redis.call('ZADD', KEYS[1], 0, ARGV[1]) return redis.call('ZREM', KEYS[1], ARGV[1])",
    );
    let mut call = script.key(format!("{}v1:replicas", settings.prefix));
    let written = call.arg("nobody").send::<Value>(&mut link);
    timeout(PATIENCE, written).await.map_err(|_| late())??;
    Ok(())
}

/// To a channel to which nobody listens.
async fn publish_nothing(settings: &Valkey, mut link: Link) -> RedisResult<()> {
    let mut command = redis::cmd("SPUBLISH");
    let published = command.arg(of_replica(&settings.prefix, "nobody")).arg("").exec_async(&mut link);
    timeout(PATIENCE, published).await.map_err(|_| late())?
}
