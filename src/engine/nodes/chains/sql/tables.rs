//! What a model is told of a database's tables, in the form of `LangChain`: how each was made, and its first rows.

use serde_json::Value;

use super::BOUNDS;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::postgres::{BoundConnection, FoundRows, PostgresError, StatementBounds, values};

const COLUMNS: &str = "SELECT c.table_name, c.column_name, c.data_type, c.is_nullable FROM \
                       information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name) \
                       WHERE table_schema = 'public' ORDER BY table_name, c.ordinal_position";
/// Of all tables; those of a table are at most 1,600.
const MOST_COLUMNS: u32 = 20_000;
/// Tables that are told, each with a query of its own.
const MOST_TABLES: usize = 200;
/// Rows of a sample.
const MOST_SAMPLED: u32 = 100;

/// The tables that a model may know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChosenTables {
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// Rows that it sees of each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Samples {
    /// As the query for them is shown.
    limit: String,
    count: u32,
}

struct SqlTable {
    name: String,
    columns: Vec<SqlColumn>,
}

struct SqlColumn {
    name: String,
    kind: String,
    is_nullable: bool,
}

impl ChosenTables {
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let names = |text: String| {
            let names = text.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect::<Vec<_>>()
        };
        let only = inputs.text("includesTables").map(names);
        let but = inputs.text("ignoreTables").map(names);
        match (only, but) {
            (None, None) => Some(Self::All),
            (Some(only), None) => Some(Self::Only(only)),
            (None, Some(but)) => Some(Self::AllBut(but)),
            (Some(_), Some(_)) => {
                inputs.refuse("ignoreTables", "Cannot specify both includeTables and ignoreTables");
                None
            }
        }
    }

    /// What is told of them.
    pub(super) async fn told(
        &self,
        connection: &mut BoundConnection,
        samples: &Samples,
        run: &Run<'_>,
    ) -> Result<String, Failure> {
        let bounds = StatementBounds { rows: MOST_COLUMNS, ..BOUNDS };
        let found = connection.query(COLUMNS, &[], bounds, run).await?;
        let tables = self.among(tables(&found))?;
        if tables.len() > MOST_TABLES || found.is_cut {
            let message =
                format!("The database has more than {MOST_TABLES} tables; the node has to name those to use.");
            return Err(Failure::flow(message));
        }
        let mut told = String::new();
        for table in &tables {
            told.push_str(&table.told(connection, samples, run).await?);
            run.budget().has_room(told.len())?;
        }
        Ok(told)
    }

    fn among(&self, mut tables: Vec<SqlTable>) -> Result<Vec<SqlTable>, Failure> {
        let (names, kind) = match self {
            Self::All => return Ok(tables),
            Self::Only(names) => (names, "Include"),
            Self::AllBut(names) => (names, "Ignore"),
        };
        if let Some(name) = names.iter().find(|name| !tables.iter().any(|table| table.name == **name)) {
            let message =
                format!("{kind} tables not found in database: the table {name} was not found in the database");
            return Err(Failure::flow(message));
        }
        let is_kept = matches!(self, Self::Only(_));
        tables.retain(|table| names.contains(&table.name) == is_kept);
        Ok(tables)
    }
}

impl Samples {
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        if !inputs.has("sampleRowsInTableInfo") {
            // Flowise takes what the editor leaves empty for a number.
            let is_empty = inputs.node.data.inputs.get("sampleRowsInTableInfo").is_some_and(Value::is_string);
            return Some(if is_empty { Self { limit: String::new(), count: 0 } } else { Self::of(3) });
        }
        let count = inputs.integer("sampleRowsInTableInfo")?;
        let count = u32::try_from(count).ok().filter(|count| *count <= MOST_SAMPLED);
        if count.is_none() {
            inputs.refuse("sampleRowsInTableInfo", format!("expected at most {MOST_SAMPLED}"));
        }
        count.map(Self::of)
    }

    fn of(count: u32) -> Self {
        Self { limit: count.to_string(), count }
    }
}

impl SqlTable {
    async fn told(
        &self,
        connection: &mut BoundConnection,
        samples: &Samples,
        run: &Run<'_>,
    ) -> Result<String, Failure> {
        let Self { name, columns } = self;
        let column = |SqlColumn { name, kind, is_nullable }: &SqlColumn| {
            format!("{name} {kind} {}", if *is_nullable { "" } else { "NOT NULL" })
        };
        let made = columns.iter().map(column).collect::<Vec<_>>().join(", ");
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let names = names.join(" ");
        let limit = &samples.limit;
        let mut told = format!(
            "CREATE TABLE \"public\".\"{name}\" (\n{made}) \nSELECT * FROM \"public\".\"{name}\" LIMIT {limit};\n {names}\n"
        );
        if samples.count == 0 {
            return Ok(told);
        }
        let select = format!("SELECT * FROM \"public\".\"{}\" LIMIT {}", name.replace('"', "\"\""), samples.count);
        match connection.query(&select, &[], BOUNDS, run).await {
            Ok(found) => found.rows.iter().for_each(|row| told.extend([sampled(&found.kinds, row).as_str(), "\n"])),
            // One that its user may not read is told without.
            Err(PostgresError::Refused { .. }) => {}
            Err(PostgresError::Failed(failure)) => return Err(failure),
        }
        Ok(told)
    }
}

/// A row in a line.
fn sampled(kinds: &[u32], row: &[Option<String>]) -> String {
    let shown = kinds.iter().zip(row).map(|(kind, text)| values::shown(*kind, text.as_deref()));
    format!(" {}", shown.collect::<Vec<_>>().join(" "))
}

/// Tables with their columns, in the order of the rows.
fn tables(found: &FoundRows) -> Vec<SqlTable> {
    let mut tables: Vec<SqlTable> = Vec::new();
    for row in &found.rows {
        let text = |column: &str| found.value(row, column).unwrap_or_default().to_owned();
        let (name, is_nullable) = (text("table_name"), text("is_nullable") == "YES");
        let column = SqlColumn { name: text("column_name"), kind: text("data_type"), is_nullable };
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(SqlTable { name, columns: vec![column] }),
        }
    }
    tables
}
