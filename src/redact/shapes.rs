//! What looks like something that must not leave: stacks, addresses, paths, ids, keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::uuid::is_uuid;

/// Where a program's own account of a failure begins.
const STACKS: [&str; 8] = [
    "Traceback (most recent call last)",
    "stack backtrace:",
    "Stack trace:",
    "Require stack:",
    "\"stack\":",
    "\\\"stack\\\":",
    "goroutine 1 [",
    "\tat ",
];

/// Ends of names that only a network of one's own knows.
const INNER_NAMES: [&str; 11] = [
    ".internal",
    ".local",
    ".localdomain",
    ".lan",
    ".corp",
    ".intranet",
    ".private",
    ".svc",
    ".home.arpa",
    ".consul",
    ".localhost",
];

/// Words after which a system says where it wanted to go.
const CAUSES: [&str; 7] =
    ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ECONNRESET"];

/// Beginnings of keys, by the services that give them out.
const KEYS: [&str; 25] = [
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "fg_",
    "gsk_",
    "AIza",
    "xai-",
    "hf_",
    "r8_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "ya29.",
    "tvly-",
    "pcsk_",
    "lsv2_",
    "nvapi-",
];

/// The words up to where a stack begins.
pub(super) fn without_stack(words: &str) -> &str {
    let whole = words.len();
    let marked = STACKS.iter().filter_map(|mark| words.find(mark)).min().unwrap_or(whole);
    let words = words.get(..marked).unwrap_or_default();
    let end = words.match_indices("at ").map(|(at, _)| at).find(|&at| {
        let (before, frame) = words.split_at(at);
        let line = before.trim_end_matches([' ', '\t']);
        let begins_line = line.ends_with(['\n', '\r']) || line.ends_with("\\n") || line.ends_with("\\r");
        let is_word = before.ends_with([' ', '\t']);
        let frame = frame.get(..frame.floor_char_boundary(300)).unwrap_or_default();
        let place = frame.split_once('(').map(|(_, place)| place).unwrap_or_default();
        let is_frame = ["/", "node:", "file:", "<anonymous>"].iter().any(|start| place.starts_with(start));
        (begins_line && before.len() > line.len()) || (is_word && is_frame && frame.contains(':'))
    });
    let kept = words.get(..end.unwrap_or(words.len())).unwrap_or_default();
    if kept.len() == whole {
        return kept;
    }
    kept.trim_end().trim_end_matches("\\n").trim_end()
}

/// The words with marks in place of what does not leave.
pub(super) fn without(words: &str) -> String {
    let mut clean = String::with_capacity(words.len());
    // What the word before says of the next.
    let mut next = None;
    let mut is_label = false;
    for part in words.split_inclusive(is_separator) {
        let word = part.trim_end_matches(is_separator);
        let (word, tail) = part.split_at(word.len());
        let bare = word.trim_end_matches(['.', ':', '?', '!']);
        if bare.is_empty() {
            clean.push_str(part);
            if is_label && (word.contains(':') || tail.contains('=')) {
                next = Some("[key]");
            }
            continue;
        }
        let is_scheme = is_scheme(bare);
        match next.take() {
            // "Authorization: Bearer": the key comes behind it.
            Some(mark) if is_scheme => {
                clean.push_str(word);
                next = Some(mark);
            }
            // What was cleaned before stays as it is.
            Some(_) if clean.ends_with('[') && tail.starts_with(']') => clean.push_str(word),
            Some(mark) => clean.push_str(mark),
            None => {
                push(&mut clean, word, bare);
                if CAUSES.contains(&bare) {
                    next = Some("[address]");
                }
            }
        }
        clean.push_str(tail);
        is_label = is_secrets_name(bare);
        if is_scheme || ((is_label || is_label_before_value(bare, tail)) && (word.ends_with(':') || tail.contains('=')))
        {
            next = Some("[key]");
        }
    }
    clean
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '"' | '\'' | '`' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '<' | '>' | '=' | '|')
}

