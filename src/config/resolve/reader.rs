//! Takes typed values out of fields, and keeps the problems.
//!
//! An absent field is `None`, and so is one that was refused; the caller puts the default in its place, and no
//! configuration comes out of a file with problems. No message contains a value of the file or of a variable.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::config::content::{self, MOST_SETTINGS};
use crate::config::error::Problem;
use crate::config::expand::{EnvLookup, expand, has_variable};
use crate::config::file::Field;
use crate::config::yaml::{At, Value, YamlNode};
use crate::config::{Config, SecretFile};

pub(super) struct FieldReader<'a> {
    /// As the user named it, for messages.
    path: &'a Path,
    /// The same, absolute.
    absolute: PathBuf,
    environment: EnvLookup<'a>,
    problems: Vec<Problem>,
    /// The configuration in force, which goes on with what can no longer be read.
    former: Option<&'a Config>,
    held: Vec<Problem>,
    secret_files: Vec<SecretFile>,
    /// Every path that was written.
    named: Vec<PathBuf>,
    /// Every listener so far, and where it was written if it was.
    pub(super) listeners: Vec<(SocketAddr, Option<At<()>>, &'static str)>,
}

impl<'a> FieldReader<'a> {
    pub(super) fn new(
        path: &'a Path,
        environment: EnvLookup<'a>,
        problems: Vec<Problem>,
        former: Option<&'a Config>,
    ) -> Result<Self, Problem> {
        let absolute = std::path::absolute(path).map_err(|error| Problem {
            file: path.to_owned(),
            at: None,
            field: String::new(),
            message: unreadable(&error),
        })?;
        let (held, secret_files, named, listeners) = Default::default();
        Ok(Self { path, absolute, environment, problems, former, held, secret_files, named, listeners })
    }

    /// What was found, problems in the order of the file.
    pub(super) fn finish(mut self) -> Finished {
        self.problems.sort_by_key(|problem| problem.at);
        let Self { absolute: path, problems, held, secret_files, named, .. } = self;
        Finished { path, problems, held, secret_files, named }
    }

    /// Where relative paths start.
    pub(super) fn folder(&self) -> &Path {
        self.absolute.parent().unwrap_or(Path::new("/"))
    }

    pub(super) fn refuse<T>(&mut self, place: &At<T>, message: impl Display) {
        self.refuse_at(Some(place.at()), &place.field, message);
    }

    pub(super) fn refuse_at(&mut self, at: Option<(u32, u32)>, field: &str, message: impl Display) {
        self.problems.push(Problem {
            file: self.path.to_owned(),
            at,
            field: field.to_owned(),
            message: message.to_string(),
        });
    }

    /// Reports something that is missing, unless what should hold it was refused already.
    pub(super) fn missing(&mut self, at: Option<(u32, u32)>, field: &str, message: &str) {
        let holds = |problem: &Problem| match field.strip_prefix(problem.field.as_str()) {
            // The empty field is the document itself.
            Some(rest) => problem.field.is_empty() || rest.is_empty() || rest.starts_with('.'),
            None => false,
        };
        if !self.problems.iter().any(holds) {
            self.refuse_at(at, field, message);
        }
    }

    /// A string, expanded. Numbers are refused: YAML may have changed their spelling.
    pub(super) fn string(&mut self, node: &YamlNode) -> Option<String> {
        match &node.value {
            Value::String(text) => self.expanded(node, text),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {
                self.refuse(node, format_args!("expected a string, found {}: put it in quotes", node.value.kind()));
                None
            }
            other => {
                self.refuse(node, format_args!("expected a string, found {}", other.kind()));
                None
            }
        }
    }

    fn expanded(&mut self, node: &YamlNode, text: &str) -> Option<String> {
        match expand(text, self.environment) {
            Ok(text) => Some(text),
            Err(error) => {
                self.refuse(node, error);
                None
            }
        }
    }

