//! Puts passages into a database and notes them in its record manager: what is there already is left alone.

use std::collections::HashSet;

use super::database::{Database, NewPassage};
use super::store::{AT_ONCE, DatabaseStore};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, PutCounts, PutDocuments};
use crate::engine::contract::records::PassageRecord;
use crate::engine::contract::run::Run;
use crate::engine::nodes::retrieval::records::{Cleanup, RecordManager, RecordNamespace, key_of};
use crate::engine::text::javascript::shown;

/// Records that are let go of at once.
const MOST_FORGOTTEN: usize = 1000;

impl DatabaseStore {
    pub(super) async fn put_recorded(
        &self,
        all: Vec<Document>,
        manager: &RecordManager,
        run: &Run<'_>,
    ) -> Result<PutDocuments, Failure> {
        let namespace = manager.open(self.recorded_as.as_deref(), run).await?;
        let mut put = PutDocuments::default();
        let mut counts = PutCounts::default();
        let mut left = all.into_iter().peekable();
        while left.peek().is_some() {
            run.give_way().await;
            let batch: Vec<Document> = left.by_ref().take(AT_ONCE).collect();
            let (records, documents) = records_of(batch, manager, &*self.database)?;
            let known = namespace.known(&records, run).await?;
            let keyed = documents.into_iter().zip(&records);
            let new = keyed.filter(|(_, record)| !known.contains(&record.key));
            let (new, keys): (Vec<Document>, Vec<String>) =
                new.map(|(document, record)| (document, record.key.clone())).unzip();
            counts.skipped += records.len() - new.len();
            if !new.is_empty() {
                put.documents.extend(self.add(new, Some(keys), run).await?);
            }
            namespace.note(&records, run).await?;
            if manager.cleanup == Cleanup::Incremental {
                counts.deleted += self.clean(&namespace, Some(&records), run).await?;
            }
        }
        if manager.cleanup == Cleanup::Full {
            counts.deleted += self.clean(&namespace, None, run).await?;
        }
        counts.total = namespace.count(run).await?;
        put.counts = Some(counts);
        Ok(put)
    }

    /// Takes out what was put in before and is not there any more; how many.
    async fn clean(
        &self,
        namespace: &RecordNamespace<'_>,
        groups: Option<&[PassageRecord]>,
        run: &Run<'_>,
    ) -> Result<usize, Failure> {
        let mut deleted = 0;
        loop {
            run.budget().step()?;
            let keys = namespace.outdated(groups, MOST_FORGOTTEN, run).await?;
            if keys.is_empty() {
                return Ok(deleted);
            }
            self.database.delete(&keys, run).await?;
            namespace.forget(&keys, run).await?;
            deleted += keys.len();
        }
    }

    /// Embeds passages and adds them, under these ids if there are any.
    pub(super) async fn add(
        &self,
        batch: Vec<Document>,
        ids: Option<Vec<String>>,
        run: &Run<'_>,
    ) -> Result<Vec<Document>, Failure> {
        run.budget().step()?;
        let texts: Vec<String> = batch.iter().map(|document| document.text.clone()).collect();
        let vectors = self.embeddings.embed_all(&texts, run).await?;
        if vectors.len() != batch.len() {
            return Err(Failure::Unreachable("The embeddings of the documents cannot be used.".to_owned()));
        }
        let is_recorded = ids.is_some();
        let mut ids = ids.into_iter().flatten();
        let passages = batch.into_iter().zip(vectors).map(|(document, vector)| NewPassage {
            id: ids.next().or_else(crate::predict::chat_id::random).unwrap_or_default(),
            is_recorded,
            document,
            vector,
        });
        let passages: Vec<NewPassage> = passages.collect();
        self.database.add(&passages, run).await?;
        Ok(passages.into_iter().map(|passage| passage.document).collect())
    }
}

/// Each passage once, with what is noted of it.
fn records_of(
    batch: Vec<Document>,
    manager: &RecordManager,
    database: &dyn Database,
) -> Result<(Vec<PassageRecord>, Vec<Document>), Failure> {
    let mut seen = HashSet::new();
    let (mut records, mut documents) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for document in batch {
        let known_by = database.known_by(&document.metadata);
        let key = key_of(&document.text, known_by.as_ref().unwrap_or(&document.metadata)).map_err(Failure::flow)?;
        if !seen.insert(key.clone()) {
            continue;
        }
        let field = |name: &str| document.metadata.get(name).filter(|value| !value.is_null()).map(shown);
        let group = field(&manager.source);
        if manager.cleanup == Cleanup::Incremental && group.as_deref().unwrap_or_default().is_empty() {
            return Err(Failure::flow("Source id cannot be null"));
        }
        records.push(PassageRecord { key, group, loader: field("docId") });
        documents.push(document);
    }
    Ok((records, documents))
}

#[cfg(test)]
mod tests;
