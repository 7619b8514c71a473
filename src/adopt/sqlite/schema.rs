//! Which tables there are, and how their columns are called: the statements that made them.

use super::page::Pages;
use super::{SqlValue, SqliteError, record, walk};

/// Where the schema's own table begins.
const SCHEMA: u32 = 1;
/// What begins a rule of a table and is no column.
const RULES: [&str; 5] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];

/// A table.
pub(super) struct TableShape {
    pub(super) root: u32,
    pub(super) columns: Vec<String>,
}

/// Gives each table with its name.
pub(super) fn read(pages: &Pages, mut take: impl FnMut(String, TableShape)) -> Result<(), SqliteError> {
    // type, name, tbl_name, rootpage, sql
    let places = [Some(0), Some(1), Some(3), Some(4)];
    walk::table(pages, SCHEMA, |payload| {
        let row = record::columns(payload, &places, pages.encoding)?;
        if let Ok([SqlValue::Text(kind), SqlValue::Text(name), SqlValue::Integer(root), SqlValue::Text(sql)]) =
            <[SqlValue; 4]>::try_from(row)
            && kind == "table"
            && let Ok(root) = u32::try_from(root)
        {
            take(name, TableShape { root, columns: columns(&sql) });
        }
        Ok(())
    })
}

/// The names of a statement's columns, in order.
fn columns(sql: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut words = SqlWords { rest: sql };
    // Up to the list.
    words.by_ref().find(|word| *word == SqlWord::Open);
    let (mut depth, mut is_first) = (0_u32, true);
    for word in words {
        match word {
            SqlWord::Open => depth += 1,
            SqlWord::Close if depth == 0 => break,
            SqlWord::Close => depth -= 1,
            SqlWord::Comma if depth == 0 => is_first = true,
            SqlWord::Name(name) if is_first && depth == 0 => {
                is_first = false;
                names.push(name.to_owned());
            }
            SqlWord::Bare(name) if is_first && depth == 0 => {
                is_first = false;
                if !RULES.iter().any(|rule| name.eq_ignore_ascii_case(rule)) {
                    names.push(name.to_owned());
                }
            }
            SqlWord::Comma | SqlWord::Name(_) | SqlWord::Bare(_) | SqlWord::Other => {}
        }
    }
    names
}

/// As far as columns are told by it.
#[derive(Debug, PartialEq)]
enum SqlWord<'a> {
    Open,
    Close,
    Comma,
    /// In quotation marks of any kind.
    Name(&'a str),
    Bare(&'a str),
    Other,
}

struct SqlWords<'a> {
    rest: &'a str,
}

impl<'a> Iterator for SqlWords<'a> {
    type Item = SqlWord<'a>;

    fn next(&mut self) -> Option<SqlWord<'a>> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let is_bare = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
        let quoted = match first {
            '"' | '`' | '\'' => Some(first),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(end) = quoted {
            let inside = self.rest.get(1..).unwrap_or_default();
            let (name, rest) = inside.split_once(end).unwrap_or((inside, ""));
            self.rest = rest;
            return Some(SqlWord::Name(name));
        }
        if is_bare(first) {
            let end = self.rest.find(|letter| !is_bare(letter)).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(SqlWord::Bare(name));
        }
        self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
        Some(match first {
            '(' => SqlWord::Open,
            ')' => SqlWord::Close,
            ',' => SqlWord::Comma,
            _ => SqlWord::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_told_from_rules() {
        let sql = r#"CREATE TABLE "temp_x" ("id" varchar PRIMARY KEY NOT NULL, `name` text, [a b] varchar(20) DEFAULT 'a,(b',
            "createdDate" datetime NOT NULL DEFAULT (datetime('now')), type VARCHAR(20) DEFAULT "x,y",
            "apiConfig" TEXT, FOREIGN KEY ("workspaceId") REFERENCES "workspace"("id"), CONSTRAINT "u" UNIQUE ("id"))"#;
        assert_eq!(columns(sql), ["id", "name", "a b", "createdDate", "type", "apiConfig"]);
        assert_eq!(columns("CREATE TABLE x"), [""; 0]);
        assert_eq!(columns("CREATE TABLE x(a"), ["a"]);
    }
}
