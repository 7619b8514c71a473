//! Caches that are kept elsewhere: in a Redis, or in one of Upstash's.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::digest_of;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::cache::{AnswerStore, AskedDigest};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolCall;
use crate::engine::contract::model::ModelAnswer;
use crate::engine::contract::node::Embeddings;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::nodes::redis::{Redis, command};
use crate::engine::provider::{ProviderEndpoint, RedisReply};
use crate::wire::json;

/// An answer that is longer is not kept.
const LONGEST: usize = 4 << 20;
const UPSTASH: &str = "upstashRedisApi";
/// Before every answer's name: Flowise's own, which are made of its libraries' settings, are others.
const PREFIX: &str = "flowgate:answer:";
/// Seconds for which vectors are kept, where the node says nothing.
const VECTOR_TIME: u64 = 3600;
/// Vectors in one command.
const AT_ONCE: usize = 100;

/// Where the node's answers are kept, if it is elsewhere and the credential for it is configured.
pub(super) fn answers(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn AnswerStore>> {
    match inputs.node.data.name.as_str() {
        "redisCache" if Redis::is_configured(inputs) => {
            let milliseconds = inputs.integer("ttl").filter(|milliseconds| *milliseconds > 0);
            Some(Arc::new(RedisAnswers { redis: Redis::read(inputs)?, milliseconds }))
        }
        "upstashRedisCache" => {
            let url = connection::optional(inputs, UPSTASH, "upstashConnectionUrl")?;
            let token = connection::optional(inputs, UPSTASH, "upstashConnectionToken")?;
            let headers = connection::bearer(inputs, Some(&token));
            let endpoint = connection::endpoint_at(inputs, "credential", url.expose())?;
            Some(Arc::new(UpstashAnswers { endpoint, headers }))
        }
        _ => None,
    }
}

/// The same of vectors.
pub(super) fn vectors(
    inputs: &mut Inputs<'_, '_, '_>,
    embeddings: &Arc<dyn Embeddings>,
) -> Option<Arc<dyn Embeddings>> {
    if inputs.node.data.name != "redisEmbeddingsCache" || !Redis::is_configured(inputs) {
        return None;
    }
    let seconds = inputs.integer("ttl").filter(|seconds| *seconds > 0).unwrap_or(VECTOR_TIME);
    let namespace = inputs.text("namespace").unwrap_or_default();
    let redis = Redis::read(inputs)?;
    Some(Arc::new(RedisVectors { embeddings: Arc::clone(embeddings), redis, seconds, namespace }))
}

/// What of an answer is kept.
#[derive(Serialize, Deserialize)]
struct KeptAnswer {
    text: String,
    #[serde(default)]
    calls: Vec<ToolCall>,
    #[serde(default)]
    thinking: String,
    id: Option<String>,
    #[serde(default)]
    usage_metadata: Map<String, Value>,
    #[serde(default)]
    response_metadata: Map<String, Value>,
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn name_of(asked: &AskedDigest) -> String {
    format!("{PREFIX}{}", hexadecimal(asked))
}

/// `None`: it is too long.
fn written(answer: &ModelAnswer) -> Option<String> {
    let ModelAnswer { text, calls, thinking, id, usage_metadata, response_metadata, .. } = answer.clone();
    let kept = KeptAnswer { text, calls, thinking, id, usage_metadata, response_metadata };
    serde_json::to_string(&kept).ok().filter(|text| text.len() <= LONGEST)
}

/// `None`: it is none of ours.
fn read(text: &str) -> Option<ModelAnswer> {
    let KeptAnswer { text, calls, thinking, id, usage_metadata, response_metadata } = json::read_str(text).ok()?;
    Some(ModelAnswer { text, calls, id, thinking, usage_metadata, response_metadata, ..ModelAnswer::default() })
}

#[derive(Debug)]
struct RedisAnswers {
    redis: Redis,
    /// For which an answer is kept; `None`: for ever.
    milliseconds: Option<u64>,
}

impl AnswerStore for RedisAnswers {
    fn find<'a>(&'a self, asked: &'a AskedDigest, run: &'a Run<'a>) -> Task<'a, Option<ModelAnswer>> {
        Box::pin(async move {
            let found = self.redis.asked(vec![command(&["GET", &name_of(asked)])], run).await?;
            Ok(if let RedisReply::Text(text) = found { read(&String::from_utf8_lossy(&text)) } else { None })
        })
    }

    fn put<'a>(&'a self, asked: &'a AskedDigest, answer: &'a ModelAnswer, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let Some(text) = written(answer) else { return Ok(()) };
            let mut set = command(&["SET", &name_of(asked), &text]);
            if let Some(milliseconds) = self.milliseconds {
                set.extend(command(&["PX", &milliseconds.to_string()]));
            }
            self.redis.asked(vec![set], run).await.map(drop)
        })
    }
}

