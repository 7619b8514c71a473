//! Scripts, each asked for by its digest.
//!
//! A server that does not know one is sent its text, where its keys lie. A Cluster that is told to load it asks all of its
//! nodes, and waits for one that is silent.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs};

/// See the module.
#[derive(Debug)]
pub(crate) struct StoreScript {
    text: &'static str,
    digest: String,
}

/// One call of it.
pub(crate) struct ScriptCall<'a> {
    script: &'a StoreScript,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl StoreScript {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, digest: redis::Script::new(text).get_hash().to_owned() }
    }

    /// On nothing as yet.
    pub(crate) fn call(&self) -> ScriptCall<'_> {
        ScriptCall { script: self, keys: Vec::new(), arguments: Vec::new() }
    }

    /// On these keys.
    pub(crate) fn key(&self, keys: impl ToRedisArgs) -> ScriptCall<'_> {
        ScriptCall { keys: keys.to_redis_args(), ..self.call() }
    }
}

impl ScriptCall<'_> {
    pub(crate) fn key(&mut self, keys: impl ToRedisArgs) -> &mut Self {
        keys.write_redis_args(&mut self.keys);
        self
    }

    pub(crate) fn arg(&mut self, arguments: impl ToRedisArgs) -> &mut Self {
        arguments.write_redis_args(&mut self.arguments);
        self
    }

    /// What the store answers.
    ///
    /// # Errors
    /// It gives no answer.
    pub(crate) async fn send<T: FromRedisValue>(&self, link: &mut impl ConnectionLike) -> RedisResult<T> {
        match self.command("EVALSHA", &self.script.digest).query_async(link).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", self.script.text).query_async(link).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&*self.keys).arg(&*self.arguments);
        command
    }
}
