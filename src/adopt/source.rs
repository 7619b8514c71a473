//! Reads what the command is given: exports, folders of them, and Flowise's own file.

use std::path::{Path, PathBuf};

use super::database;
use super::inventory::Inventory;
use super::sqlite::SqliteError;
use crate::config::content::{self, MOST_EXPORT};
use crate::exported::{self, Container, FlowRecord};
use crate::uuid::is_uuid;

/// What files of `SQLite` begin with.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// What Flowise's editor puts behind a flow's name when it exports it.
const SUFFIXES: [&str; 3] = [" Chatflow", " Agentflow", " Agents"];

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    NoExport { path: PathBuf, message: String },
    #[error("{}: {source}", path.display())]
    Database { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{}: there is no export of Flowise's in it", path.display())]
    Empty { path: PathBuf },
    #[error("--encryption-key {}: {source}", path.display())]
    Key { path: PathBuf, source: std::io::Error },
    #[error("there is no flow in what was named")]
    NoFlow,
}

impl SourceError {
    fn database(path: &Path, source: SqliteError) -> Self {
        Self::Database { path: path.to_owned(), source: source.into() }
    }
}

/// All of them together. `encryption_key`: of the file that Flowise encrypts credentials with.
///
/// # Errors
/// One of them cannot be read, or none has a flow.
pub(super) fn read(sources: &[PathBuf], encryption_key: Option<&Path>) -> Result<Inventory, SourceError> {
    let key = encryption_key
        .map(|path| {
            let read = content::text(path, content::MOST_SETTINGS);
            read.map_err(|source| SourceError::Key { path: path.to_owned(), source })
        })
        .transpose()?
        .map(crate::config::Secret::new);
    let mut inventory = Inventory::default();
    for path in sources {
        if path.is_dir() {
            folder(path, key.as_ref(), &mut inventory)?;
        } else {
            file(path, key.as_ref(), &mut inventory)?;
        }
    }
    inventory.settle();
    if inventory.flows.is_empty() {
        return Err(SourceError::NoFlow);
    }
    Ok(inventory)
}

/// Everything in it that is an export; what is none is told.
fn folder(path: &Path, key: Option<&crate::config::Secret>, inventory: &mut Inventory) -> Result<(), SourceError> {
    let io = |source| SourceError::Io { path: path.to_owned(), source };
    let mut found = false;
    for inside in crate::engine::listed(path).map_err(io)? {
        let extension = inside.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !inside.is_file() || !matches!(extension.to_ascii_lowercase().as_str(), "json" | "sqlite" | "db") {
            continue;
        }
        match file(&inside, key, inventory) {
            Ok(()) => found = true,
            Err(SourceError::NoExport { path, message }) => {
                inventory.notes.push(format!("{} is left out: {message}", path.display()));
            }
            Err(error) => return Err(error),
        }
    }
    if found { Ok(()) } else { Err(SourceError::Empty { path: path.to_owned() }) }
}

fn file(path: &Path, key: Option<&crate::config::Secret>, inventory: &mut Inventory) -> Result<(), SourceError> {
    let io = |source| SourceError::Io { path: path.to_owned(), source };
    if is_database(path).map_err(io)? {
        return database::read(path, key, inventory).map_err(|source| SourceError::database(path, source));
    }
    let bytes = content::read(path, MOST_EXPORT).map_err(io)?;
    let no_export = |message: String| SourceError::NoExport { path: path.to_owned(), message };
    let text = exported::decoded(&bytes).map_err(|message| no_export(message.to_owned()))?;
    inventory.add(container(path, &text).map_err(no_export)?);
    Ok(())
}

/// Looks at the beginning alone: such a file may be larger than any export.
fn is_database(path: &Path) -> std::io::Result<bool> {
    use std::io::Read as _;
    content::check(path, usize::MAX)?;
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut start)?;
    Ok(start == SQLITE)
}

/// What a text holds; one that is a flow by itself has its file's name.
fn container(path: &Path, text: &str) -> Result<Container, String> {
    if exported::is_container(text) || exported::is_single(text) {
        let mut container = exported::read(text)?;
        let single = (container.flows.len() == 1).then(|| stem(path));
        for (number, flow) in (1..).zip(&mut container.flows) {
            let named = || single.clone().unwrap_or_else(|| format!("{} {number}", stem(path)));
            flow.name.get_or_insert_with(named);
        }
        return Ok(container);
    }
    crate::engine::check_export(text)?;
    let stem = stem(path);
    let name = SUFFIXES.iter().find_map(|suffix| stem.strip_suffix(suffix)).unwrap_or(&stem).to_owned();
    let id = is_uuid(&stem).then(|| stem.to_ascii_lowercase());
    let flow = FlowRecord { id, name: Some(name), flow_data: Some(text.to_owned()), ..FlowRecord::default() };
    Ok(Container { flows: vec![flow], ..Container::default() })
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
