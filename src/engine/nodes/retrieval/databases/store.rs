//! A database with what its node says about searching it.

use std::sync::Arc;

use serde_json::Value;

use super::database::{CHAT, Database, Hit, NewPassage, Query};
use super::relevance::most_marginal;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{
    Document, DocumentSource, Embeddings, Narrowing, PutDocuments, Retriever, Summary, SummaryWish, VectorStore,
};
use crate::engine::contract::run::Run;
use crate::engine::models::connection;
use crate::engine::nodes::retrieval::records::PassageRecords;
use crate::engine::text::mustache::JsonTemplate;

/// Which passages are looked at.
#[derive(Debug)]
pub(super) enum SearchFilter {
    Json(JsonTemplate),
    /// In a language of the database's own.
    Words(JsonTemplate),
}

impl SearchFilter {
    /// With values in their places, in which they are values and no conditions. A variable alone may be more: whoever sets
    /// it was let to.
    fn value(&self, run: &Run<'_>) -> Result<Value, String> {
        match self {
            Self::Json(template) => template.condition(run),
            Self::Words(template) => match template.mustache().filter(|_| !template.is_variable()) {
                Some(words) => words.condition(run).map(Value::from),
                None => template.value(run),
            },
        }
    }
}

/// How it is searched.
#[derive(Debug)]
pub(super) struct SearchOptions {
    /// Passages that are found.
    pub(super) most: usize,
    pub(super) filter: Option<SearchFilter>,
    /// Passages that are fetched, and how much nearness counts against diversity.
    pub(super) diversity: Option<(usize, f64)>,
    /// Whether its filters are written in JSON.
    pub(super) filters_in_json: bool,
    /// Files that other chats put in are not found.
    pub(super) by_chat: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct DatabaseStore {
    pub(super) sources: Vec<Arc<dyn DocumentSource>>,
    pub(super) embeddings: Arc<dyn Embeddings>,
    pub(super) options: SearchOptions,
    pub(super) database: Arc<dyn Database>,
    /// What was put in before.
    pub(super) records: Option<Arc<PassageRecords>>,
    /// What Flowise calls the store in its records.
    pub(super) recorded_as: Option<String>,
}

/// Passages that are put in at once.
pub(super) const AT_ONCE: usize = 100;

impl DatabaseStore {
    async fn searched(
        &self,
        question: &str,
        most: usize,
        by: Option<Narrowing<'_>>,
        run: &Run<'_>,
    ) -> Result<Vec<(Document, f32)>, Failure> {
        let (text, vector) = (question.to_owned(), self.embeddings.embed_question(question, run).await?);
        let filter = self.options.filter.as_ref().map(|filter| filter.value(run)).transpose();
        let filter = narrowed(filter.map_err(Failure::flow)?, by);
        let chat = self.options.by_chat.then(|| run.request.chat_id.clone());
        let Some((fetched, lambda)) = self.options.diversity else {
            let query = Query { text, vector, most, filter, chat, with_vectors: false };
            return Ok(held(self.hits(&query, run).await?));
        };
        let query = Query { text, vector, most: fetched.max(most), filter, chat, with_vectors: true };
        let hits = self.hits(&query, run).await?;
        let vectors: Vec<&[f32]> = hits.iter().map(|hit| &*hit.vector).collect();
        let chosen = most_marginal(&query.vector, &vectors, lambda, most);
        let mut hits: Vec<Option<Hit>> = hits.into_iter().map(Some).collect();
        let mut take = |place: usize| hits.get_mut(place).and_then(Option::take);
        Ok(held(chosen.into_iter().filter_map(&mut take).collect()))
    }

    /// No more than were asked for, however many there are in the database's answer.
    async fn hits(&self, query: &Query, run: &Run<'_>) -> Result<Vec<Hit>, Failure> {
        let mut hits = self.database.search(query, run).await?;
        hits.truncate(query.most);
        Ok(hits)
    }

