//! What an upstream's error message must not carry to a client: stacks, addresses, ids of credentials, keys.

/// Longest message that is passed on, in characters.
const LONGEST: usize = 1000;

/// The message without what must not leave.
pub(crate) fn scrub(message: &str) -> String {
    let first = message.split("\n    at ").next().unwrap_or_default();
    let mut clean = String::with_capacity(first.len());
    let mut after_cause = false;
    for part in first.split_inclusive(is_separator) {
        let word = part.trim_end_matches(is_separator);
        let (word, tail) = part.split_at(word.len());
        let bare = word.trim_end_matches(['.', ':', '?', '!']);
        // "connect ECONNREFUSED host": whatever follows is where the upstream wanted to go.
        let named_by_cause = after_cause && !bare.is_empty();
        if named_by_cause || is_address(bare) {
            clean.push_str("[address]");
        } else if is_uuid(bare) {
            clean.push_str("[id]");
        } else if is_key(bare) {
            clean.push_str("[key]");
        } else {
            clean.push_str(word);
        }
        clean.push_str(tail);
        after_cause =
            matches!(bare, "ECONNREFUSED" | "ENOTFOUND" | "EAI_AGAIN" | "ETIMEDOUT" | "EHOSTUNREACH" | "Bearer");
    }
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => clean.get(..end).unwrap_or_default().to_owned() + "…",
        None => clean,
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '<' | '>' | '=')
}

fn is_address(word: &str) -> bool {
    word.contains("://")
        || word.parse::<std::net::IpAddr>().is_ok()
        || word.parse::<std::net::SocketAddr>().is_ok()
        || word.rsplit_once(':').is_some_and(|(host, port)| {
            (2..=5).contains(&port.len())
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && host.bytes().any(|byte| byte.is_ascii_alphabetic())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        })
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_key(word: &str) -> bool {
    (word.len() >= 12 && ["sk-", "sk_", "pk-", "fg_", "gsk_", "AIza"].iter().any(|prefix| word.starts_with(prefix)))
        || (word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn nothing_about_the_inside_leaves() {
        for (message, clean) in [
            ("Error: a.b - 429 stub error 429", "Error: a.b - 429 stub error 429"),
            ("Error: x\n    at Object.<anonymous> (/app/x.js:1:2)", "Error: x"),
            ("fetch http://10.0.0.5:8000/v1/chat failed", "fetch [address] failed"),
            ("connect ECONNREFUSED 127.0.0.1:13999", "connect ECONNREFUSED [address]"),
            ("getaddrinfo ENOTFOUND ollama", "getaddrinfo ENOTFOUND [address]"),
            ("see (localhost:11434).", "see ([address])."),
            ("credential 9d2b4ae3-1f5e-4c00-9000-000000000000 not found", "credential [id] not found"),
            ("Incorrect API key provided: sk-proj-abcdefgh1234.", "Incorrect API key provided: [key]"),
            ("Please provide Prompt Values for: a, b", "Please provide Prompt Values for: a, b"),
            ("at 10:30 today", "at 10:30 today"),
        ] {
            assert_eq!(scrub(message), clean, "{message}");
        }
    }
}
