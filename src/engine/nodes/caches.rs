//! Caches: of models' answers, and of passages' vectors. Those in memory are each the flow's own, for as long as it is
//! loaded; so is one that is to be kept elsewhere, if its credential is not configured.

mod elsewhere;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Embeddings;
use crate::engine::contract::run::Run;

pub(super) const KINDS: &[&dyn NodeKind] = &[&AnswerCacheNode, &VectorCacheNode];

/// The node `inMemoryCache`, and those that keep answers elsewhere. Which flow it belongs to, whoever reads the model's
/// inputs knows.
struct AnswerCacheNode;

impl NodeKind for AnswerCacheNode {
    fn names(&self) -> &'static [&'static str] {
        &["inMemoryCache", "redisCache", "upstashRedisCache", "momentoCache"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(NOT_ASKED);
        if let Some(answers) = elsewhere::answers(inputs) {
            return Some(Part::Cache(answers));
        }
        let answers = inputs.compiler.indexes.answers();
        if let Some(time) = inputs.integer("ttl").filter(|time| *time > 0) {
            answers.live(Duration::from_millis(time));
        }
        Some(Part::Cache(answers))
    }
}

/// What a place to keep things would be asked with.
const NOT_ASKED: &[&str] = &["credential", "FLOWISE_CREDENTIAL_ID"];

/// The node `inMemoryEmbeddingCache`, and the one that keeps vectors in Redis.
struct VectorCacheNode;

impl NodeKind for VectorCacheNode {
    fn names(&self) -> &'static [&'static str] {
        &["inMemoryEmbeddingCache", "redisEmbeddingsCache"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(NOT_ASKED);
        if !inputs.has("embeddings") {
            inputs.refuse("embeddings", "embeddings are required");
        }
        let embeddings = inputs.part_as("embeddings", Part::into_embeddings, "embeddings")?;
        if let Some(vectors) = elsewhere::vectors(inputs, &embeddings) {
            return Some(Part::Embeddings(vectors));
        }
        // Each flow has its own, and a text's vector does not change with time.
        inputs.ignore(&["namespace", "ttl"]);
        Some(Part::Embeddings(Arc::new(CachedEmbeddings { embeddings, known: Mutex::default() })))
    }
}

/// Bytes of vectors that one node keeps: 5,000 passages with 1,536 numbers each.
const MOST_BYTES: usize = 32 * 1024 * 1024;

struct CachedEmbeddings {
    embeddings: Arc<dyn Embeddings>,
    known: Mutex<KnownVectors>,
}

/// Vectors by the digest of their text; the oldest make room.
#[derive(Default)]
struct KnownVectors {
    vectors: HashMap<[u8; 32], Vec<f32>>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

impl fmt::Debug for CachedEmbeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedEmbeddings").field("embeddings", &self.embeddings).finish_non_exhaustive()
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(text.as_bytes());
    digest.finish().as_ref().try_into().unwrap_or_default()
}

impl KnownVectors {
    fn keep(&mut self, digest: [u8; 32], vector: &[f32]) {
        let bytes = size_of_val(vector);
        if self.vectors.insert(digest, vector.to_vec()).is_none() {
            self.order.push_back(digest);
            self.bytes += bytes;
        }
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let freed = self.vectors.remove(&oldest).map_or(0, |vector| size_of_val(&*vector));
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }
}

impl Embeddings for CachedEmbeddings {
    fn embed_all<'a>(&'a self, texts: &'a [String], run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move {
            let known = |text: &String| {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.vectors.get(&digest_of(text)).cloned()
            };
            let mut vectors: Vec<Option<Vec<f32>>> = texts.iter().map(known).collect();
            let missing = texts.iter().zip(&vectors).filter(|(_, vector)| vector.is_none());
            let missing: Vec<String> = missing.map(|(text, _)| text.clone()).collect();
            let unusable = || Failure::Unreachable("The embeddings of the documents cannot be used.".to_owned());
            if !missing.is_empty() {
                let made = self.embeddings.embed_all(&missing, run).await?;
                if made.len() != missing.len() {
                    return Err(unusable());
                }
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                let places = vectors.iter_mut().filter(|vector| vector.is_none());
                for ((place, text), vector) in places.zip(&missing).zip(made) {
                    known.keep(digest_of(text), &vector);
                    *place = Some(vector);
                }
            }
            vectors.into_iter().collect::<Option<Vec<_>>>().ok_or_else(unusable)
        })
    }

    fn embed_question<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        self.embeddings.embed_question(text, run)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::retrieval::testing::{Stage, asked, inputs, load, retrieval_qa};
    use super::*;

    /// The example, with a cache of that kind.
    fn with(kind: &str, node: &Value) -> Value {
        let mut export = retrieval_qa();
        let data = json!({ "name": kind, "label": kind, "inputs": node, "outputs": {} });
        export["nodes"].as_array_mut().unwrap().push(json!({ "id": "cache_0", "data": data }));
        export
    }

    fn id_of(export: &Value, name: &str) -> String {
        let nodes = export["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["data"]["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_same_question_is_asked_once() {
        let mut export = with("inMemoryCache", &json!({}));
        let model = id_of(&export, "stubModel");
        inputs(&mut export, &model)["cache"] = "{{cache_0.data.instance}}".into();
        let flow = load(&export).unwrap();
        let mut answers = Vec::new();
        for question in ["Why?", "Why?", "Who?"] {
            asked();
            let (reply, events) = Stage::new().ask(&flow, &json!({ "question": question, "chatId": "c" }));
            let is_asked = asked().iter().any(|asked| asked.get("messages").is_some());
            answers.push((reply.unwrap().said, is_asked, events.contains("\"token\"")));
        }
        assert_eq!(answers[0].0, answers[1].0);
        let said: Vec<(bool, bool)> = answers.iter().map(|(_, asked, told)| (*asked, *told)).collect();
        assert_eq!(said, [(true, true), (false, true), (true, true)]);
    }

    #[test]
    fn passages_are_embedded_once_each() {
        let mut export = with("inMemoryEmbeddingCache", &json!({ "namespace": "n" }));
        let embeddings = id_of(&export, "stubEmbeddings");
        inputs(&mut export, "cache_0")["embeddings"] = format!("{{{{{embeddings}.data.instance}}}}").into();
        inputs(&mut export, "memoryVectorStore_0")["embeddings"] = "{{cache_0.data.instance}}".into();
        let flow = load(&export).unwrap();
        asked();
        Stage::new().ask(&flow, &json!({ "question": "Why?", "chatId": "c" })).0.unwrap();
        assert!(asked().iter().any(|asked| asked["input"].is_array()));
    }

    #[test]
    fn the_oldest_vectors_make_room() {
        let mut known = KnownVectors::default();
        let vector = vec![0.0; MOST_BYTES / 4 / 4];
        for number in 0..6_u8 {
            known.keep([number; 32], &vector);
        }
        assert!(known.bytes <= MOST_BYTES && known.vectors.len() == 4);
        assert!(!known.vectors.contains_key(&[0; 32]) && known.vectors.contains_key(&[5; 32]));
    }
}