    async fn put(&self, run: &Run<'_>) -> Result<PutDocuments, Failure> {
        let mut all = Vec::new();
        for source in &self.sources {
            let documents = source.documents(run).await?;
            all.extend(documents.iter().filter(|document| !document.text.is_empty()).cloned());
        }
        if self.options.by_chat {
            for document in &mut all {
                document.metadata.insert(CHAT.to_owned(), run.request.chat_id.as_str().into());
            }
        }
        match self.records.as_deref() {
            Some(PassageRecords::Kept(manager)) => return self.put_recorded(all, manager, run).await,
            Some(PassageRecords::Unconfigured(credential)) => return Err(connection::no_credential(credential)),
            Some(PassageRecords::Wrong(words)) => return Err(Failure::flow(words.clone())),
            None => {}
        }
        let mut put = PutDocuments::default();
        let mut left = all.into_iter().peekable();
        while left.peek().is_some() {
            run.give_way().await;
            put.documents.extend(self.add(left.by_ref().take(AT_ONCE).collect(), None, run).await?);
        }
        Ok(put)
    }
}

/// The filter that counts.
fn narrowed(own: Option<Value>, by: Option<Narrowing<'_>>) -> Option<Value> {
    match (own, by) {
        (own, None) => own,
        (Some(Value::Object(mut own)), Some(by)) if by.adds => {
            own.extend(by.filter.clone());
            Some(own.into())
        }
        (_, Some(by)) => (!by.filter.is_empty()).then(|| by.filter.clone().into()),
    }
}

fn held(hits: Vec<Hit>) -> Vec<(Document, f32)> {
    hits.into_iter().map(|hit| (hit.document, hit.nearness)).collect()
}

impl VectorStore for DatabaseStore {
    fn nearest<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        Box::pin(self.searched(question, self.options.most, None, run))
    }

    fn nearest_of<'a>(&'a self, question: &'a str, most: usize, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        Box::pin(self.searched(question, most, None, run))
    }

    fn most(&self) -> usize {
        self.options.most
    }

    fn takes_filters(&self) -> bool {
        self.options.filters_in_json
    }

    fn nearest_by<'a>(
        &'a self,
        question: &'a str,
        most: usize,
        by: Narrowing<'a>,
        run: &'a Run<'a>,
    ) -> Task<'a, Vec<(Document, f32)>> {
        Box::pin(self.searched(question, most, Some(by), run))
    }

    fn sums_up(&self) -> bool {
        self.database.sums_up()
    }

    fn summary<'a>(&'a self, question: &'a str, wish: &'a SummaryWish, run: &'a Run<'a>) -> Task<'a, Summary> {
        Box::pin(async move {
            let filter =
                self.options.filter.as_ref().map(|filter| filter.value(run)).transpose().map_err(Failure::flow)?;
            let (text, vector) = (question.to_owned(), self.embeddings.embed_question(question, run).await?);
            let query = Query { text, vector, most: self.options.most, filter, chat: None, with_vectors: false };
            self.database.summary(&query, wish, run).await
        })
    }

    fn upsert<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, PutDocuments> {
        Box::pin(self.put(run))
    }
}

impl Retriever for DatabaseStore {
    fn store(self: Arc<Self>) -> Option<Arc<dyn VectorStore>> {
        Some(self)
    }

    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let found = self.nearest(question, run).await?;
            let documents: Vec<Document> = found.into_iter().map(|(document, _)| document).collect();
            Ok(documents)
        })
    }
}

/// Of a database that makes its own vectors: there are none to make.
#[derive(Debug)]
pub(super) struct NoEmbeddings;

impl Embeddings for NoEmbeddings {
    fn embed_all<'a>(&'a self, texts: &'a [String], _: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async { Ok(vec![Vec::new(); texts.len()]) })
    }

    fn embed_question<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Stands for a database whose credential, by its name, is not configured: nothing is sent anywhere.
#[derive(Debug)]
pub(super) struct Unconfigured(pub(super) &'static str);

impl Database for Unconfigured {
    fn search<'a>(&'a self, _: &'a Query, _: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async { Err(connection::no_credential(self.0)) })
    }

    fn add<'a>(&'a self, _: &'a [NewPassage], _: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async { Err(connection::no_credential(self.0)) })
    }

    fn deletes(&self) -> bool {
        true
    }

    fn sums_up(&self) -> bool {
        true
    }

    fn summary<'a>(&'a self, _: &'a Query, _: &'a SummaryWish, _: &'a Run<'a>) -> Task<'a, Summary> {
        Box::pin(async { Err(connection::no_credential(self.0)) })
    }
}
