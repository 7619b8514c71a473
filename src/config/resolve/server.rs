//! The public listeners and their limits, and the log: `server`, `log`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use http::HeaderName;
use ipnet::IpNet;

use super::address;
use super::reader::{FieldReader, non_null, place, unless_null};
use crate::config::file::{self, Field};
use crate::config::units::{parse_byte_rate, parse_duration, parse_size, parse_time_limit};
use crate::config::yaml::{At, Value};
use crate::config::{ExtAuth, Log, LogFormat, LogLevel, ProxyProtocol, Server, Tls};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The HTTP library works with no smaller buffer.
const MIN_HEADER_BYTES: u64 = 8 * KIB;
const MAX_HEADER_BYTES: u64 = 16 * MIB;
const MAX_CONNECTIONS: u64 = 1_000_000;
const MAX_WORKERS: u64 = 1024;

pub(super) fn server(reader: &mut FieldReader<'_>, file: file::ServerSection) -> Server {
    let defaults = Server::default();
    let listen = cleartext(reader, &file);
    let tls = file.tls.as_ref().map(|tls| self::tls(reader, tls));
    let ext_auth = file.ext_auth.as_ref().map(|section| ext_auth(reader, section));
    let workers =
        reader.number(&non_null(file.workers), 1..=MAX_WORKERS).and_then(|count| NonZeroUsize::new(usize_of(count)));
    let trusted_proxies = address::networks(reader, &file.trusted_proxies);
    let proxy_protocol = proxy_protocol(reader, file.proxy_protocol, &trusted_proxies);
    let client_address_header = client_address_header(reader, file.client_address_header);
    let header_bytes = header_bytes(reader, &file.max_header_bytes);
    Server {
        listen,
        tls,
        ext_auth,
        workers: workers.unwrap_or(defaults.workers),
        trusted_proxies,
        proxy_protocol,
        client_address_header,
        max_connections: reader
            .number(&file.max_connections, 1..=MAX_CONNECTIONS)
            .map_or(defaults.max_connections, usize_of),
        connections_per_address: unless_null(
            &file.connections_per_address,
            defaults.connections_per_address,
            |field| reader.number(field, 1..=MAX_CONNECTIONS).map(usize_of).and_then(NonZeroUsize::new),
        ),
        max_body: size(reader, &file.max_body).unwrap_or(defaults.max_body),
        max_upload: size(reader, &file.max_upload).unwrap_or(defaults.max_upload),
        max_header_bytes: header_bytes.map_or(defaults.max_header_bytes, usize_of),
        header_timeout: reader.parsed(&file.header_timeout, parse_time_limit).unwrap_or(defaults.header_timeout),
        body_timeout: reader.parsed(&file.body_timeout, parse_time_limit).unwrap_or(defaults.body_timeout),
        body_time: reader.parsed(&file.body_time, parse_time_limit).unwrap_or(defaults.body_time),
        min_body_rate: unless_null(&file.min_body_rate, defaults.min_body_rate, |field| {
            reader.parsed(field, parse_byte_rate)
        }),
        send_timeout: reader.parsed(&file.send_timeout, parse_time_limit).unwrap_or(defaults.send_timeout),
        idle_timeout: reader.parsed(&file.idle_timeout, parse_time_limit).unwrap_or(defaults.idle_timeout),
        // Zero is a choice here: running requests are cut at once.
        shutdown_grace: reader.parsed(&file.shutdown_grace, parse_duration).unwrap_or(defaults.shutdown_grace),
    }
}

/// The cleartext listener. Only an explicit `null` turns it off, and only beside TLS.
fn cleartext(reader: &mut FieldReader<'_>, file: &file::ServerSection) -> Option<SocketAddr> {
    if let Some(node) = &file.listen.0
        && matches!(node.value, Value::Null)
    {
        if file.tls.is_none() {
            reader.refuse(node, "without `server.tls` there must be an address, or nothing would listen");
        }
        return None;
    }
    Some(listener(reader, &file.listen, "server.listen", SocketAddr::from(([127, 0, 0, 1], 8080))))
}

fn tls(reader: &mut FieldReader<'_>, section: &At<file::TlsSection>) -> Tls {
    let (at, file) = (section.at(), &section.value);
    Tls {
        listen: listener(reader, &file.listen, "server.tls.listen", SocketAddr::from(([0, 0, 0, 0], 8443))),
        cert_file: existing(reader, at, &file.cert_file, "server.tls.cert_file", "tls.crt"),
        key_file: existing(reader, at, &file.key_file, "server.tls.key_file", "tls.key"),
        client_ca_file: client_ca(reader, &file.client_ca_file),
    }
}