    /// A field that is written as one word and means something else: a duration, a size, an address.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        field: &Field,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parsed_node(field.0.as_ref()?, parse)
    }

    pub(super) fn parsed_node<T, E: Display>(
        &mut self,
        node: &YamlNode,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, found) = match &node.value {
            Value::String(text) => (self.expanded(node, text)?, None),
            Value::Integer(number) => (number.to_string(), None),
            // Never well-formed: the parser says what it expects.
            other => (String::new(), Some(other.kind())),
        };
        match (parse(&text), found) {
            (Ok(value), None) => Some(value),
            (Ok(_), Some(found)) => {
                self.refuse(node, format_args!("unexpected {found}"));
                None
            }
            (Err(error), None) => {
                self.refuse(node, error);
                None
            }
            (Err(error), Some(found)) => {
                self.refuse(node, format_args!("{error}; found {found}"));
                None
            }
        }
    }

    /// A whole number; a string with a variable in it may become one.
    pub(super) fn number(&mut self, field: &Field, range: RangeInclusive<u64>) -> Option<u64> {
        let node = field.0.as_ref()?;
        let number = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) if has_variable(text) => self.expanded(node, text)?.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.refuse(node, format_args!("expected a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A number of at least one for which `u32` is wide enough.
    pub(super) fn count(&mut self, field: &Field, max: u32) -> Option<NonZeroU32> {
        self.number(field, 1..=max.into()).and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new)
    }

    /// `true` or `false`; a string with a variable in it may become one of them.
    pub(super) fn boolean(&mut self, field: &Field) -> Option<bool> {
        let node = field.0.as_ref()?;
        let value = match &node.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if has_variable(text) => self.expanded(node, text)?.parse().ok(),
            _ => None,
        };
        if value.is_none() {
            self.refuse(node, "expected true or false");
        }
        value
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, field: &Field, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(field, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                format!("expected {}", words.join(" or "))
            })
        })
    }

    /// The items of a list; an absent field has none.
    pub(super) fn list<'n>(&mut self, field: &'n Field) -> Option<&'n [YamlNode]> {
        let node = field.0.as_ref()?;
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        self.refuse(node, format_args!("expected a list, found {}; an empty one is written []", node.value.kind()));
        None
    }

    /// A path, made absolute from the configuration file's folder.
    pub(super) fn path(&mut self, field: &Field) -> Option<PathBuf> {
        let node = field.0.as_ref()?;
        let text = self.string(node)?;
        if text.is_empty() {
            self.refuse(node, "expected a path");
            return None;
        }
        let path = self.folder().join(text);
        self.named.push(path.clone());
        Some(path)
    }

    /// Refuses a file that is not there. If one in force has gone, whoever reads it says so.
    pub(super) fn require_file(&mut self, place: &At<()>, path: &Path) {
        match content::check(path, MOST_SETTINGS) {
            _ if self.is_in_force(path) => {}
            Ok(()) => {}
            Err(error) => self.refuse(place, missing_file(&error)),
        }
    }

    /// Whether the configuration in force names that file or folder as well.
    pub(super) fn is_in_force(&self, path: &Path) -> bool {
        self.former.is_some_and(|former| former.names(path))
    }

    /// Reads a file that belongs to the configuration and is watched with it. One that is broken keeps what it held
    /// when it was good.
    pub(super) fn read_file<T>(
        &mut self,
        field: &Field,
        parse: impl Fn(&[u8]) -> Result<T, &'static str>,
    ) -> Option<(PathBuf, T)> {
        let node = field.0.as_ref()?;
        let path = self.path(field)?;
        let read = content::read(&path, MOST_SETTINGS).map_err(|error| missing_file(&error));
        let message = match read.and_then(|content| Ok((parse(&content)?, content))) {
            Ok((value, content)) => {
                self.note(SecretFile::new(path.clone(), content));
                return Some((path, value));
            }
            Err(message) => message,
        };
        let former = self.former.into_iter().flat_map(|former| &former.secret_files);
        let good = former.filter(|file| file.path == path).find_map(|file| Some((file, parse(file.content()).ok()?)));
        let Some((file, value)) = good else {
            self.refuse(node, message);
            return None;
        };
        let field = node.field.clone();
        self.held.push(Problem { file: self.path.to_owned(), at: Some(node.at()), field, message });
        self.note(file.clone());
        Some((path, value))
    }

    fn note(&mut self, file: SecretFile) {
        if self.secret_files.iter().all(|known| known.path != file.path) {
            self.secret_files.push(file);
        }
    }
}

/// What a [`FieldReader`] found.
pub(super) struct Finished {
    /// Absolute.
    pub(super) path: PathBuf,
    pub(super) problems: Vec<Problem>,
    /// Problems of files whose former content counts.
    pub(super) held: Vec<Problem>,
    pub(super) secret_files: Vec<SecretFile>,
    pub(super) named: Vec<PathBuf>,
}

fn missing_file(error: &io::Error) -> String {
    let hint =
        if error.kind() == ErrorKind::NotFound { "; relative paths start at the folder of this file" } else { "" };
    unreadable(error) + hint
}

/// `null` and absent are one for fields that have `null` as their default.
pub(super) fn non_null(field: Field) -> Field {
    Field(field.0.filter(|node| !matches!(node.value, Value::Null)))
}

/// For fields whose `null` means that there is no such bound: `read` is asked about anything else that is written.
pub(super) fn unless_null<T>(field: &Field, default: Option<T>, read: impl FnOnce(&Field) -> Option<T>) -> Option<T> {
    match &field.0 {
        None => default,
        Some(node) if matches!(node.value, Value::Null) => None,
        Some(_) => read(field),
    }
}

/// The place of a field that was written.
pub(super) fn place(field: &Field) -> Option<At<()>> {
    let At { line, column, field, .. } = field.0.as_ref()?;
    Some(At { value: (), line: *line, column: *column, field: field.clone() })
}

/// Why a file cannot be read, without its path: it may come from a variable.
pub(in crate::config) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => String::from("no such file"),
        ErrorKind::PermissionDenied => String::from("the file may not be read: permission denied"),
        ErrorKind::InvalidData => String::from("the file is not valid UTF-8"),
        ErrorKind::IsADirectory => String::from("expected a file, found a folder"),
        _ if content::is_refused(error) => error.to_string(),
        kind => format!("the file cannot be read: {kind}"),
    }
}

/// Whether a name can stand in a path segment, a metric label and a log line.
pub(super) fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._~-".contains(c))
        && !matches!(name, "." | "..")
}
