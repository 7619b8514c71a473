//! Records that the engine keeps itself, for managers that Flowise kept in a file of its own.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::{PassageRecord, RecordKeeper, ask_keeper};
use crate::engine::contract::run::Run;

/// The records of one store.
#[derive(Debug)]
pub(in crate::engine::nodes::retrieval) struct OwnPage<'b> {
    keeper: &'b Arc<dyn RecordKeeper>,
    table: String,
    namespace: String,
    /// When it was opened.
    begun: u64,
}

impl<'b> OwnPage<'b> {
    pub(super) async fn open(table: &str, namespace: String, run: &'b Run<'_>) -> Result<Self, Failure> {
        let keeper = run.services.memory.records();
        let keeper = keeper.ok_or_else(|| Failure::flow("The records of what was put in cannot be kept here."))?;
        let mut page = Self { keeper, table: table.to_owned(), namespace, begun: 0 };
        page.begun = page.ask(|keeper, space| keeper.begin(space)).await?;
        Ok(page)
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn RecordKeeper, (&str, &str)) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (table, namespace) = (self.table.clone(), self.namespace.clone());
        ask_keeper(self.keeper, move |keeper| work(keeper, (&table, &namespace))).await
    }

    pub(super) async fn known(&self, records: &[PassageRecord]) -> Result<HashSet<String>, Failure> {
        let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
        self.ask(move |keeper, space| keeper.known(space, &keys)).await
    }

    pub(super) async fn note(&self, records: &[PassageRecord]) -> Result<(), Failure> {
        let (records, begun) = (records.to_vec(), self.begun);
        self.ask(move |keeper, space| keeper.note(space, &records, begun)).await
    }

    pub(super) async fn outdated(&self, groups: Option<&[PassageRecord]>, most: usize) -> Result<Vec<String>, Failure> {
        let of = |records: &[PassageRecord]| records.iter().filter_map(|record| record.group.clone()).collect();
        let (groups, begun) = (groups.map(of), self.begun);
        self.ask(move |keeper, space| keeper.outdated(space, begun, groups.as_ref(), most)).await
    }

    pub(super) async fn forget(&self, keys: &[String]) -> Result<(), Failure> {
        let keys = keys.to_vec();
        self.ask(move |keeper, space| keeper.forget(space, &keys)).await
    }

    pub(super) async fn count(&self) -> Result<u64, Failure> {
        self.ask(|keeper, space| keeper.count(space)).await
    }
}
