//! A Redis that a credential names, asked over a connection of its own each time.

#[cfg(test)]
pub(super) mod testing;

use std::time::Duration;

use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderEndpoint, RedisReply, redis_commands};

/// For a connection and what is asked over it.
const PATIENCE: Duration = Duration::from_secs(10);
const URL: &str = "redisCacheUrlApi";
const PARTS: &str = "redisCacheApi";

/// A command's words.
pub(super) type RedisCommand = Vec<Vec<u8>>;

pub(super) fn command(words: &[&str]) -> RedisCommand {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// See the module.
#[derive(Debug)]
pub(super) struct Redis {
    /// `None`: no credential says where it is.
    pub(super) endpoint: Option<ProviderEndpoint>,
    pub(super) server: RedisServer,
}

/// Where it is, and how one is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RedisServer {
    /// Empty: nobody says.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    pub(super) user: Option<Secret>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<u32>,
}

impl Redis {
    /// Whether a credential says where it is.
    pub(super) fn is_configured(inputs: &Inputs<'_, '_, '_>) -> bool {
        [(URL, "redisUrl"), (PARTS, "redisCacheHost")]
            .iter()
            .any(|(name, field)| inputs.optional_credential(name, field).is_some())
    }

    /// The one of the node's credential, wherever that is. Without one it is noted as missing, and nobody is asked.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let server = server(inputs)?;
        if server.host.is_empty() {
            return Some(Self { endpoint: None, server });
        }
        let scheme = if server.is_tls { "https" } else { "http" };
        let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
        let address = format!("{scheme}://{host}:{}", server.port);
        let endpoint = inputs.compiler.context.targets.endpoint(&address, Some(PATIENCE));
        let endpoint = endpoint.map_err(|error| inputs.refuse("credential", error)).ok()?;
        Some(Self { endpoint: Some(endpoint), server })
    }

    /// What each of the commands gives.
    pub(super) async fn all(&self, commands: Vec<RedisCommand>, run: &Run<'_>) -> Result<Vec<RedisReply>, Failure> {
        let unconfigured = || Failure::flow(format!("The credential {PARTS} is not configured."));
        let endpoint = self.endpoint.as_ref().ok_or_else(unconfigured)?;
        let greeting = self.server.greeting();
        let greeted = greeting.len();
        let all = [greeting, commands].concat();
        let work = async {
            let stream = endpoint.dial(run).await?;
            redis_commands(stream, &all).await
        };
        let mut replies = tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Failure::Timeout))?;
        Ok(replies.split_off(greeted.min(replies.len())))
    }

    /// What the last of them gives.
    pub(super) async fn asked(&self, commands: Vec<RedisCommand>, run: &Run<'_>) -> Result<RedisReply, Failure> {
        self.all(commands, run).await?.pop().ok_or_else(|| Failure::flow("Redis does not answer"))
    }
}

fn server(inputs: &mut Inputs<'_, '_, '_>) -> Option<RedisServer> {
    if let Some(url) = inputs.optional_credential(URL, "redisUrl") {
        let server = RedisServer::read(url.expose());
        if server.is_none() {
            inputs.refuse("credential", "expected redisUrl to be an address such as redis://127.0.0.1:6379");
        }
        return server;
    }
    let host = inputs.credential(PARTS, "redisCacheHost").map_or_else(String::new, |host| host.expose().to_owned());
    let text = |name: &str| inputs.optional_credential(PARTS, name);
    let port = text("redisCachePort").and_then(|port| port.expose().trim().parse().ok()).unwrap_or(6379);
    let is_tls = text("redisCacheSslEnabled").is_some_and(|value| value.expose().eq_ignore_ascii_case("true"));
    let (user, password) = (text("redisCacheUser"), text("redisCachePwd"));
    Some(RedisServer { host, port, is_tls, user, password, database: None })
}

impl RedisServer {
    /// `redis://user:password@host:port/database`.
    pub(super) fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let is_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (name, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((name, password)) => (decoded(name), decoded(password)),
            None => (None, None),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(6379), |port| port.parse().ok())?;
        let database = if path.is_empty() { None } else { Some(path.parse().ok()?) };
        let host = host.to_owned();
        (!host.is_empty()).then_some(Self { host, port, is_tls, user: name, password, database })
    }

    /// What is said before anything else.
    pub(super) fn greeting(&self) -> Vec<Vec<Vec<u8>>> {
        let mut commands = Vec::new();
        if let Some(password) = &self.password {
            let user = self.user.as_ref().map(|user| user.expose().as_bytes().to_vec());
            let mut auth = vec![b"AUTH".to_vec()];
            auth.extend(user);
            auth.push(password.expose().as_bytes().to_vec());
            commands.push(auth);
        }
        if let Some(database) = self.database {
            commands.push(vec![b"SELECT".to_vec(), database.to_string().into_bytes()]);
        }
        commands
    }
}

fn decoded(text: &str) -> Option<Secret> {
    let text = crate::percent::decoded(text).ok()?;
    (!text.is_empty()).then(|| Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory as its flow has it.
    struct Memory;

    impl crate::engine::compile::kind::NodeKind for Memory {
        fn names(&self) -> &'static [&'static str] {
            &["RedisBackedChatMemory"]
        }

        fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<crate::engine::compile::part::Part> {
            let redis = Redis::read(inputs)?;
            let is_configured = !redis.server.host.is_empty();
            assert_eq!(redis.endpoint.as_ref().map(ProviderEndpoint::denied), is_configured.then_some(None));
            Some(crate::engine::compile::part::Part::Own(std::sync::Arc::new(redis)))
        }
    }

    #[test]
    fn what_a_credential_names_may_be_anywhere_and_nothing_is_asked_without() {
        use crate::engine::models::lab;
        let given = |fields: serde_json::Value| serde_json::json!({ lab::CREDENTIALS: fields });
        let told = |inputs| lab::needs(&Memory, inputs);
        assert_eq!(told(serde_json::json!({})), ["credential redisCacheApi.redisCacheHost"]);
        let parts = serde_json::json!({ PARTS: { "redisCacheHost": "localhost" } });
        assert!(told(given(parts)).is_empty());
        assert!(told(given(serde_json::json!({ URL: { "redisUrl": "redis://10.0.0.7:6380" } }))).is_empty());
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn addresses_are_read_with_user_and_database() {
        let server = |host: &str, port| RedisServer {
            host: host.to_owned(),
            port,
            is_tls: false,
            user: None,
            password: None,
            database: None,
        };
        assert_eq!(RedisServer::read("redis://cache"), Some(server("cache", 6379)));
        let full = RedisServer {
            user: Some(secret("u")),
            password: Some(secret("p@:x")),
            database: Some(3),
            ..server("h", 7000)
        };
        assert_eq!(RedisServer::read("redis://u:p%40%3Ax@h:7000/3"), Some(full));
        let tls = RedisServer { is_tls: true, password: Some(secret("p")), ..server("::1", 1) };
        assert_eq!(RedisServer::read("rediss://:p@[::1]:1/?x=y"), Some(tls));
        for wrong in ["http://h", "h:1", "redis://", "redis://h:x", "redis://h/x"] {
            assert_eq!(RedisServer::read(wrong), None, "{wrong}");
        }
    }
}
