//! A record manager, wherever its records are kept.

use std::collections::HashSet;

use super::in_postgres::PostgresNamespace;
use super::own::OwnNamespace;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::PassageRecord;
use crate::engine::contract::run::Run;
use crate::engine::postgres::Postgres;

/// What becomes of what was put in before and is not among the documents any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::nodes::retrieval) enum Cleanup {
    None,
    /// It goes, if it is of a source that is put in again.
    Incremental,
    Full,
}

/// See the module.
#[derive(Debug)]
pub(in crate::engine::nodes::retrieval) struct RecordManager {
    pub(super) backend: RecordBackend,
    /// Letters, digits and underscores.
    pub(super) table: String,
    /// `None`: the flow's own.
    pub(super) namespace: Option<String>,
    pub(in crate::engine::nodes::retrieval) cleanup: Cleanup,
    /// The field of metadata that says where a passage comes from.
    pub(in crate::engine::nodes::retrieval) source: String,
}

/// Where it is kept.
#[derive(Debug)]
pub(super) enum RecordBackend {
    Postgres(Postgres),
    /// Beside what chats remember.
    Own,
}

/// The records of one store.
#[derive(Debug)]
pub(in crate::engine::nodes::retrieval) enum RecordNamespace<'b> {
    Postgres(PostgresNamespace<'b>),
    Own(OwnNamespace<'b>),
}

impl RecordManager {
    /// `store`: what Flowise calls the store in it.
    pub(in crate::engine::nodes::retrieval) async fn open<'b>(
        &'b self,
        store: Option<&str>,
        run: &'b Run<'_>,
    ) -> Result<RecordNamespace<'b>, Failure> {
        let own = self.namespace.as_deref().unwrap_or(run.flow);
        let namespace = store.map_or_else(|| own.to_owned(), |store| format!("{own}_{store}"));
        Ok(match &self.backend {
            RecordBackend::Postgres(postgres) => {
                RecordNamespace::Postgres(PostgresNamespace::open(postgres, &self.table, namespace, run).await?)
            }
            RecordBackend::Own => RecordNamespace::Own(OwnNamespace::open(&self.table, namespace, run).await?),
        })
    }
}

impl RecordNamespace<'_> {
    /// Which of these were put in.
    pub(in crate::engine::nodes::retrieval) async fn known(
        &self,
        records: &[PassageRecord],
        run: &Run<'_>,
    ) -> Result<HashSet<String>, Failure> {
        match self {
            Self::Postgres(namespace) => namespace.known(records, run).await,
            Self::Own(namespace) => namespace.known(records).await,
        }
    }

    /// Notes that these are there.
    pub(in crate::engine::nodes::retrieval) async fn note(
        &self,
        records: &[PassageRecord],
        run: &Run<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Postgres(namespace) => namespace.note(records, run).await,
            Self::Own(namespace) => namespace.note(records).await,
        }
    }

    /// Up to so many that were put in before and not since; of these groups alone, if there are any.
    pub(in crate::engine::nodes::retrieval) async fn outdated(
        &self,
        groups: Option<&[PassageRecord]>,
        most: usize,
        run: &Run<'_>,
    ) -> Result<Vec<String>, Failure> {
        match self {
            Self::Postgres(namespace) => namespace.outdated(groups, most, run).await,
            Self::Own(namespace) => namespace.outdated(groups, most).await,
        }
    }

    pub(in crate::engine::nodes::retrieval) async fn forget(
        &self,
        keys: &[String],
        run: &Run<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Postgres(namespace) => namespace.forget(keys, run).await,
            Self::Own(namespace) => namespace.forget(keys).await,
        }
    }

    pub(in crate::engine::nodes::retrieval) async fn count(&self, run: &Run<'_>) -> Result<u64, Failure> {
        match self {
            Self::Postgres(namespace) => namespace.count(run).await,
            Self::Own(namespace) => namespace.count().await,
        }
    }
}
