//! Broken databases.

use super::SqliteFile;
use super::page::Pages;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_sqlite() {
    fuzz("sqlite", &["\x0d", "\x05", "\0\0\0\x02", "CREATE TABLE ", "(", "\"", ","], |input| {
        let Ok(database) = Pages::of_bytes(input).and_then(SqliteFile::of) else { return };
        for name in database.tables.keys() {
            let _ = database.rows(name, &["id", "content", "number"], |_| {});
        }
    });
}
