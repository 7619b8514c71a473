//! One request over HTTP.

use std::io::BufRead;

use serde_json::Value;

#[derive(Debug)]
pub(super) struct StubRequest {
    pub(super) method: String,
    /// Without its port.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) accept: String,
    pub(super) body: Value,
}

impl StubRequest {
    /// `None`: nothing more is asked.
    pub(super) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut host, mut accept, mut length, mut is_chunked) = (String::new(), String::new(), 0, false);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "host" => host = value.rsplit_once(':').map_or(value, |(host, _)| host).to_owned(),
                "accept" => value.clone_into(&mut accept),
                "content-length" => length = value.parse().ok()?,
                "transfer-encoding" => is_chunked = true,
                _ => {}
            }
        }
        assert!(!is_chunked, "the engine sends whole bodies");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Self { method, host, path: path.to_owned(), query: query.to_owned(), accept, body })
    }

    /// Whether its path ends so.
    pub(super) fn is_for(&self, end: &str) -> bool {
        self.method == "POST" && self.path.ends_with(end)
    }
}
