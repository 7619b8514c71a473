//! The admin listener: `admin`.

use std::net::SocketAddr;

use super::reader::{FieldReader, unless_null};
use super::server::listener;
use crate::config::file::{self, Field};
use crate::config::{Admin, Secret};

/// Letters of a token: fewer could be guessed.
const SHORTEST_TOKEN: usize = 16;
const LONGEST_TOKEN: usize = 512;
/// Bytes of a name; that of DNS has 253.
const LONGEST_NAME: usize = 253;

pub(super) fn admin(reader: &mut FieldReader<'_>, file: &file::AdminSection) -> Admin {
    let listen = listener(reader, &file.listen, "admin.listen", SocketAddr::from(([127, 0, 0, 1], 9090)));
    let console = reader.boolean(&file.console).unwrap_or(true);
    let token = unless_null(&file.token_file, None, |field| reader.read_file(field, token)).map(|(_, token)| token);
    Admin { listen, console, token, hosts: hosts(reader, &file.hosts) }
}

/// What a token file holds: the token, with or without an end of line.
fn token(content: &[u8]) -> Result<Secret, &'static str> {
    let text = std::str::from_utf8(content).unwrap_or_default().trim();
    if (SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Secret::new(text.to_owned()));
    }
    Err("expected a file with a token of 16 to 512 visible ASCII characters, such as `openssl rand -hex 32` makes")
}

fn hosts(reader: &mut FieldReader<'_>, field: &Field) -> Vec<String> {
    let mut hosts = Vec::new();
    for node in reader.list(field).unwrap_or_default() {
        let Some(name) = reader.string(node) else { continue };
        let is_name = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if is_name {
            hosts.push(name.to_ascii_lowercase());
        } else {
            reader.refuse(node, "expected a name without scheme and port, such as gateway.internal");
        }
    }
    hosts
}
