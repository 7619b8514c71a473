//! Where what is counted and remembered is kept: `state`, and `state_dir`, which is its `dir`.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{FieldReader, non_null};
use super::upstreams::ca;
use super::valkey_url::{ValkeyUrl, valkey_url};
use crate::config::file::{self, Field};
use crate::config::units::parse_time_limit;
use crate::config::yaml::{At, Value};
use crate::config::{OnLoss, QuotasOnLoss, RatesOnLoss, Secret, Valkey, ValkeyMode, ValkeyServer};

const EXPECTED_URLS: &str = "expected a list of at least one URL such as [redis://127.0.0.1:6379/0]";
const PREFIX: &str = "flowgate:";
/// A request may be kept waiting for so long while the store does not answer.
const LONGEST_CALL: Duration = Duration::from_secs(1);

/// The folder, if it is written.
pub(super) fn dir(reader: &mut FieldReader<'_>, alias: &Field, dir: &Field) -> Option<PathBuf> {
    if let (Some(_), Some(dir)) = (&alias.0, &dir.0) {
        reader.refuse(dir, "`state.dir` and `state_dir` are one and the same: one of them is enough");
        return None;
    }
    reader.path(if dir.0.is_some() { dir } else { alias })
}

/// What the URLs say together.
#[derive(Default)]
struct Urls {
    servers: Vec<ValkeyServer>,
    tls: bool,
    database: Option<u16>,
    username: Option<String>,
    password: Option<Secret>,
}

pub(super) fn valkey(reader: &mut FieldReader<'_>, section: At<file::ValkeySection>) -> Valkey {
    let at = section.at();
    let file = section.value;
    let urls = urls(reader, at, &file.urls);
    let mode = mode(reader, at, &file, &urls);
    let time = |reader: &mut FieldReader<'_>, field: &Field, otherwise| {
        reader.parsed(field, parse_time_limit).unwrap_or(Duration::from_millis(otherwise))
    };
    let (username, password) = credentials(reader, &file, &urls);
    let ca_file = non_null(file.ca_file);
    if let Some(node) = ca_file.0.as_ref().filter(|_| !urls.tls && !urls.servers.is_empty()) {
        reader.refuse(node, "without TLS there is no certificate: the URLs would begin with rediss:// or valkeys://");
    }
    Valkey {
        mode,
        tls: urls.tls,
        database: urls.database.unwrap_or(0),
        servers: urls.servers,
        username,
        password,
        ca: ca(reader, &ca_file),
        prefix: prefix(reader, &file.prefix),
        connect_timeout: time(reader, &file.connect_timeout, 500),
        timeout: call_timeout(reader, &file.timeout),
        on_loss: on_loss(reader, &file.on_loss),
    }
}

