//! A memory in a Redis, as Flowise keeps it: a list for each session, with the newest turn in front.

use std::time::Duration;

use super::kept;
use super::stored::{MOST_READ, exchange, message};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{Recollection, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderEndpoint, RedisReply, redis_commands};
use crate::wire::json;

/// For a connection and what is asked over it.
const PATIENCE: Duration = Duration::from_secs(10);
const URL: &str = "redisCacheUrlApi";
const PARTS: &str = "redisCacheApi";

/// The node `RedisBackedChatMemory`.
pub(super) struct RedisBackedChatMemory;

impl NodeKind for RedisBackedChatMemory {
    fn names(&self) -> &'static [&'static str] {
        &["RedisBackedChatMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        let seconds = inputs.integer("sessionTTL").filter(|seconds| *seconds > 0);
        let window = inputs.integer("windowSize").filter(|turns| *turns > 0);
        let window = window.and_then(|turns| usize::try_from(turns).ok()).unwrap_or(MOST_READ).min(MOST_READ);
        let server = server(inputs)?;
        let scheme = if server.is_tls { "https" } else { "http" };
        let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
        let endpoint = kept::outward(inputs, "credential", &format!("{scheme}://{host}:{}", server.port))?;
        Some(kept::kept_by(inputs, Redis { endpoint, server, seconds, window }))
    }
}

/// Where it is, and how one is let in.
#[derive(Debug, PartialEq, Eq)]
struct RedisServer {
    host: String,
    port: u16,
    is_tls: bool,
    user: Option<Secret>,
    password: Option<Secret>,
    database: Option<u32>,
}

fn server(inputs: &mut Inputs<'_, '_, '_>) -> Option<RedisServer> {
    if let Some(url) = inputs.optional_credential(URL, "redisUrl") {
        let server = RedisServer::read(url.expose());
        if server.is_none() {
            inputs.refuse("credential", "expected redisUrl to be an address such as redis://127.0.0.1:6379");
        }
        return server;
    }
    // Without it, nothing is asked of anybody, and the node says why.
    let host = inputs
        .credential(PARTS, "redisCacheHost")
        .map_or_else(|| "localhost".to_owned(), |host| host.expose().to_owned());
    let text = |name: &str| inputs.optional_credential(PARTS, name);
    let port = text("redisCachePort").and_then(|port| port.expose().trim().parse().ok()).unwrap_or(6379);
    let is_tls = text("redisCacheSslEnabled").is_some_and(|value| value.expose().eq_ignore_ascii_case("true"));
    let (user, password) = (text("redisCacheUser"), text("redisCachePwd"));
    Some(RedisServer { host, port, is_tls, user, password, database: None })
}

impl RedisServer {
    /// `redis://user:password@host:port/database`.
    fn read(url: &str) -> Option<Self> {
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
    fn greeting(&self) -> Vec<Vec<Vec<u8>>> {
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

#[derive(Debug)]
struct Redis {
    endpoint: ProviderEndpoint,
    server: RedisServer,
    /// Until a session is forgotten that nobody uses.
    seconds: Option<u64>,
    /// Turns that are told.
    window: usize,
}

impl Redis {
    /// Over a connection of their own; the last reply.
    async fn asked(&self, commands: Vec<Vec<Vec<u8>>>, run: &Run<'_>) -> Result<RedisReply, Failure> {
        let all = [self.server.greeting(), commands].concat();
        let work = async {
            let stream = self.endpoint.dial(run).await?;
            redis_commands(stream, &all).await
        };
        let replies = tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Failure::Timeout))?;
        replies.into_iter().next_back().ok_or_else(|| Failure::flow("Redis does not answer"))
    }
}

fn command(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

impl Recollection for Redis {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let last = self.window.saturating_sub(1).to_string();
            let listed = self.asked(vec![command(&["LRANGE", &run.request.session_id, "0", &last])], run).await?;
            let RedisReply::List(listed) = listed else { return Err(Failure::flow("Redis answers with no list")) };
            let mut turns = messages_of(run, &[]);
            let own = listed.iter().rev().filter_map(|stored| match stored {
                RedisReply::Text(text) => message(&json::read(text).ok()?),
                _ => None,
            });
            turns.extend(own);
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let session = run.request.session_id.as_str();
            let mut commands = Vec::new();
            for turn in exchange(question, answer) {
                commands.push(command(&["LPUSH", session, &turn.to_string()]));
                if let Some(seconds) = self.seconds {
                    commands.push(command(&["EXPIRE", session, &seconds.to_string()]));
                }
            }
            self.asked(commands, run).await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests;
