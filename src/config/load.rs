//! Reads a configuration and everything that it names.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::content::{self, MOST_SETTINGS};
use super::error::{Problem, Problems};
use super::expand::EnvLookup;
use super::file::{Field, Sections};
use super::resolve::{self, Reread};
use super::yaml;
use super::{Config, Secret, SecretFile};

impl Config {
    /// Reads a configuration file and everything that it names, or says all that is wrong with it.
    ///
    /// # Errors
    ///
    /// All problems found, in the order of the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        load_with(path, &from_process)
    }

    /// Reads its file again. Of the files that it names, those that are broken keep what they held when they
    /// were good.
    pub(crate) fn load_again(&self) -> Reread {
        read(&self.path, &from_process, Some(self))
    }

    /// Reads the files again that it names, and leaves the configuration as it was.
    pub(crate) fn load_as_before(&self) -> Reread {
        resolved(self.source.clone(), &from_process, Some(self))
    }
}

/// The keys file that a configuration names, however broken the rest of it is; `None`: that cannot be told.
pub(crate) fn keys_file(path: &Path) -> Option<PathBuf> {
    keys_file_with(path, &from_process)
}

/// The credentials of a file of such; `None`: it is none.
pub(crate) fn credentials(text: &str) -> Option<HashMap<String, HashMap<String, Secret>>> {
    resolve::credentials_in(text)
}

/// A variable that is not UTF-8 counts as unset.
fn from_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn load_with(path: &Path, environment: EnvLookup<'_>) -> Result<Config, Problems> {
    read(path, environment, None).config
}

fn read(path: &Path, environment: EnvLookup<'_>, former: Option<&Config>) -> Reread {
    match content::read(path, MOST_SETTINGS) {
        Ok(content) => resolved(SecretFile::new(path.to_owned(), content), environment, former),
        Err(error) => unreadable(path, &error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Reread {
    let message = resolve::unreadable(error);
    Problem { file: path.to_owned(), at: None, field: String::new(), message }.into()
}

fn resolved(source: SecretFile, environment: EnvLookup<'_>, former: Option<&Config>) -> Reread {
    let Ok(text) = std::str::from_utf8(source.content()) else {
        return unreadable(&source.path, &io::ErrorKind::InvalidData.into());
    };
    match yaml::read(&source.path, text) {
        (Some(file), problems) => resolve::resolve(file, source, environment, problems, former),
        (None, problems) => Reread { config: Err(Problems(problems)), held: Vec::new(), named: Vec::new() },
    }
}

fn keys_file_with(path: &Path, environment: EnvLookup<'_>) -> Option<PathBuf> {
    const NAME: &str = "keys_file";
    let text = content::text(path, MOST_SETTINGS).ok()?;
    if let (Some(Sections { keys_file, .. }), problems) = yaml::read(path, &text) {
        let is_plain = problems.iter().all(|problem| problem.field != NAME);
        return is_plain.then(|| resolve::keys_file(&keys_file, path, environment)).flatten();
    }
    // No YAML. If the name stands in one place only, at the start of a line, there is no doubt what is meant.
    let mut lines = text.lines().filter(|line| line.contains(NAME) && !line.trim_start().starts_with('#'));
    let line = match (lines.next(), lines.next()) {
        (None, _) => return resolve::keys_file(&Field::default(), path, environment),
        (Some(line), None) if line.starts_with(NAME) => line,
        _ => return None,
    };
    match yaml::read(path, line) {
        (Some(Sections { keys_file, .. }), problems) if problems.is_empty() && keys_file.0.is_some() => {
            resolve::keys_file(&keys_file, path, environment)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
