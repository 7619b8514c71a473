//! Records that the engine keeps itself, for managers that Flowise kept in a file of its own.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::{PassageRecord, RecordStore, ask_store};
use crate::engine::contract::run::Run;

/// The records of one store.
#[derive(Debug)]
pub(in crate::engine::nodes::retrieval) struct OwnNamespace<'b> {
    store: &'b Arc<dyn RecordStore>,
    table: String,
    namespace: String,
    /// When it was opened.
    begun: u64,
}

impl<'b> OwnNamespace<'b> {
    pub(super) async fn open(table: &str, namespace: String, run: &'b Run<'_>) -> Result<Self, Failure> {
        let store = run.services.memory.records();
        let store = store.ok_or_else(|| Failure::flow("The records of what was put in cannot be kept here."))?;
        let mut opened = Self { store, table: table.to_owned(), namespace, begun: 0 };
        opened.begun = opened.ask(|store, space| store.begin(space)).await?;
        Ok(opened)
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn RecordStore, (&str, &str)) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (table, namespace) = (self.table.clone(), self.namespace.clone());
        ask_store(self.store, move |store| work(store, (&table, &namespace))).await
    }

    pub(super) async fn known(&self, records: &[PassageRecord]) -> Result<HashSet<String>, Failure> {
        let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
        self.ask(move |store, space| store.known(space, &keys)).await
    }

    pub(super) async fn note(&self, records: &[PassageRecord]) -> Result<(), Failure> {
        let (records, begun) = (records.to_vec(), self.begun);
        self.ask(move |store, space| store.note(space, &records, begun)).await
    }

    pub(super) async fn outdated(&self, groups: Option<&[PassageRecord]>, most: usize) -> Result<Vec<String>, Failure> {
        let of = |records: &[PassageRecord]| records.iter().filter_map(|record| record.group.clone()).collect();
        let (groups, begun) = (groups.map(of), self.begun);
        self.ask(move |store, space| store.outdated(space, begun, groups.as_ref(), most)).await
    }

    pub(super) async fn forget(&self, keys: &[String]) -> Result<(), Failure> {
        let keys = keys.to_vec();
        self.ask(move |store, space| store.forget(space, &keys)).await
    }

    pub(super) async fn count(&self) -> Result<u64, Failure> {
        self.ask(|store, space| store.count(space)).await
    }
}
