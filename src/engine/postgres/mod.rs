//! A client of Postgres: its protocol, as far as nodes need it. Queries have their parameters beside them, as texts, and
//! results are texts. Each operation has a connection of its own.

pub(crate) mod address;
#[cfg(test)]
mod fuzz;
mod message;
mod session;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::time::Duration;

use self::session::PostgresSession;
use crate::config::Secret;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::RawServer;

/// Of a message, and of a result as it is held.
const MOST_BYTES: usize = if cfg!(test) { 1 << 20 } else { 32 << 20 };

/// A database, and who asks.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(crate) server: RawServer,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: String,
}

/// What a query gave: columns by name, and rows of texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundRows {
    pub(crate) columns: Vec<String>,
    /// The types of columns, by their numbers in the database; see [`values`].
    pub(crate) kinds: Vec<u32>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// What was done, such as `SELECT 2`.
    pub(crate) tag: String,
    /// Whether there were more rows than were asked for.
    pub(crate) is_cut: bool,
}

impl FoundRows {
    /// The value of a column in a row.
    pub(crate) fn value<'r>(&self, row: &'r [Option<String>], column: &str) -> Option<&'r str> {
        let at = self.columns.iter().position(|name| name == column)?;
        row.get(at)?.as_deref()
    }
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PostgresError {
    /// The database does not do it: its code of five letters, and its words.
    Refused {
        code: String,
        words: String,
    },
    Failed(Failure),
}

impl From<Failure> for PostgresError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        match error {
            PostgresError::Refused { words, .. } => Self::Flow(words),
            PostgresError::Failed(failure) => failure,
        }
    }
}

/// What one statement of somebody else's may do and take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatementBounds {
    pub(crate) rows: u32,
    pub(crate) time: Duration,
    /// Whether it may change anything.
    pub(crate) writes: bool,
}

impl Postgres {
    /// Runs the statements in one transaction; the rows of the last.
    pub(crate) async fn run(&self, statements: &[(String, Vec<String>)], run: &Run<'_>) -> Result<FoundRows, Failure> {
        let mut session = PostgresSession::open(self, run).await?;
        let mut rows = FoundRows::default();
        for (statement, parameters) in statements {
            run.budget().step()?;
            let parameters: Vec<Option<&str>> = parameters.iter().map(|text| Some(text.as_str())).collect();
            rows = session.query(statement, &parameters, 0).await?;
        }
        session.close().await;
        Ok(rows)
    }

    /// For statements that neither the engine nor a node's author wrote.
    pub(crate) async fn connect(&self, run: &Run<'_>) -> Result<BoundConnection, Failure> {
        PostgresSession::open(self, run).await.map(BoundConnection)
    }
}

/// A connection on which each statement has a transaction of its own, with bounds.
pub(crate) struct BoundConnection(PostgresSession);

impl BoundConnection {
    /// One statement: of several in one text the database does none.
    pub(crate) async fn query(
        &mut self,
        statement: &str,
        parameters: &[Option<&str>],
        bounds: StatementBounds,
        run: &Run<'_>,
    ) -> Result<FoundRows, PostgresError> {
        run.budget().step()?;
        let StatementBounds { rows, time, writes } = bounds;
        let begin = if writes { "BEGIN READ WRITE" } else { "BEGIN READ ONLY" };
        self.0.query(begin, &[], 0).await?;
        self.0.query(&format!("SET LOCAL statement_timeout = {}", time.as_millis()), &[], 0).await?;
        let found = self.0.query(statement, parameters, rows).await;
        // After an error, and after what only reads, there is nothing to keep.
        let end = if writes && found.is_ok() { "COMMIT" } else { "ROLLBACK" };
        match found {
            Err(PostgresError::Failed(failure)) => Err(failure.into()),
            found => {
                self.0.query(end, &[], 0).await?;
                found
            }
        }
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}
