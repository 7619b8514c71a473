//! The YAML as written: every field that may stand in it, all optional, none checked.
//!
//! Leaves are located [`Node`]s, so that `resolve` can report all mistakes at once, each in its place. Defaults are
//! applied there too. The fields' documentation is `config/full.yaml`.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::error::{Problem, Problems};
use super::expand::Environment;
use super::yaml::{self, At, Named, Node};
use super::{Config, SecretFile, resolve};

/// What came of reading a configuration.
pub(crate) struct Reread {
    pub(crate) config: Result<Config, Problems>,
    /// Problems of files that it names and that keep what they held when they were good.
    pub(crate) held: Vec<Problem>,
    /// Every path that it names, whether there is something or not.
    pub(crate) named: Vec<PathBuf>,
}

impl From<Problem> for Reread {
    fn from(problem: Problem) -> Self {
        Self { config: Err(problem.into()), held: Vec::new(), named: Vec::new() }
    }
}

/// Reads a configuration file and everything that it names, or says all that is wrong with it.
///
/// # Errors
///
/// All problems found, in the order of the file.
pub fn load(path: &Path) -> Result<Config, Problems> {
    load_with(path, &from_process)
}

/// Reads the configuration file again. Of the files that it names, those that are broken keep what they held when they
/// were good.
pub(crate) fn load_again(former: &Config) -> Reread {
    read(&former.path, &from_process, Some(former))
}

/// Reads the files again that a configuration names, and leaves the configuration as it was.
pub(crate) fn load_as_before(former: &Config) -> Reread {
    resolved(former.source.clone(), &from_process, Some(former))
}

/// The keys file that a configuration names, however broken the rest of it is; `None`: that cannot be told.
pub(crate) fn keys_file(path: &Path) -> Option<PathBuf> {
    keys_file_with(path, &from_process)
}

/// A variable that is not UTF-8 counts as unset.
fn from_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) fn load_with(path: &Path, environment: Environment<'_>) -> Result<Config, Problems> {
    read(path, environment, None).config
}

fn read(path: &Path, environment: Environment<'_>, former: Option<&Config>) -> Reread {
    match std::fs::read(path) {
        Ok(content) => resolved(SecretFile::new(path.to_owned(), content), environment, former),
        Err(error) => unreadable(path, &error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Reread {
    let message = resolve::unreadable(error);
    Problem { file: path.to_owned(), at: None, field: String::new(), message }.into()
}

fn resolved(source: SecretFile, environment: Environment<'_>, former: Option<&Config>) -> Reread {
    let Ok(text) = std::str::from_utf8(source.content()) else {
        return unreadable(&source.path, &io::ErrorKind::InvalidData.into());
    };
    match yaml::read(&source.path, text) {
        (Some(file), problems) => resolve::resolve(file, source, environment, problems, former),
        (None, problems) => Reread { config: Err(Problems(problems)), held: Vec::new(), named: Vec::new() },
    }
}

fn keys_file_with(path: &Path, environment: Environment<'_>) -> Option<PathBuf> {
    const NAME: &str = "keys_file";
    let text = std::fs::read_to_string(path).ok()?;
    if let (Some(File { keys_file, .. }), problems) = yaml::read(path, &text) {
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
        (Some(File { keys_file, .. }), problems) if problems.is_empty() && keys_file.0.is_some() => {
            resolve::keys_file(&keys_file, path, environment)
        }
        _ => None,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "`keys_file` is the name of the field in the file")]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) log: Log,
    pub(super) upstreams: Named<Upstream>,
    pub(super) keys_file: Field,
    pub(super) state_dir: Field,
    pub(super) session_secret: Field,
    pub(super) plans: Named<Plan>,
    pub(super) cors: Cors,
    pub(super) auth_failures: AuthFailuresSection,
    pub(super) chatflows: Named<Chatflow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Field,
    pub(super) tls: Option<At<Tls>>,
    pub(super) workers: Field,
    pub(super) trusted_proxies: Field,
    pub(super) max_connections: Field,
    pub(super) connections_per_address: Field,
    pub(super) max_body: Field,
    pub(super) max_upload: Field,
    pub(super) max_header_bytes: Field,
    pub(super) header_timeout: Field,
    pub(super) body_timeout: Field,
    pub(super) body_time: Field,
    pub(super) min_body_rate: Field,
    pub(super) send_timeout: Field,
    pub(super) idle_timeout: Field,
    pub(super) shutdown_grace: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) listen: Field,
    pub(super) cert_file: Field,
    pub(super) key_file: Field,
    pub(super) client_ca_file: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Field,
    pub(super) format: Field,
    pub(super) access: Field,
}

/// One of its fields is given.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) flowise: Option<Flowise>,
    pub(super) engine: Option<Engine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) flows_dir: Field,
    pub(super) threads: Field,
    pub(super) credentials: Named<Named<Node>>,
    pub(super) allow_networks: Field,
    pub(super) limits: EngineLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineLimits {
    pub(super) time: Field,
    pub(super) steps: Field,
    pub(super) model_calls: Field,
    pub(super) tool_calls: Field,
    pub(super) text: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Flowise {
    pub(super) urls: Field,
    pub(super) api_key: Field,
    pub(super) api_key_file: Field,
    pub(super) ca_file: Field,
    pub(super) connect_timeout: Field,
    pub(super) response_timeout: Field,
    pub(super) stream_idle_timeout: Field,
    pub(super) pass_headers: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) requests: Field,
    pub(super) burst: Field,
    pub(super) concurrent: Field,
    pub(super) quota: Field,
    pub(super) wait: Field,
    pub(super) queue: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cors {
    pub(super) allowed_origins: Field,
    pub(super) allow_credentials: Field,
    pub(super) max_age: Field,
    pub(super) allowed_headers: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthFailures {
    pub(super) free: Field,
    pub(super) then: Field,
    pub(super) delay: Field,
}

/// `null` turns it off, which is not the same as leaving it out.
#[derive(Debug)]
pub(super) struct AuthFailuresSection(pub(super) Option<AuthFailures>);

impl Default for AuthFailuresSection {
    fn default() -> Self {
        Self(Some(AuthFailures::default()))
    }
}

impl<'de> Deserialize<'de> for AuthFailuresSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Chatflow {
    pub(super) upstream: Field,
    pub(super) id: Field,
    pub(super) api_key: Field,
    pub(super) access: Field,
    pub(super) allowed_origins: Field,
    pub(super) body: Field,
    pub(super) response: Field,
    pub(super) events: Field,
    pub(super) override_config: Field,
    pub(super) max_question_chars: Field,
    pub(super) max_word_chars: Field,
    pub(super) vars: Field,
    pub(super) force_override: Field,
    pub(super) isolate_sessions: Field,
    pub(super) plan: Field,
}

/// A field that may be absent, which is not the same as a field that says `null`.
#[derive(Debug, Default)]
pub(super) struct Field(pub(super) Option<Node>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node::deserialize(deserializer).map(|node| Self(Some(node)))
    }
}

#[cfg(test)]
mod tests;
