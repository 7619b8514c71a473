//! Records in a table of Postgres, with the columns that Flowise and LangChain give it.

use std::collections::HashSet;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::PassageRecord;
use crate::engine::contract::run::Run;
use crate::engine::postgres::{FoundRows, Postgres};

/// The records of one store.
#[derive(Debug)]
pub(in crate::engine::nodes::retrieval) struct PostgresNamespace<'b> {
    postgres: &'b Postgres,
    /// Letters, digits and underscores.
    table: &'b str,
    namespace: String,
    /// When it was opened, by the database's clock, as it tells it.
    begun: String,
}

type Statement = (String, Vec<String>);

fn made(table: &str) -> Vec<Statement> {
    let mut made = vec![format!(
        "CREATE TABLE IF NOT EXISTS \"{table}\" (uuid UUID PRIMARY KEY DEFAULT gen_random_uuid(), key TEXT NOT NULL, \
         namespace TEXT NOT NULL, updated_at Double PRECISION NOT NULL, group_id TEXT, UNIQUE (key, namespace))"
    )];
    made.push(format!("ALTER TABLE \"{table}\" ADD COLUMN IF NOT EXISTS doc_id TEXT"));
    for column in ["updated_at", "key", "namespace", "group_id", "doc_id"] {
        made.push(format!("CREATE INDEX IF NOT EXISTS {column}_index ON \"{table}\" ({column})"));
    }
    made.into_iter().map(|statement| (statement, Vec::new())).collect()
}

impl<'b> PostgresNamespace<'b> {
    /// Makes the table, if it is not there.
    pub(super) async fn open(
        postgres: &'b Postgres,
        table: &'b str,
        namespace: String,
        run: &Run<'_>,
    ) -> Result<Self, Failure> {
        let mut statements = made(table);
        statements.push(("SELECT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) AS begun".to_owned(), Vec::new()));
        let found = postgres.run(&statements, run).await?;
        let begun = found.rows.first().and_then(|row| found.value(row, "begun"));
        let begun = begun.ok_or_else(|| Failure::flow("The database does not say what time it is."))?.to_owned();
        Ok(Self { postgres, table, namespace, begun })
    }

    async fn run(&self, statement: String, parameters: Vec<String>, run: &Run<'_>) -> Result<FoundRows, Failure> {
        self.postgres.run(&[(statement, parameters)], run).await
    }

    async fn keys(&self, more: &str, parameters: Vec<String>, run: &Run<'_>) -> Result<Vec<String>, Failure> {
        let table = self.table;
        let statement = format!("SELECT key FROM \"{table}\" WHERE namespace = $1{more}");
        let found = self.run(statement, parameters, run).await?;
        Ok(found.rows.iter().filter_map(|row| Some(found.value(row, "key")?.to_owned())).collect())
    }

    /// Which of these were put in.
    pub(super) async fn known(&self, records: &[PassageRecord], run: &Run<'_>) -> Result<HashSet<String>, Failure> {
        let keys = list(records.iter().map(|record| Some(record.key.as_str())));
        let found = self.keys(" AND key = ANY($2::text[])", vec![self.namespace.clone(), keys], run).await?;
        Ok(found.into_iter().collect())
    }

    /// Notes that these are there.
    pub(super) async fn note(&self, records: &[PassageRecord], run: &Run<'_>) -> Result<(), Failure> {
        let statement = format!(
            "INSERT INTO \"{}\" (key, namespace, updated_at, group_id, doc_id) SELECT k, $1::text, \
             EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)::double precision, g, d FROM unnest($2::text[], $3::text[], $4::text[]) \
             AS new(k, g, d) ON CONFLICT (key, namespace) DO UPDATE SET updated_at = EXCLUDED.updated_at, doc_id = \
             EXCLUDED.doc_id",
            self.table
        );
        let parameters = vec![
            self.namespace.clone(),
            list(records.iter().map(|record| Some(record.key.as_str()))),
            list(records.iter().map(|record| record.group.as_deref())),
            list(records.iter().map(|record| record.loader.as_deref())),
        ];
        self.run(statement, parameters, run).await.map(drop)
    }

    /// Up to so many that were put in before and not since; of these groups alone, if there are any.
    pub(super) async fn outdated(
        &self,
        groups: Option<&[PassageRecord]>,
        most: usize,
        run: &Run<'_>,
    ) -> Result<Vec<String>, Failure> {
        let mut parameters = vec![self.namespace.clone(), self.begun.clone()];
        let mut more = " AND updated_at < $2::double precision".to_owned();
        if let Some(groups) = groups {
            more.push_str(" AND group_id = ANY($3::text[])");
            parameters.push(list(groups.iter().map(|record| record.group.as_deref())));
        }
        self.keys(&format!("{more} LIMIT {most}"), parameters, run).await
    }

    pub(super) async fn forget(&self, keys: &[String], run: &Run<'_>) -> Result<(), Failure> {
        let statement = format!("DELETE FROM \"{}\" WHERE namespace = $1 AND key = ANY($2::text[])", self.table);
        let keys = list(keys.iter().map(|key| Some(key.as_str())));
        self.run(statement, vec![self.namespace.clone(), keys], run).await.map(drop)
    }

    pub(super) async fn count(&self, run: &Run<'_>) -> Result<u64, Failure> {
        let statement = format!("SELECT COUNT(*) AS count FROM \"{}\" WHERE namespace = $1", self.table);
        let found = self.run(statement, vec![self.namespace.clone()], run).await?;
        let count = found.rows.first().and_then(|row| found.value(row, "count")?.parse().ok());
        count.ok_or_else(|| Failure::flow("The database does not count its records."))
    }
}

/// Texts as Postgres reads a list of them.
fn list<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> String {
    let text = |text: Option<&str>| match text {
        Some(text) => format!("\"{}\"", text.replace('\0', "").replace('\\', "\\\\").replace('"', "\\\"")),
        None => "NULL".to_owned(),
    };
    format!("{{{}}}", texts.map(text).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_whatever_texts_there_are() {
        assert_eq!(list([Some("a"), None, Some("b\"\\,}")].into_iter()), r#"{"a",NULL,"b\"\\,}"}"#);
        assert_eq!(list(std::iter::empty()), "{}");
    }
}