/// Where it is spoken, only trusted proxies may connect.
fn proxy_protocol(reader: &mut FieldReader<'_>, field: Field, trusted: &[IpNet]) -> Option<ProxyProtocol> {
    const VERSIONS: [(&str, ProxyProtocol); 3] =
        [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2), ("any", ProxyProtocol::Any)];
    let field = non_null(field);
    let version = reader.choice(&field, &VERSIONS)?;
    if let Some(node) = field.0.as_ref().filter(|_| trusted.is_empty()) {
        reader.refuse(node, "needs `trusted_proxies`: nobody else is believed, so nobody could connect");
    }
    Some(version)
}

fn client_address_header(reader: &mut FieldReader<'_>, field: Field) -> Option<HeaderName> {
    const EXPECTED: &str = "expected the name of a header that holds one address, such as CF-Connecting-IP";
    let node = non_null(field).0?;
    let name = reader.string(&node)?.parse::<HeaderName>();
    match name {
        Ok(name) if name == "x-forwarded-for" => None,
        Ok(name) if name == "forwarded" => {
            reader.refuse(&node, format_args!("{EXPECTED}; Forwarded is read where there is no X-Forwarded-For"));
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            reader.refuse(&node, EXPECTED);
            None
        }
    }
}

fn ext_auth(reader: &mut FieldReader<'_>, file: &file::ExtAuthSection) -> ExtAuth {
    ExtAuth {
        listen: listener(reader, &file.listen, "server.ext_auth.listen", SocketAddr::from(([127, 0, 0, 1], 8081))),
        // Who reaches the listener with a client's key would learn Flowise's.
        pass_upstream_key: reader.boolean(&file.headers.pass_upstream_key).unwrap_or(false),
    }
}

fn client_ca(reader: &mut FieldReader<'_>, field: &Field) -> Option<PathBuf> {
    if matches!(field.0.as_ref()?.value, Value::Null) {
        return None;
    }
    let path = reader.path(field)?;
    reader.require_file(&place(field)?, &path);
    Some(path)
}

pub(super) fn log(reader: &mut FieldReader<'_>, file: &file::LogSection) -> Log {
    const LEVELS: [(&str, LogLevel); 4] =
        [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];
    Log {
        level: reader.choice(&file.level, &LEVELS).unwrap_or(LogLevel::Info),
        format: reader
            .choice(&file.format, &[("json", LogFormat::Json), ("text", LogFormat::Text)])
            .unwrap_or(LogFormat::Json),
        access: reader.boolean(&file.access).unwrap_or(true),
    }
}

/// Two listeners cannot share an address; with port 0 each gets its own.
pub(super) fn refuse_equal_listeners(reader: &mut FieldReader<'_>) {
    let listeners = std::mem::take(&mut reader.listeners);
    for (index, (address, at, name)) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(index).find(|(other, ..)| other == address && address.port() != 0);
        let Some((_, other_at, other_name)) = earlier else { continue };
        // A default has no place of its own: then the one that was written is at fault.
        let (at, name, other) = match (at, other_at) {
            (None, Some(_)) => (other_at, other_name, name),
            _ => (at, name, other_name),
        };
        reader.refuse_at(at.as_ref().map(At::at), name, format_args!("the same address as `{other}`"));
    }
}

pub(super) fn listener(
    reader: &mut FieldReader<'_>,
    field: &Field,
    name: &'static str,
    default: SocketAddr,
) -> SocketAddr {
    let written = reader.parsed(field, address::listener);
    // One that was refused has no address that could be compared.
    if written.is_some() || field.0.is_none() {
        reader.listeners.push((written.unwrap_or(default), place(field), name));
    }
    written.unwrap_or(default)
}

/// A file that must be there; its content is checked by whoever uses it.
fn existing(reader: &mut FieldReader<'_>, section: (u32, u32), field: &Field, name: &str, default: &str) -> PathBuf {
    let path = match &field.0 {
        None => reader.folder().join(default),
        Some(_) => reader.path(field).unwrap_or_default(),
    };
    match place(field) {
        Some(_) if path.as_os_str().is_empty() => {}
        Some(place) => reader.require_file(&place, &path),
        None if path.is_file() || reader.is_in_force(&path) => {}
        None => {
            let message = format!("missing, and there is no {default} in the folder of this file");
            reader.refuse_at(Some(section), name, message);
        }
    }
    path
}

fn header_bytes(reader: &mut FieldReader<'_>, field: &Field) -> Option<u64> {
    let bytes = size(reader, field)?;
    if (MIN_HEADER_BYTES..=MAX_HEADER_BYTES).contains(&bytes) {
        return Some(bytes);
    }
    reader.refuse(field.0.as_ref()?, "expected a size from 8KiB to 16MiB");
    None
}

fn size(reader: &mut FieldReader<'_>, field: &Field) -> Option<u64> {
    let bytes = reader.parsed(field, parse_size)?;
    if bytes > 0 {
        return Some(bytes);
    }
    reader.refuse(field.0.as_ref()?, "a size of zero would refuse every request");
    None
}

/// For numbers whose bound every platform can count to.
fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
