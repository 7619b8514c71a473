//! `flowgate explain`: what would become of a request, or what became of one, as the gateway that runs tells it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::admin_client::{AdminClient, AdminError, AdminPlace, UNREACHABLE};
use super::print::{print, tell};
use crate::keys::command::printable;
use crate::unprintable::escaped;

/// Bytes of a body that is read from a file.
const LONGEST_BODY: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Path of the request, or the name of a chatflow, which is asked a question
    #[arg(value_name = "PATH", required_unless_present = "request", conflicts_with = "request")]
    path: Option<String>,
    /// Id of a request that was refused or failed: what became of it
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Method [default: POST with a body, else GET]
    #[arg(long)]
    method: Option<String>,
    /// Origin of the page that calls
    #[arg(long)]
    origin: Option<String>,
    /// Id of the key, in place of the key itself
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// File with the key or token; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "key_id")]
    key_file: Option<PathBuf>,
    /// Address of the peer [default: 127.0.0.1]
    #[arg(long)]
    address: Option<std::net::IpAddr>,
    /// A header field as `name: value`, repeatable
    #[arg(long, value_name = "FIELD", value_parser = field)]
    header: Vec<(String, String)>,
    /// The body, or @FILE
    #[arg(long)]
    body: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: AdminPlace,
}

