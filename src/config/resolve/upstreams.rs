//! What answers chatflows.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::pass_headers::pass_headers;
use super::reader::{FieldReader, is_name, non_null};
use super::{address, credentials, health, mcp, scripts};
use crate::config::file::{self, Field};
use crate::config::units::{parse_size, parse_time_limit};
use crate::config::yaml::{At, Named, YamlNode};
use crate::config::{Engine, EngineLimits, Flowise, Secret, Server, Upstream, UpstreamKind, UpstreamUrl};

const MAX_THREADS: u64 = 1024;

/// The upstreams that this version runs, and every name that was written, so that a chatflow on one that was refused
/// is not refused as well.
pub(super) struct ResolvedUpstreams {
    pub(super) resolved: Vec<Upstream>,
    pub(super) written: Vec<String>,
}

pub(super) fn upstreams(reader: &mut FieldReader<'_>, file: Named<file::UpstreamSection>) -> ResolvedUpstreams {
    if file.0.is_empty() {
        reader.missing(None, "upstreams", "missing: expected at least one upstream");
    }
    let mut upstreams = ResolvedUpstreams { resolved: Vec::new(), written: Vec::new() };
    for (name, upstream) in file.0 {
        if !is_name(&name.value) {
            reader.refuse(&name, "expected a name of at most 128 letters, digits and . _ ~ -");
        }
        if let Some(kind) = kind(reader, &name, upstream) {
            upstreams.resolved.push(Upstream { name: Arc::from(name.value.as_str()), kind });
        }
        upstreams.written.push(name.value);
    }
    upstreams
}

fn kind(reader: &mut FieldReader<'_>, name: &At<String>, file: file::UpstreamSection) -> Option<UpstreamKind> {
    match (file.flowise, file.engine) {
        (Some(section), None) => Some(UpstreamKind::Flowise(flowise(reader, name, section))),
        (None, Some(section)) => Some(UpstreamKind::Engine(engine(reader, name, section))),
        (Some(_), Some(_)) => {
            reader.refuse(name, "`flowise` and `engine` exclude each other");
            None
        }
        (None, None) => {
            let field = format!("{}.flowise", name.field);
            reader.missing(Some(name.at()), &field, "missing: expected `flowise:` with its `urls`, or `engine:`");
            None
        }
    }
}

fn engine(reader: &mut FieldReader<'_>, name: &At<String>, mut file: file::EngineSection) -> Engine {
    let credentials = credentials::credentials(reader, &mut file);
    let allow_networks = address::networks(reader, &file.allow_networks);
    let addresses = address::instead(reader, file.addresses);
    let threads = reader.number(&non_null(file.threads), 1..=MAX_THREADS);
    let threads = threads.and_then(|count| NonZeroUsize::new(usize::try_from(count).ok()?));
    let threads = threads.unwrap_or_else(|| Server::default().workers);
    let limits = engine_limits(reader, &file.limits);
    let scripts = file.scripts.0.as_ref().map(|file| Arc::new(scripts::scripts(reader, file)));
    let mcp_servers = mcp::servers(reader, file.mcp);
    let flows_dir = flows_dir(reader, name, &file.flows_dir);
    Engine { flows_dir, threads, credentials, allow_networks, addresses, limits, scripts, mcp_servers }
}

/// With less than a question may take, no flow runs; more steps than that are no bound.
const TEXT: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 30;
const MOST_STEPS: u64 = 10_000_000;