/// A word that nothing is known of but what it looks like.
fn push(clean: &mut String, word: &str, bare: &str) {
    if is_address(bare) {
        clean.push_str("[address]");
    } else if is_path(bare) {
        clean.push_str("[path]");
    } else if let Some((name, _)) = bare.split_once(':').filter(|(name, _)| is_secrets_name(name)) {
        clean.push_str(name);
        clean.push_str(":[key]");
    } else {
        for piece in word.split_inclusive(is_joint) {
            let bare = piece.trim_end_matches(|c| is_joint(c) || matches!(c, '.' | '?' | '!'));
            let (bare, rest) = piece.split_at(bare.len());
            let (mark, rest) = if is_uuid(bare) {
                ("[id]", rest.trim_start_matches('.'))
            } else if is_key(bare) {
                ("[key]", rest.trim_start_matches('.'))
            } else {
                (bare, rest)
            };
            clean.push_str(mark);
            clean.push_str(rest);
        }
    }
}

/// What stands between parts of a word.
fn is_joint(c: char) -> bool {
    matches!(c, ':' | '/' | '&' | '?' | '#' | '@' | '\\')
}

fn is_scheme(word: &str) -> bool {
    ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether a word names a secret, such as `client_secret`.
fn is_secrets_name(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let word = word.rsplit(['.', '/', '&', '?']).next().unwrap_or_default();
    ["authorization", "passwd", "passphrase", "pwd", "connectionstring"].contains(&word)
        || ["password", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key", "private_key"]
            .iter()
            .chain(&["access_token", "auth_token", "refresh_token", "accesstoken"])
            .any(|end| word.ends_with(end))
}

/// A word that names a secret only where a value is set.
fn is_label_before_value(word: &str, tail: &str) -> bool {
    let word = word.to_ascii_lowercase();
    tail.contains('=') && (word.ends_with("token") || word.ends_with("key") || word.ends_with("sig"))
}

fn is_address(word: &str) -> bool {
    let host = word.split(['/', '?', '#']).next().unwrap_or_default();
    word.contains("://")
        || is_ip(word)
        || has_ipv4(word)
        || has_port(host)
        || is_inner_name(host)
        // user:password@host
        || word.rsplit_once('@').is_some_and(|(user, host)| user.contains(':') && !host.is_empty())
}

fn is_ip(word: &str) -> bool {
    let word = word.split('%').next().unwrap_or_default();
    word.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok()
}

/// Whether four numbers with dots between them stand in it.
fn has_ipv4(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    word.split(|c| !is_part(c)).any(|run| run.trim_matches('.').parse::<Ipv4Addr>().is_ok())
}

fn has_port(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(host, port)| {
        (2..=5).contains(&port.len())
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && host.bytes().any(|byte| byte.is_ascii_alphabetic())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@'))
    })
}

fn is_inner_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || INNER_NAMES.iter().any(|end| host.len() > end.len() && host.ends_with(end))
        || host.contains(".svc.")
}

/// A file, or a place in a program.
fn is_path(word: &str) -> bool {
    let bytes = word.as_bytes();
    let from_root = |word: &str| word.starts_with('/') && word.get(1..).is_some_and(|rest| rest.contains('/'));
    let is_drive =
        bytes.first().is_some_and(u8::is_ascii_alphabetic) && word.get(1..).is_some_and(|rest| rest.starts_with(":\\"));
    let is_place = || {
        let mut parts = word.rsplit(':');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        is_number(parts.next()) && is_number(parts.next()) && parts.next().is_some_and(|file| file.contains(['.', '/']))
    };
    from_root(word)
        || word.split_once(":/").is_some_and(|(_, rest)| rest.contains('/'))
        || is_drive
        || ["\\\\", "~/", "../", "./", "node:internal", "file:"].iter().any(|start| word.starts_with(start))
        || word.contains("node_modules/")
        || is_place()
}

fn is_key(word: &str) -> bool {
    let length = word.len();
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().filter(|byte| is(byte)).count();
    let is_made_of = |more: &[u8]| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte));
    let (digits, small, capital) = (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let is_token = word.starts_with("eyJ") && length >= 20;
    let is_hexadecimal =
        length >= 32 && digits > 0 && digits < length && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_random = length >= 24 && digits > 2 && small > 2 && capital > 2 && is_made_of(b"");
    // As services show a part of a key.
    let is_masked = length >= 6 && word.contains("***") && small + capital + digits > 0;
    (length >= 12 && KEYS.iter().any(|prefix| word.starts_with(prefix)))
        || is_token
        || is_hexadecimal
        || is_random
        || is_masked
        || (length >= 40 && is_made_of(b"-_+"))
}
