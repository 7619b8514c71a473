//! Passages by what they mean: their embeddings, kept in memory for as long as the flow is loaded.
//!
//! Flowise embeds every passage anew for every prediction; here they are embedded when they are first needed. A request
//! that overrides something shares the index as long as nothing that the index is made of is overridden.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::engine::contract::cache::AnswerCache;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, DocumentSource, Embeddings};
use crate::engine::contract::run::Run;

/// Of one index: 20,000 passages with the longest embeddings in use (3072 numbers) are 240 MiB.
pub(crate) const MOST_PASSAGES: usize = 20_000;
/// Numbers that are looked at in the course of a run, in less than a millisecond; more are not.
const MOST_AT_ONCE: usize = 1 << 20;
/// Of one flow; more are there only if requests override documents.
const MOST_INDEXES: usize = 8;

/// All indexes of a flow, by what they are made of.
#[derive(Clone, Default)]
pub(crate) struct Indexes(Arc<Mutex<Vec<CachedIndex>>>, Arc<AnswerCache>);

/// An index by the digest of what it is made of.
type CachedIndex = ([u8; 32], Arc<Index>);

impl fmt::Debug for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Indexes")
    }
}

impl Indexes {
    /// What the flow's models answered, where its author wants that to be kept.
    pub(crate) fn answers(&self) -> Arc<AnswerCache> {
        Arc::clone(&self.1)
    }

    /// The one of that content; the one unused for longest makes room.
    pub(crate) fn of(&self, content: [u8; 32]) -> Arc<Index> {
        let mut indexes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = indexes.iter().position(|(known, _)| *known == content).map(|at| indexes.remove(at));
        let (_, index) = found.unwrap_or_default();
        indexes.push((content, Arc::clone(&index)));
        if indexes.len() > MOST_INDEXES {
            indexes.remove(0);
        }
        index
    }
}

/// How near is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Similarity {
    /// The cosine of the angle; more is nearer.
    Cosine,
    /// The square of the distance, as FAISS gives it; less is nearer.
    Distance,
    /// The inner product; more is nearer.
    Product,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index(OnceCell<Arc<EmbeddedPassages>>);

#[derive(Debug)]
struct EmbeddedPassages {
    documents: Arc<[Document]>,
    /// One behind the other.
    numbers: Vec<f32>,
    lengths: Vec<f32>,
    /// Numbers of one embedding.
    dimensions: usize,
}

/// Where passages come from.
#[derive(Debug)]
pub(crate) struct PassageSources {
    pub(crate) sources: Vec<Arc<dyn DocumentSource>>,
    pub(crate) embeddings: Arc<dyn Embeddings>,
}

impl Index {
    /// The nearest passages and how near they are, best first. Whoever asks first makes the index; who asks meanwhile
    /// waits, and goes on with it if the first is gone.
    pub(crate) async fn nearest(
        &self,
        origin: &PassageSources,
        nearness: Similarity,
        question: &str,
        most: usize,
        run: &Run<'_>,
    ) -> Result<Vec<(Document, f32)>, Failure> {
        let passages = self.passages(origin, run).await?;
        if passages.documents.is_empty() {
            return Ok(Vec::new());
        }
        let question = origin.embeddings.embed_question(question, run).await?;
        let is_large = passages.numbers.len() > MOST_AT_ONCE;
        off_thread(is_large, move || passages.nearest(&question, nearness, most)).await?
    }

    /// Makes the index, unless it is there; its passages.
    pub(crate) async fn made(&self, origin: &PassageSources, run: &Run<'_>) -> Result<Vec<Document>, Failure> {
        Ok(self.passages(origin, run).await?.documents.to_vec())
    }

    async fn passages(&self, origin: &PassageSources, run: &Run<'_>) -> Result<Arc<EmbeddedPassages>, Failure> {
        self.0.get_or_try_init(|| EmbeddedPassages::of(origin, run)).await.map(Arc::clone)
    }
}

/// Does something that may take a while apart from the runs of this thread.
async fn off_thread<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if !is_large {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::flow("The documents cannot be searched."))
}