fn field(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("a field such as `x-name: value` is needed")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Explain {
    /// Code 0: it passes; 1: it is refused, or that request was; 2: the gateway cannot be asked.
    pub(super) fn run(&self) -> ExitCode {
        let told = self.place.client().and_then(|client| match &self.request {
            Some(id) => of_past(&client, id),
            None => self.ask(&client),
        });
        let (told, passes) = match told {
            Ok(told) => told,
            Err(code) => return code,
        };
        let text = match (self.json, self.request.is_some()) {
            (true, _) => escaped(serde_json::to_string_pretty(&told).unwrap_or_default()) + "\n",
            (false, true) => past(&told),
            (false, false) => way(&told),
        };
        let code = if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        print(format_args!("{text}")).err().unwrap_or(code)
    }

    fn ask(&self, client: &AdminClient) -> Result<(Value, bool), ExitCode> {
        let path = self.path.as_deref().unwrap_or_default();
        let is_name = !path.starts_with('/');
        let body = self.body.as_deref().map(body).transpose()?;
        let body = body.or_else(|| is_name.then(|| r#"{"question":"Hello"}"#.to_owned()));
        let mut question = Map::new();
        let path = if is_name { format!("/api/v1/prediction/{path}") } else { path.to_owned() };
        question.insert("path".to_owned(), path.into());
        let key = self.key_file.as_deref().map(key).transpose()?;
        let address = self.address.map(|address| address.to_string());
        for (name, value) in [
            ("method", &self.method),
            ("origin", &self.origin),
            ("key_id", &self.key_id),
            ("key", &key),
            ("address", &address),
            ("body", &body),
        ] {
            if let Some(value) = value {
                question.insert(name.to_owned(), value.as_str().into());
            }
        }
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &self.header {
            if let Value::Array(values) = headers.entry(name.as_str()).or_insert_with(|| json!([])) {
                values.push(value.as_str().into());
            }
        }
        question.insert("headers".to_owned(), headers.into());
        let told = client.post("/api/explain", &Value::Object(question)).map_err(|error| unanswered(&error))?;
        let passes = told.get("passes").and_then(Value::as_bool).unwrap_or(false);
        Ok((told, passes))
    }
}

/// What is remembered of that request.
fn of_past(client: &AdminClient, id: &str) -> Result<(Value, bool), ExitCode> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let told = if is_id { client.get(&format!("/api/refusals?id={id}")) } else { Ok(Value::Null) };
    let mut told = told.map_err(|error| unanswered(&error))?;
    let first = told.get_mut("refusals").and_then(|refusals| refusals.get_mut(0)).map(Value::take);
    first.map(|entry| (entry, false)).ok_or_else(|| {
        tell(format_args!(
            "{} is not among the last 200 requests that were refused or failed; its line of the access log says more",
            printable(id)
        ));
        ExitCode::from(UNREACHABLE)
    })
}

pub(super) fn unanswered(error: &AdminError) -> ExitCode {
    tell(format_args!("{error}"));
    ExitCode::from(UNREACHABLE)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ExitCode {
    tell(format_args!("{}: {error}", path.display()));
    ExitCode::from(UNREACHABLE)
}

/// A key is not for the command line, which others on the machine see.
fn key(path: &Path) -> Result<String, ExitCode> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LONGEST_BODY).read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map(|()| text.trim().to_owned()).map_err(|error| unreadable(path, &error))
}

fn body(text: &str) -> Result<String, ExitCode> {
    let Some(path) = text.strip_prefix('@').map(Path::new) else { return Ok(text.to_owned()) };
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

/// A text of an answer, fit for a terminal.
fn said<'a>(value: &'a Value, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    let text = value.get(name).and_then(Value::as_str)?;
    Some(printable(text).into())
}

/// The steps as a table, and what comes of them. Writing to a String cannot fail.
fn way(told: &Value) -> String {
    let steps = told.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    for step in steps {
        let part = |name: &str| said(step, name).unwrap_or_default();
        let result = part("result");
        let result = if result == "refuses" { "REFUSES".into() } else { result };
        let _ = writeln!(text, "{:<10} {result:<8} {}", part("step"), part("says"));
        let decided: Vec<_> = ["setting", "place"].iter().filter_map(|name| said(step, name)).collect();
        if !decided.is_empty() {
            let _ = writeln!(text, "{:20}{}", "", decided.join("  "));
        }
    }
    text + "\n" + &verdict(told)
}

fn verdict(told: &Value) -> String {
    let status = told.get("status").and_then(Value::as_u64).unwrap_or_default();
    if told.get("passes").and_then(Value::as_bool) == Some(true) {
        return match said(told, "upstream").filter(|_| status == 200) {
            Some(upstream) => format!("It passes, and goes to {upstream}.\n"),
            None => format!("It is answered with {status}.\n"),
        };
    }
    let part = |name: &str| said(told, name).unwrap_or_default();
    let mut text = format!("It is refused: {status} {}: {}\n", part("code"), part("message"));
    let why: Vec<_> = ["reason", "claim"].into_iter().filter_map(|name| said(told, name)).collect();
    if !why.is_empty() {
        let _ = writeln!(text, "Reason: {}", why.join(", claim "));
    }
    if let Some(helps) = said(told, "helps") {
        let _ = writeln!(text, "What helps: {helps}");
    }
    text
}

/// A request that was refused or failed.
fn past(entry: &Value) -> String {
    let status = entry.get("status").and_then(Value::as_u64).unwrap_or_default();
    let part = |name: &str| said(entry, name).unwrap_or_default();
    let mut text = format!("{} {} {}\n", part("time"), part("method"), part("path"));
    let _ = writeln!(text, "{status} {}: {}", part("code"), part("message"));
    let shown = [
        "rule", "reason", "claim", "key", "subject", "chatflow", "plan", "origin", "upstream", "address", "setting",
        "place",
    ];
    for name in shown {
        if let Some(value) = said(entry, name) {
            let _ = writeln!(text, "{name:<10} {value}");
        }
    }
    text + &format!("What helps: {}\n", part("helps"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_a_table_and_a_sentence() {
        let told = json!({
            "passes": false, "status": 429, "code": "rate_limited", "message": "Too many requests.", "helps": "Wait.",
            "steps": [
                { "step": "route", "result": "passes", "says": "prediction of the chatflow a\u{1b}[2J" },
                { "step": "limits", "result": "refuses", "says": "Too many requests.", "setting": "plans.a.requests", "place": "f:3" },
            ],
        });
        let expected = "route      passes   prediction of the chatflow a\u{fffd}[2J\n\
                        limits     REFUSES  Too many requests.\n                    plans.a.requests  f:3\n\n\
                        It is refused: 429 rate_limited: Too many requests.\nWhat helps: Wait.\n";
        assert_eq!(way(&told), expected);
        assert_eq!(
            verdict(&json!({ "passes": true, "status": 200, "upstream": "local" })),
            "It passes, and goes to local.\n"
        );
    }
}
