//! Files of `SQLite`, read and never written: rows of tables, and nothing else of the format.
//!
//! Own code, since all that is wanted is a walk through tables: the one reader on crates.io that needs no C has not been
//! kept up, and `SQLite` itself costs the build 20 seconds of C. Format: <https://www.sqlite.org/fileformat2.html>.
//! Whatever a file says, reading it ends: no page is visited twice in a walk, and no row is larger than [`MOST_ROW`].

#[cfg(test)]
mod fuzz;
mod page;
mod record;
mod schema;
mod walk;

use std::collections::HashMap;
use std::path::Path;

use self::page::Pages;
pub(super) use self::record::SqlValue;
use self::schema::TableShape;

/// Bytes of a row. Flows and what stores hold are far smaller.
const MOST_ROW: u64 = 256 << 20;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SqliteError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is no SQLite database")]
    NotSqlite,
    /// A second file holds what the first one does not have yet.
    #[error(
        "{file} holds what has not reached the database yet: stop Flowise; if the file stays, \
         `sqlite3 {database} 'PRAGMA wal_checkpoint(TRUNCATE)'` writes it in"
    )]
    Unfinished { file: String, database: String },
    #[error("the database is damaged: {0}")]
    Damaged(&'static str),
}

/// An open file, with what its schema says of tables.
pub(super) struct SqliteFile {
    pages: Pages,
    tables: HashMap<String, TableShape>,
}

/// The columns of a row that were asked for, in that order.
pub(super) type SqlRow = Vec<SqlValue>;

impl SqliteFile {
    /// # Errors
    /// It is none, something of it is elsewhere, or it is damaged.
    pub(super) fn open(path: &Path) -> Result<Self, SqliteError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for beside in ["-wal", "-journal"] {
            let file = folder.join(format!("{name}{beside}"));
            // A journal whose first page is nothing has been played back.
            if std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0) && !page::is_blank(&file)? {
                let [file, database] = [&*file, path].map(|path| path.display().to_string());
                return Err(SqliteError::Unfinished { file, database });
            }
        }
        Self::of(Pages::open(path)?)
    }

    fn of(pages: Pages) -> Result<Self, SqliteError> {
        let mut tables = HashMap::new();
        schema::read(&pages, |name, shape| _ = tables.insert(name, shape))?;
        Ok(Self { pages, tables })
    }

    /// Whether it has that table.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// The tables that have all of these columns.
    pub(super) fn tables_with(&self, columns: &[&str]) -> Vec<&str> {
        let has_all = |shape: &TableShape| columns.iter().all(|wanted| shape.columns.iter().any(|own| own == wanted));
        self.tables.iter().filter(|(_, shape)| has_all(shape)).map(|(name, _)| name.as_str()).collect()
    }

    /// Gives each row of a table to `take`, in the order in which they were written. A column that the table does not
    /// have is null, and so a table that is not there has no rows.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub(super) fn rows(&self, table: &str, columns: &[&str], mut take: impl FnMut(SqlRow)) -> Result<(), SqliteError> {
        let Some(shape) = self.tables.get(table) else { return Ok(()) };
        let places: Vec<Option<usize>> =
            columns.iter().map(|wanted| shape.columns.iter().position(|column| column == wanted)).collect();
        walk::table(&self.pages, shape.root, |payload| {
            take(record::columns(payload, &places, self.pages.encoding)?);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
