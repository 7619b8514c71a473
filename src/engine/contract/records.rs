//! What was put into databases of passages, for record managers that have no database of their own, and whoever keeps it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::failure::Failure;

/// Records of one space.
pub(crate) const MOST_RECORDS: u64 = 1_000_000;

/// A passage that was put in.
#[derive(Debug, Clone)]
pub(crate) struct PassageRecord {
    pub(crate) key: String,
    /// Where it comes from.
    pub(crate) group: Option<String>,
    /// Of Flowise's document stores.
    pub(crate) loader: Option<String>,
}

/// Keeps them, by table, namespace and key. Each call may wait for the disk.
pub(crate) trait RecordStore: fmt::Debug + Send + Sync {
    /// The time from which on records of that namespace are new: after all that are there.
    ///
    /// # Errors
    /// They cannot be read.
    fn begin(&self, space: (&str, &str)) -> Result<u64, Failure>;

    /// Which of these are there.
    ///
    /// # Errors
    /// They cannot be read.
    fn known(&self, space: (&str, &str), keys: &[String]) -> Result<HashSet<String>, Failure>;

    /// Notes that these are there. The group of one that is there already stays.
    ///
    /// # Errors
    /// They cannot be written, or are more than [`MOST_RECORDS`].
    fn note(&self, space: (&str, &str), records: &[PassageRecord], time: u64) -> Result<(), Failure>;

    /// Up to so many that were noted before, of these groups alone if there are any.
    ///
    /// # Errors
    /// They cannot be read.
    fn outdated(
        &self,
        space: (&str, &str),
        before: u64,
        groups: Option<&HashSet<String>>,
        most: usize,
    ) -> Result<Vec<String>, Failure>;

    /// # Errors
    /// They cannot be written.
    fn forget(&self, space: (&str, &str), keys: &[String]) -> Result<(), Failure>;

    /// # Errors
    /// They cannot be read.
    fn count(&self, space: (&str, &str)) -> Result<u64, Failure>;
}

/// Asks it where waiting keeps nobody from going on.
pub(crate) async fn ask_store<T: Send + 'static>(
    store: &Arc<dyn RecordStore>,
    work: impl FnOnce(&dyn RecordStore) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(&*store)).await;
    done.unwrap_or_else(|_| Err(Failure::flow("The records cannot be read.")))
}