fn engine_limits(reader: &mut FieldReader<'_>, file: &file::EngineLimitsSection) -> EngineLimits {
    let otherwise = EngineLimits::default();
    let size = |text: &str| match parse_size(text) {
        Ok(size) if TEXT.contains(&size) => Ok(size),
        Ok(_) => Err("expected a size from 64KiB to 4GiB".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    EngineLimits {
        time: reader.parsed(&file.time, parse_time_limit).unwrap_or(otherwise.time),
        steps: reader.number(&file.steps, 1..=MOST_STEPS).unwrap_or(otherwise.steps),
        model_calls: reader.number(&file.model_calls, 1..=MOST_STEPS).unwrap_or(otherwise.model_calls),
        tool_calls: reader.number(&file.tool_calls, 1..=MOST_STEPS).unwrap_or(otherwise.tool_calls),
        text: reader.parsed(&file.text, size).unwrap_or(otherwise.text),
    }
}

fn flows_dir(reader: &mut FieldReader<'_>, name: &At<String>, field: &Field) -> PathBuf {
    let path = reader.path(field).unwrap_or_else(|| reader.folder().join("flows"));
    if !path.is_dir() && !reader.is_in_force(&path) {
        let what = if path.exists() { "expected a folder, found a file" } else { "no such folder" };
        let message = format!("{what}; it holds flows as Flowise exports them, one file each");
        match &field.0 {
            Some(node) => reader.refuse(node, message),
            None => reader.refuse_at(Some(name.at()), &format!("{}.engine.flows_dir", name.field), message),
        }
    }
    path
}

fn flowise(reader: &mut FieldReader<'_>, name: &At<String>, file: file::FlowiseSection) -> Flowise {
    let limit = |reader: &mut FieldReader<'_>, field: &Field, default| {
        reader.parsed(field, parse_time_limit).unwrap_or(Duration::from_secs(default))
    };
    Flowise {
        urls: urls(reader, name, &file.urls),
        connect_timeout: limit(reader, &file.connect_timeout, 2),
        response_timeout: limit(reader, &file.response_timeout, 120),
        stream_idle_timeout: limit(reader, &file.stream_idle_timeout, 120),
        pass_headers: pass_headers(reader, &file.pass_headers),
        api_key: api_key(reader, non_null(file.api_key), &non_null(file.api_key_file)),
        ca: ca(reader, &non_null(file.ca_file)),
        health: file.health.0.as_ref().map(|file| Arc::new(health::check(reader, file))),
        slow_start: health::slow_start(reader, file.slow_start),
        dns_refresh: health::dns_refresh(reader, &file.dns_refresh),
    }
}

fn urls(reader: &mut FieldReader<'_>, name: &At<String>, field: &Field) -> Vec<UpstreamUrl> {
    const EXPECTED: &str = "expected a list of at least one URL such as [http://127.0.0.1:3000]";
    let Some(node) = &field.0 else {
        let field = format!("{}.flowise.urls", name.field);
        reader.missing(Some(name.at()), &field, &format!("missing: {EXPECTED}"));
        return Vec::new();
    };
    let Some(items) = reader.list(field) else { return Vec::new() };
    if items.is_empty() {
        reader.refuse(node, EXPECTED);
    }
    let mut urls = Vec::new();
    for item in items {
        let Some(url) = reader.parsed_node(item, address::upstream_url) else { continue };
        if urls.contains(&url) {
            reader.refuse(item, "this URL stands in the list twice");
        } else {
            urls.push(url);
        }
    }
    urls
}

/// Flowise's key, from the file itself or from a file of its own.
pub(super) fn api_key(reader: &mut FieldReader<'_>, api_key: Field, api_key_file: &Field) -> Option<Secret> {
    if let (Some(_), Some(file)) = (&api_key.0, &api_key_file.0) {
        reader.refuse(file, "`api_key` and `api_key_file` exclude each other");
        return None;
    }
    match (api_key.0, &api_key_file.0) {
        (Some(node), _) => api_key_value(reader, &node),
        (None, Some(_)) => reader.read_file(api_key_file, api_key_in_file).map(|(_, key)| key),
        (None, None) => None,
    }
}

/// A key that stands in the configuration; an empty one is none.
fn api_key_value(reader: &mut FieldReader<'_>, node: &YamlNode) -> Option<Secret> {
    let key = reader.string(node)?;
    if key.is_empty() {
        return None;
    }
    let checked = checked_key(&key);
    if let Err(message) = checked {
        reader.refuse(node, message);
    }
    checked.ok()
}

fn api_key_in_file(content: &[u8]) -> Result<Secret, &'static str> {
    // What is not UTF-8 is no visible ASCII either; the message is the same.
    let key = std::str::from_utf8(content).unwrap_or("\u{fffd}").trim_end_matches(['\r', '\n']);
    if key.is_empty() {
        return Err("the file is empty; expected a Flowise API key in it");
    }
    checked_key(key)
}

/// A key travels in a header.
fn checked_key(key: &str) -> Result<Secret, &'static str> {
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Secret::new(key.to_owned()));
    }
    Err("expected a Flowise API key: visible ASCII characters without spaces or line breaks")
}

pub(super) fn ca(reader: &mut FieldReader<'_>, field: &Field) -> Option<(PathBuf, Arc<[u8]>)> {
    reader.read_file(field, |content| {
        let pem = has_certificate(content).then(|| content.into());
        pem.ok_or("expected a PEM file with at least one CERTIFICATE block")
    })
}

/// Whether a certificate begins and then ends in the text.
fn has_certificate(pem: &[u8]) -> bool {
    let pem = String::from_utf8_lossy(pem);
    pem.split_once("-----BEGIN CERTIFICATE-----").is_some_and(|(_, rest)| rest.contains("-----END CERTIFICATE-----"))
}