fn call_timeout(reader: &mut FieldReader<'_>, field: &Field) -> Duration {
    let within = |text: &str| match parse_time_limit(text) {
        Ok(time) if time <= LONGEST_CALL => Ok(time),
        Ok(_) => Err("expected a time of at most 1s: requests wait for it when the store is lost".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    reader.parsed(field, within).unwrap_or(Duration::from_millis(50))
}

fn urls(reader: &mut FieldReader<'_>, section: (u32, u32), field: &Field) -> Urls {
    let mut all = Urls::default();
    let Some(node) = &field.0 else {
        reader.missing(Some(section), "state.valkey.urls", &format!("missing: {EXPECTED_URLS}"));
        return all;
    };
    let Some(items) = reader.list(field) else { return all };
    if items.is_empty() {
        reader.refuse(node, EXPECTED_URLS);
    }
    let mut first: Option<ValkeyUrl> = None;
    for item in items {
        let Some(url) = reader.parsed_node(item, valkey_url) else { continue };
        if all.servers.contains(&url.server) {
            reader.refuse(item, "this server stands in the list twice");
            continue;
        }
        all.servers.push(url.server.clone());
        let same = |first: &ValkeyUrl| {
            (first.tls, first.database, &first.username, &first.password)
                == (url.tls, url.database, &url.username, &url.password)
        };
        if first.as_ref().is_some_and(|first| !same(first)) {
            reader.refuse(item, "all URLs must agree about TLS, user, password and database");
        }
        first.get_or_insert(url);
    }
    if let Some(first) = first {
        all.tls = first.tls;
        (all.database, all.username, all.password) = (first.database, first.username, first.password);
    }
    all
}

fn mode(reader: &mut FieldReader<'_>, section: (u32, u32), file: &file::ValkeySection, urls: &Urls) -> ValkeyMode {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Single,
        Sentinel,
        Cluster,
    }
    let words = [("single", Word::Single), ("sentinel", Word::Sentinel), ("cluster", Word::Cluster)];
    let word = reader.choice(&file.mode, &words).unwrap_or(Word::Single);
    if word == Word::Single && urls.servers.len() > 1 {
        let message =
            "several URLs are Sentinels or members of a Cluster: say which, by `mode: sentinel` or `mode: cluster`";
        match &file.urls.0 {
            Some(node) => reader.refuse(node, message),
            None => reader.refuse_at(Some(section), "state.valkey.urls", message),
        }
    }
    let is_socket = urls.servers.iter().any(|server| matches!(server, ValkeyServer::Unix(_)));
    if let Some(node) = file.urls.0.as_ref().filter(|_| is_socket && word != Word::Single) {
        reader.refuse(node, "Sentinels and Clusters are reached over TCP, not over a Unix socket");
    }
    if let Some(node) = file.urls.0.as_ref().filter(|_| word == Word::Cluster && urls.database.unwrap_or(0) > 0) {
        reader.refuse(node, "a Cluster has no database but 0");
    }
    match (word, &file.master_name.0) {
        (Word::Sentinel, Some(node)) => {
            let master_name = reader.string(node).unwrap_or_default();
            if master_name.is_empty() {
                reader.refuse(node, "expected the name by which the Sentinels know the primary");
            }
            ValkeyMode::Sentinel { master_name }
        }
        (Word::Sentinel, None) => {
            let message = "missing: with `mode: sentinel`, the name by which the Sentinels know the primary";
            reader.missing(Some(section), "state.valkey.master_name", message);
            ValkeyMode::Sentinel { master_name: String::new() }
        }
        (word, name) => {
            if let Some(node) = name {
                reader.refuse(node, "only with `mode: sentinel`");
            }
            if word == Word::Cluster { ValkeyMode::Cluster } else { ValkeyMode::Single }
        }
    }
}

/// User and password, from the URLs or from fields of their own.
fn credentials(
    reader: &mut FieldReader<'_>,
    file: &file::ValkeySection,
    urls: &Urls,
) -> (Option<String>, Option<Secret>) {
    let written = |field: &Field| Field(field.0.clone().filter(|node| !matches!(node.value, Value::Null)));
    let (username, password, password_file) =
        (written(&file.username), written(&file.password), written(&file.password_file));
    if let (Some(_), Some(node)) = (&password.0, &password_file.0) {
        reader.refuse(node, "`password` and `password_file` exclude each other");
    }
    for (field, is_in_url) in [
        (&username, urls.username.is_some()),
        (&password, urls.password.is_some()),
        (&password_file, urls.password.is_some()),
    ] {
        if let Some(node) = field.0.as_ref().filter(|_| is_in_url) {
            reader.refuse(node, "it stands in the URL already");
        }
    }
    let username = username.0.as_ref().and_then(|node| reader.string(node)).filter(|name| !name.is_empty());
    let password = match &password.0 {
        Some(node) => reader.string(node).filter(|password| !password.is_empty()).map(Secret::new),
        None => reader.read_file(&password_file, password_in_file).map(|(_, password)| password),
    };
    let password = password.or_else(|| urls.password.clone());
    let username = username.or_else(|| urls.username.clone());
    if username.is_some() && password.is_none() && password_file.0.is_none() && file.password.0.is_none() {
        let node = file.username.0.as_ref().or(file.urls.0.as_ref());
        if let Some(node) = node {
            reader.refuse(node, "a user without a password: expected `password` or `password_file`");
        }
    }
    (username, password)
}

fn password_in_file(content: &[u8]) -> Result<Secret, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "the file is not valid UTF-8")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("the file is empty; expected the store's password in it");
    }
    Ok(Secret::new(text.to_owned()))
}

/// Braces would part a caller's keys: what stands in them says where in a Cluster a key lies.
fn prefix(reader: &mut FieldReader<'_>, field: &Field) -> String {
    const EXPECTED: &str = "expected 1 to 64 letters, digits and : . _ - /, such as \"flowgate:\"";
    let fits = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._-/".contains(&byte));
        if (1..=64).contains(&text.len()) && is_plain { Ok(text.to_owned()) } else { Err(EXPECTED) }
    };
    reader.parsed(field, fits).unwrap_or_else(|| PREFIX.to_owned())
}

fn on_loss(reader: &mut FieldReader<'_>, file: &file::OnLossSection) -> OnLoss {
    let rates = [("share", RatesOnLoss::Share), ("allow", RatesOnLoss::Allow), ("refuse", RatesOnLoss::Refuse)];
    let quotas = [("refuse", QuotasOnLoss::Refuse), ("allow", QuotasOnLoss::Allow)];
    OnLoss {
        rates: reader.choice(&file.rates, &rates).unwrap_or(RatesOnLoss::Share),
        quotas: reader.choice(&file.quotas, &quotas).unwrap_or(QuotasOnLoss::Refuse),
    }
}