#[derive(Debug)]
struct UpstashAnswers {
    endpoint: ProviderEndpoint,
    headers: Headers,
}

impl UpstashAnswers {
    async fn command(&self, command: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let answer = self.endpoint.post("/", &self.headers, command, run).await?.json().await?;
        Ok(answer.get("result").cloned().unwrap_or_default())
    }
}

impl AnswerStore for UpstashAnswers {
    fn find<'a>(&'a self, asked: &'a AskedDigest, run: &'a Run<'a>) -> Task<'a, Option<ModelAnswer>> {
        Box::pin(async move {
            let found = self.command(json!(["get", name_of(asked)]), run).await?;
            Ok(found.as_str().and_then(read))
        })
    }

    fn put<'a>(&'a self, asked: &'a AskedDigest, answer: &'a ModelAnswer, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let Some(text) = written(answer) else { return Ok(()) };
            self.command(json!(["set", name_of(asked), text]), run).await.map(drop)
        })
    }
}

/// Vectors by their texts' digests, as Flowise names and writes them.
#[derive(Debug)]
struct RedisVectors {
    embeddings: Arc<dyn Embeddings>,
    redis: Redis,
    seconds: u64,
    namespace: String,
}

impl RedisVectors {
    fn name_of(&self, text: &str) -> String {
        format!("{}{}", self.namespace, hexadecimal(&digest_of(text)))
    }

    async fn known(&self, texts: &[String], run: &Run<'_>) -> Result<Vec<Option<Vec<f32>>>, Failure> {
        let names = texts.iter().map(|text| self.name_of(text).into_bytes());
        let get = [b"MGET".to_vec()].into_iter().chain(names).collect();
        let RedisReply::List(found) = self.redis.asked(vec![get], run).await? else { return Ok(Vec::new()) };
        let vector = |reply: RedisReply| match reply {
            RedisReply::Text(text) => json::read(&text).ok(),
            _ => None,
        };
        Ok(found.into_iter().map(vector).collect())
    }

    async fn keep(&self, texts: &[String], vectors: &[Vec<f32>], run: &Run<'_>) -> Result<(), Failure> {
        let seconds = self.seconds.to_string();
        let set = |(text, vector): (&String, &Vec<f32>)| {
            let vector = serde_json::to_string(vector).unwrap_or_default();
            command(&["SET", &self.name_of(text), &vector, "EX", &seconds])
        };
        self.redis.asked(texts.iter().zip(vectors).map(set).collect(), run).await.map(drop)
    }

    /// Some at once. A Redis that does not answer is no reason not to make them.
    async fn embedded(&self, texts: &[String], run: &Run<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        let mut vectors = match self.known(texts, run).await {
            Err(failure) if failure.ends_run() => return Err(failure),
            known => known.unwrap_or_default(),
        };
        vectors.resize(texts.len(), None);
        let missing = texts.iter().zip(&vectors).filter(|(_, vector)| vector.is_none());
        let missing: Vec<String> = missing.map(|(text, _)| text.clone()).collect();
        let unusable = || Failure::Unreachable("The embeddings of the documents cannot be used.".to_owned());
        if !missing.is_empty() {
            let made = self.embeddings.embed_all(&missing, run).await?;
            if made.len() != missing.len() {
                return Err(unusable());
            }
            if let Err(failure) = self.keep(&missing, &made, run).await
                && failure.ends_run()
            {
                return Err(failure);
            }
            for (place, vector) in vectors.iter_mut().filter(|vector| vector.is_none()).zip(made) {
                *place = Some(vector);
            }
        }
        vectors.into_iter().collect::<Option<Vec<_>>>().ok_or_else(unusable)
    }
}

impl Embeddings for RedisVectors {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for some in texts.chunks(AT_ONCE) {
                vectors.extend(self.embedded(some, run).await?);
            }
            Ok(vectors)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        self.embeddings.embed_question(text, run)
    }
}

#[cfg(test)]
mod tests;
