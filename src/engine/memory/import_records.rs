//! Records of what was put into databases elsewhere, put into a file that is not there yet.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::records::{self, RecordFile};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::records::{PassageRecord, RecordStore as _};

/// The file's name in its folder.
pub(crate) const RECORDS_FILE: &str = records::FILE;

/// By the record manager's table and namespace.
pub(crate) type ImportedRecords = BTreeMap<(String, String), Vec<PassageRecord>>;

/// Writes them as noted now, and says how many there are.
///
/// # Errors
/// The file cannot be written, or they are too many.
pub(crate) fn import_records(folder: &Path, brought: &ImportedRecords) -> io::Result<u64> {
    // What went wrong is in the log.
    written(folder, brought).map_err(|failure| io::Error::other(failure.kind()))
}

fn written(folder: &Path, brought: &ImportedRecords) -> Result<u64, Failure> {
    let file = RecordFile::in_folder(folder);
    let mut count = 0;
    for ((table, namespace), records) in brought {
        let space = (table.as_str(), namespace.as_str());
        file.note(space, records, file.begin(space)?)?;
        count += file.count(space)?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_elsewhere_is_known_and_older_than_what_is_put_in_here() {
        let folder = tempfile::tempdir().unwrap();
        let record = |key: &str| PassageRecord { key: key.to_owned(), group: Some("a.txt".to_owned()), loader: None };
        let space = ("upsertion_records".to_owned(), "flow".to_owned());
        let brought = ImportedRecords::from([(space, vec![record("1"), record("2"), record("1")])]);
        assert_eq!(import_records(folder.path(), &brought).unwrap(), 2);
        let (file, space) = (RecordFile::in_folder(folder.path()), ("upsertion_records", "flow"));
        let known = file.known(space, &["1".to_owned(), "3".to_owned()]).unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ["1"]);
        let begun = file.begin(space).unwrap();
        file.note(space, &[record("1")], begun).unwrap();
        assert_eq!(file.outdated(space, begun, None, 10).unwrap(), ["2"]);
    }
}
