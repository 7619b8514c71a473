//! YAML text to values that know where they stand, so that every problem has a line, a column and a field.
//!
//! Two steps. The parser first reads the text into a tree of located nodes ([`value`]), then [`de`] hands that tree to
//! serde and keeps going after an unknown field or a section of the wrong shape, so that a reader learns of all
//! mistakes at once; only broken YAML ends the reading at its first mistake. Duplicate fields, YAML 1.1 booleans
//! (`yes`, `off`), custom tags, several documents and documents that grow without bounds are refused.
//!
//! The YAML library is named in this file and in [`at`] only.

mod at;
mod de;
mod items;
mod nearest;
mod places;
mod sections;
mod value;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Options};

use super::content::{self, TooLarge};
use super::error::Problem;
pub(crate) use at::{At, Located};
pub(crate) use items::{ItemSink, each_item};
pub(crate) use nearest::suggest;
pub use places::FieldPlaces;
pub(crate) use sections::{Named, Switched};
pub(crate) use value::{Value, YamlNode};

/// Bytes of a document that is read into one tree.
const MAX_BYTES: usize = content::MOST_SETTINGS;
/// Bytes of a list that is read item by item.
const MAX_LIST_BYTES: usize = content::MOST_KEYS;
/// Of one file; what follows is not worth reading.
const MOST_PROBLEMS: usize = 100;
/// Levels of lists and maps within one another; the configuration itself needs seven.
const MAX_DEPTH: usize = 32;

/// Reads a document as `T`: what could be read, and what was wrong. At least one of the two says something.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, text: &str) -> (Option<T>, Vec<Problem>) {
    let mut report = Report { file: path.to_owned(), problems: Vec::new() };
    let value = read_into(text, &mut report);
    report.problems.sort_by_key(|problem| problem.at);
    (value, report.problems)
}

fn read_into<T: DeserializeOwned>(text: &str, report: &mut Report) -> Option<T> {
    if text.len() > MAX_BYTES {
        report.add(None, String::new(), TooLarge(content::MOST_SETTINGS).to_string());
        return None;
    }
    let mut root: YamlNode = match serde_saphyr::from_str_with_options(text, options(MAX_BYTES)) {
        Ok(root) => root,
        Err(error) => {
            report.add(position(&error), String::new(), describe(error.without_snippet()));
            return None;
        }
    };
    if matches!(root.value, Value::Null) {
        report.add(None, String::new(), "the file is empty");
        return None;
    }
    de::read(&mut root, report)
}

/// Collects problems of one file.
struct Report {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Report {
    fn add(&mut self, at: Option<(u32, u32)>, field: String, message: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), at, field, message: message.into() });
    }
}

/// For a document of at most so many bytes.
fn options(most: usize) -> Options {
    serde_saphyr::options! {
        // Duplicates are found in the tree, all of them at once.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        // `0755` and `1_000` mean different numbers to different readers.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        budget: serde_saphyr::budget! {
            max_events: most / 8,
            max_nodes: most / 16,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_documents: 2,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: most,
        },
    }
}

fn position(error: &Error) -> Option<(u32, u32)> {
    let location = error.location()?;
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some((line, u32::try_from(location.column()).ok()?))
}

/// The library's errors in our words: what the reader of a config file can do about it, and nothing from the file.
fn describe(error: &Error) -> &'static str {
    match error {
        Error::Eof { .. } => "the file is empty or ends too early",
        Error::MultipleDocuments { .. } => "only one document is expected: remove what follows `---`",
        Error::UnknownAnchor { .. } => {
            "this alias (`*name`) has no anchor (`&name`) before it; a text that starts with * must be put in quotes"
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias cannot stand inside its own anchor",
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` expects a map or a list of maps",
        Error::NonFiniteFloat { .. } => "a number out of range; put it in quotes if it is meant as a text",
        Error::InvalidUtf8Input => "the file is not valid UTF-8",
        Error::UnsupportedTag { .. }
        | Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::InvalidScalar { .. } => {
            "tags (`!name`) are not supported; a text that starts with ! must be put in quotes"
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => "the document is nested too deeply or too large",
        Error::AliasError { error, .. } => describe(error),
        Error::ExternalMessage { msg, .. } => describe_syntax(msg),
        _ => "not valid YAML here: check indentation, quotes and brackets",
    }
}

/// What a syntax error is usually about. The scanner's own sentences speak of its internals.
fn describe_syntax(message: &str) -> &'static str {
    // The first that matches counts.
    const KINDS: [(&str, &str); 11] = [
        ("unknown anchor", "a text that starts with * must be put in quotes"),
        ("tab", "not valid YAML here: indent with spaces, not with tabs"),
        ("escape", "not valid YAML here: in double quotes a backslash is written twice, in single quotes once"),
        ("unclosed quote", "not valid YAML here: a quoted text does not end"),
        ("unclosed bracket", "not valid YAML here: a bracket or brace is not closed"),
        ("unexpected character", "a text that starts with a character such as @ or % must be put in quotes"),
        (
            "mapping values",
            "not valid YAML here: check the indentation; a text with a colon and a space must be put in quotes",
        ),
        ("nest", "the document is nested too deeply or too large"),
        ("recursion", "the document is nested too deeply or too large"),
        ("flow", "not valid YAML here: check brackets and commas; a text with brackets must be put in quotes"),
        (
            "block",
            "not valid YAML here: check the indentation; a text that starts with a bracket must be put in quotes",
        ),
    ];
    KINDS
        .iter()
        .find(|(word, _)| message.contains(word))
        .map_or("not valid YAML here: check indentation, quotes and the space after each colon", |(_, description)| {
            description
        })
}

#[cfg(test)]
mod tests;
