//! Servers of tools: programs on this machine, which only an operator can name, and others by URL.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use http::{HeaderName, HeaderValue, Uri};

use super::credentials::secret;
use super::reader::{FieldReader, is_name, non_null};
use crate::config::file::{self, Field};
use crate::config::yaml::{At, Named, YamlNode};
use crate::config::{McpServer, Secret};

const EXPECTED: &str = "expected `command:` of a program on this machine, or `url:` of a server elsewhere";
const EXPECTED_URL: &str = "expected a URL such as https://mcp.example.com/mcp";

pub(super) fn servers(reader: &mut FieldReader<'_>, file: file::McpSection) -> BTreeMap<String, McpServer> {
    let mut servers = BTreeMap::new();
    for (name, section) in file.servers.0 {
        if !is_name(&name.value) {
            reader.refuse(&name, "expected a name of at most 128 letters, digits and . _ ~ -");
        }
        if let Some(server) = server(reader, &name, section) {
            servers.insert(name.value, server);
        }
    }
    servers
}

fn server(reader: &mut FieldReader<'_>, name: &At<String>, file: file::McpServerSection) -> Option<McpServer> {
    let file::McpServerSection { command, args, env, url, headers } = file;
    let (command, url, args) = (non_null(command), non_null(url), non_null(args));
    match (&command.0, &url.0) {
        (Some(command), None) => {
            if let Some((header, _)) = headers.0.first() {
                reader.refuse(header, "headers are for servers with a `url`; a program has `env`");
            }
            let command = reader.string(command).and_then(|text| program(reader, command, text));
            let args = arguments(reader, &args);
            let env = named(reader, env, |name, value| {
                let is_fit = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
                is_fit.then(|| name.to_owned()).ok_or("expected a name of the environment, and a text without a NUL")
            });
            Some(McpServer::Program { command: command?, args: args?, env })
        }
        (None, Some(url)) => {
            if let Some(args) = &args.0 {
                reader.refuse(args, "args are for programs");
            }
            if let Some((variable, _)) = env.0.first() {
                reader.refuse(variable, "env is for programs; a server with a `url` has `headers`");
            }
            let url = reader.parsed_node(url, checked_url);
            let headers = named(reader, headers, |name, value| {
                let is_fit = HeaderValue::from_str(value).is_ok();
                let name = name.parse::<HeaderName>().ok().filter(|_| is_fit);
                name.ok_or("expected a header, and a text that can stand in one")
            });
            Some(McpServer::Remote { url: url?, headers })
        }
        (Some(_), Some(url)) => {
            reader.refuse(url, "`command` and `url` exclude each other");
            None
        }
        (None, None) => {
            reader.missing(Some(name.at()), &format!("{}.command", name.field), &format!("missing: {EXPECTED}"));
            None
        }
    }
}

/// A name to be found in `PATH`, or a path.
fn program(reader: &mut FieldReader<'_>, node: &YamlNode, text: String) -> Option<String> {
    if text.is_empty() {
        reader.refuse(node, "expected a program, such as npx or /usr/local/bin/server");
        return None;
    }
    if text.contains('/') {
        let path = reader.folder().join(&text);
        if !path.is_file() {
            reader.refuse(node, "no such program");
            return None;
        }
        return path.to_str().map(str::to_owned);
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&paths).any(|folder| folder.join(Path::new(&text)).is_file()) {
        reader.refuse(node, "no program of that name in PATH");
        return None;
    }
    Some(text)
}

fn arguments(reader: &mut FieldReader<'_>, field: &Field) -> Option<Vec<String>> {
    if field.0.is_none() {
        return Some(Vec::new());
    }
    let items = reader.list(field)?;
    let texts: Vec<_> = items.iter().map(|item| reader.parsed_node(item, argument)).collect();
    texts.into_iter().collect()
}

fn argument(text: &str) -> Result<String, &'static str> {
    if text.contains('\0') { Err("expected a text without a NUL") } else { Ok(text.to_owned()) }
}

fn checked_url(text: &str) -> Result<String, &'static str> {
    let uri: Uri = text.parse().map_err(|_| EXPECTED_URL)?;
    let is_known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_known { Ok(text.to_owned()) } else { Err(EXPECTED_URL) }
}

fn named<T>(
    reader: &mut FieldReader<'_>,
    fields: Named<YamlNode>,
    check: impl Fn(&str, &str) -> Result<T, &'static str>,
) -> Vec<(T, Secret)> {
    let mut read = Vec::new();
    for (name, node) in fields.0 {
        let Some(value) = secret(reader, &node) else { continue };
        match check(&name.value, value.expose()) {
            Ok(name) => read.push((name, value)),
            Err(message) => reader.refuse(&name, message),
        }
    }
    read
}