impl EmbeddedPassages {
    async fn of(origin: &PassageSources, run: &Run<'_>) -> Result<Arc<Self>, Failure> {
        let mut given = Vec::with_capacity(origin.sources.len());
        for source in &origin.sources {
            given.push(source.documents(run).await?);
        }
        let has_text = |document: &&Document| !document.text.is_empty();
        let documents: Arc<[Document]> = match &*given {
            // Of a document store: one copy for all flows.
            [one] if one.iter().all(|document| has_text(&document)) => Arc::clone(one),
            all => all.iter().flat_map(|documents| documents.iter()).filter(has_text).cloned().collect(),
        };
        if documents.len() > MOST_PASSAGES {
            let count = documents.len();
            return Err(Failure::flow(format!("The documents have {count} passages, more than {MOST_PASSAGES}.")));
        }
        let texts: Vec<String> = documents.iter().map(|document| document.text.clone()).collect();
        let vectors = if texts.is_empty() { Vec::new() } else { origin.embeddings.embed_all(&texts, run).await? };
        let dimensions = vectors.first().map_or(0, Vec::len);
        if vectors.len() != documents.len() || vectors.iter().any(|vector| vector.len() != dimensions) {
            return Err(Failure::Unreachable("The embeddings of the documents cannot be used.".to_owned()));
        }
        let is_large = dimensions.saturating_mul(vectors.len()) > MOST_AT_ONCE;
        let made = move || {
            let lengths = vectors.iter().map(|vector| dot(vector, vector).sqrt()).collect();
            Arc::new(Self { documents, numbers: vectors.concat(), lengths, dimensions })
        };
        off_thread(is_large, made).await
    }

    fn nearest(&self, question: &[f32], nearness: Similarity, most: usize) -> Result<Vec<(Document, f32)>, Failure> {
        if question.len() != self.dimensions || self.dimensions == 0 {
            return Err(Failure::flow("The embeddings of the question and of the documents differ in length."));
        }
        let length = dot(question, question).sqrt();
        let vectors = self.numbers.chunks_exact(self.dimensions);
        let mut found: Vec<(usize, f32)> = vectors
            .zip(&self.lengths)
            .map(|(vector, own)| match nearness {
                Similarity::Cosine => dot(question, vector) / (length * own),
                Similarity::Distance => distance(question, vector),
                Similarity::Product => dot(question, vector),
            })
            .enumerate()
            .collect();
        // Of equals the earlier comes first.
        found.sort_by(|(_, one), (_, other)| match nearness {
            Similarity::Cosine | Similarity::Product => other.total_cmp(one),
            Similarity::Distance => one.total_cmp(other),
        });
        found.truncate(most);
        let document = |(at, nearness): (usize, f32)| Some((self.documents.get(at)?.clone(), nearness));
        Ok(found.into_iter().filter_map(document).collect())
    }
}

/// Sums that are kept apart: a compiler may then add several numbers at once.
const LANES: usize = 8;

fn dot(one: &[f32], other: &[f32]) -> f32 {
    summed(one, other, |one, other| one * other)
}

fn distance(one: &[f32], other: &[f32]) -> f32 {
    summed(one, other, |one, other| (one - other) * (one - other))
}

fn summed(one: &[f32], other: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(one, other)| term(*one, *other)).sum();
    for (ones, others) in ones.zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(ones).zip(others) {
            *sum += term(*one, *other);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn passages(vectors: &[&[f32]]) -> EmbeddedPassages {
        let document = |number: usize| Document { text: number.to_string(), metadata: Map::new() };
        EmbeddedPassages {
            documents: (0..vectors.len()).map(document).collect(),
            lengths: vectors.iter().map(|vector| dot(vector, vector).sqrt()).collect(),
            dimensions: vectors[0].len(),
            numbers: vectors.concat(),
        }
    }

    fn found(passages: &EmbeddedPassages, question: &[f32], nearness: Similarity, most: usize) -> Vec<String> {
        let found = passages.nearest(question, nearness, most).unwrap();
        found.into_iter().map(|(document, _)| document.text).collect()
    }

    #[test]
    fn the_nearest_come_first_and_equals_as_they_stand() {
        let passages = passages(&[&[0.0, 1.0], &[10.0, 1.0], &[1.0, 0.0], &[2.0, 0.0]]);
        assert_eq!(found(&passages, &[1.0, 0.0], Similarity::Cosine, 3), ["2", "3", "1"]);
        assert_eq!(found(&passages, &[1.0, 0.0], Similarity::Distance, 4), ["2", "3", "0", "1"]);
        assert_eq!(found(&passages, &[1.0, 0.0], Similarity::Product, 3), ["1", "3", "2"]);
        assert!(passages.nearest(&[1.0], Similarity::Cosine, 1).is_err());
    }

    #[test]
    fn sums_are_the_same_in_lanes() {
        let numbers: Vec<f32> = (0..19_u8).map(f32::from).collect();
        assert_eq!(dot(&numbers, &numbers).to_bits(), 2109_f32.to_bits());
        assert_eq!(distance(&numbers, &[1.0; 19]).to_bits(), (2109.0 - 2.0 * 171.0 + 19_f32).to_bits());
    }

    #[test]
    fn indexes_are_kept_by_content_and_bounded() {
        let indexes = Indexes::default();
        let first = indexes.of([0; 32]);
        assert!(Arc::ptr_eq(&first, &indexes.of([0; 32])));
        for content in 1..=8 {
            indexes.of([content; 32]);
        }
        assert!(!Arc::ptr_eq(&first, &indexes.of([0; 32])));
        assert_eq!(indexes.0.lock().unwrap().len(), MOST_INDEXES);
    }
}
