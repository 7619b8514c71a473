use super::page::Pages;
use super::*;

/// The small files that tests/behaviour/adopt/fixture.py makes.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/sqlite");
    ["utf16be", "utf16le", "utf8"].map(|name| std::fs::read(folder.join(name)).unwrap()).into()
}

/// The tables of tests/behaviour/adopt/fixture.py.
fn things(bytes: &[u8]) -> Vec<SqlRow> {
    let database = SqliteFile::of(Pages::of_bytes(bytes).unwrap()).unwrap();
    assert!(database.has("things") && !database.has("nothings"));
    let mut rows = Vec::new();
    database.rows("things", &["number", "the content", "content", "none", "late"], |row| rows.push(row)).unwrap();
    database.rows("nothings", &["a"], |_| panic!("no rows")).unwrap();
    rows
}

#[test]
fn tables_are_read_in_every_encoding() {
    let numbers = [
        SqlValue::Null,
        SqlValue::Integer(0),
        SqlValue::Integer(1),
        SqlValue::Integer(-1),
        SqlValue::Integer(200),
        SqlValue::Integer(-70_000),
        SqlValue::Integer(1 << 40),
        SqlValue::Integer(-(1 << 62)),
        SqlValue::Real(2.5),
    ];
    let expected: Vec<SqlRow> = (0..60)
        .filter(|number| number % 7 != 3)
        .map(|number: usize| {
            let long = if number % 20 == 7 { "lang-".repeat(500) } else { "grün".to_owned() };
            let text = SqlValue::Text(format!("{number} {long}"));
            vec![numbers[number % 9].clone(), text, SqlValue::Blob(vec![0, 255]), SqlValue::Null, SqlValue::Null]
        })
        .collect();
    for bytes in corpus() {
        assert_eq!(things(&bytes), expected);
    }
}

#[test]
fn what_is_cut_off_or_goes_in_circles_is_damaged() {
    let bytes = corpus().remove(0);
    assert!(matches!(Pages::of_bytes(b"SQLite"), Err(SqliteError::NotSqlite)));
    assert!(matches!(Pages::of_bytes(&[0; 200]), Err(SqliteError::NotSqlite)));
    let read = |bytes: &[u8]| {
        let database = SqliteFile::of(Pages::of_bytes(bytes).unwrap())?;
        database.rows("things", &["content"], |_| {})
    };
    assert!(matches!(read(&bytes[..bytes.len() / 2]), Err(SqliteError::Damaged(_))));
    // The table's root, which is an interior page, gets itself for its last child.
    let mut circle = bytes.clone();
    let root = 512;
    assert_eq!(circle[root], 5);
    circle[root + 8..root + 12].copy_from_slice(&2_u32.to_be_bytes());
    assert!(matches!(read(&circle), Err(SqliteError::Damaged("a page is in a table twice"))));
}

#[test]
fn what_has_not_reached_the_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("database.sqlite");
    std::fs::write(&path, corpus().remove(0)).unwrap();
    for (name, content) in [("-wal", &b""[..]), ("-journal", b""), ("-journal", &[0; 512])] {
        std::fs::write(folder.path().join(format!("database.sqlite{name}")), content).unwrap();
        assert!(SqliteFile::open(&path).is_ok());
    }
    std::fs::write(folder.path().join("database.sqlite-wal"), [1; 64]).unwrap();
    let message = SqliteFile::open(&path).err().unwrap().to_string();
    assert!(message.contains("database.sqlite-wal holds") && message.contains("wal_checkpoint"), "{message}");
}
