//! From the YAML as written to the settings the program runs on: defaults applied, values checked, names looked up.
//!
//! One file per section; each takes what it can from its fields and leaves a problem with the [`FieldReader`] for the rest,
//! so that one run reports all of them. A field that belongs to a later version is refused, never silently ignored.

mod address;
mod admin;
mod browsers;
mod chatflows;
mod credentials;
mod health;
mod identity;
mod json;
mod mcp;
mod pass_headers;
mod plans;
mod reader;
mod scripts;
mod server;
mod state;
mod telemetry;
mod upstreams;
mod valkey_url;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Problem, Problems};
use super::expand::EnvLookup;
use super::file;
use super::yaml::FieldPlaces;
use super::{Config, SecretFile};
pub(super) use credentials::in_text as credentials_in;
pub(super) use reader::unreadable;
use reader::{FieldReader, Finished};

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

/// Resolves a file that was read from `source`, together with the problems its reading found. `former` is in force.
pub(super) fn resolve(
    file: file::Sections,
    source: SecretFile,
    environment: EnvLookup<'_>,
    problems: Vec<Problem>,
    former: Option<&Config>,
) -> Reread {
    let mut reader = match FieldReader::new(&source.path, environment, problems, former) {
        Ok(reader) => reader,
        Err(problem) => return problem.into(),
    };
    let server = server::server(&mut reader, file.server);
    let admin = admin::admin(&mut reader, &file.admin);
    server::refuse_equal_listeners(&mut reader);
    let log = server::log(&mut reader, &file.log);
    let cors = browsers::cors(&mut reader, &file.cors);
    let auth_failures = plans::auth_failures(&mut reader, &file.auth_failures);
    let session_secret = browsers::session_secret(&mut reader, file.session_secret, file.session_secret_file);
    let otlp = file.telemetry.otlp.map(|section| Arc::new(telemetry::otlp(&mut reader, section)));
    let dir = state::dir(&mut reader, &file.state_dir, &file.state.dir);
    let names_state_dir = dir.is_some();
    let state_dir = dir.unwrap_or_else(|| reader.folder().join("state"));
    let valkey = file.state.valkey.map(|section| state::valkey(&mut reader, section));
    let keys_file = reader.path(&file.keys_file).unwrap_or_else(|| reader.folder().join("keys.yaml"));
    let plans = plans::plans(&mut reader, file.plans);
    let upstreams = upstreams::upstreams(&mut reader, file.upstreams);
    let (chatflows, wildcard) = chatflows::chatflows(&mut reader, file.chatflows, &upstreams, &plans, &cors);
    let grantable = identity::Grantable { plans: &plans, chatflows: &chatflows, has_wildcard: wildcard.is_some() };
    let identity = identity::identity(&mut reader, file.identity, &grantable);
    let places = Arc::new(FieldPlaces::of(&String::from_utf8_lossy(source.content())));
    let Finished { path, problems, held, secret_files, named } = reader.finish();
    if !problems.is_empty() {
        return Reread { config: Err(Problems(problems)), held, named };
    }
    let upstreams = upstreams.resolved;
    let config = Config {
        path,
        server,
        admin,
        log,
        upstreams,
        keys_file,
        plans,
        chatflows,
        wildcard,
        identity,
        cors,
        auth_failures,
        state_dir,
        names_state_dir,
        valkey,
        otlp,
        session_secret,
        source,
        places,
        secret_files,
    };
    Reread { config: Ok(config), held, named }
}

/// The keys file that a configuration names, or the one that lies beside it; `None`: that cannot be told.
pub(super) fn keys_file(field: &file::Field, path: &Path, environment: EnvLookup<'_>) -> Option<PathBuf> {
    let mut reader = FieldReader::new(path, environment, Vec::new(), None).ok()?;
    let named = reader.path(field);
    let beside = reader.folder().join("keys.yaml");
    let is_read = reader.finish().problems.is_empty();
    is_read.then(|| named.unwrap_or(beside))
}
