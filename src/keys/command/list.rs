//! `flowgate keys list`: a table for people, JSON for programs.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::{CommandError, ListKeys, Output, disk, file};
use crate::config::Secret;
use crate::keys::file::KeyEntry;
use crate::keys::{KeyKind, KeyState};
use crate::unprintable::is_unprintable;

/// One key; times in RFC 3339.
#[derive(Serialize)]
struct KeyRow<'a> {
    id: &'a str,
    state: &'static str,
    plan: &'a str,
    kind: &'static str,
    /// `null`: all.
    chatflows: Option<Vec<&'a str>>,
    expires_at: Option<String>,
    /// Until when the old secret of a rotation counts.
    previous_until: Option<String>,
}

impl ListKeys {
    pub(super) fn run(&self, path: &Path, now: Timestamp) -> Result<Output, CommandError> {
        let text = disk::read(path)?.ok_or_else(|| CommandError::NoFile(path.to_owned()))?;
        let entries = file::read(path, &text, None)?;
        let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
        let stdout = if self.json {
            // Plain strings and lists always serialise.
            serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
        } else {
            table(&rows)
        };
        Ok(Output { stdout: Secret::new(stdout), stderr: String::new() })
    }
}

fn row(entry: &KeyEntry, now: Timestamp) -> KeyRow<'_> {
    let key = &entry.key;
    KeyRow {
        id: &key.id,
        state: match key.state(now) {
            KeyState::Active => "active",
            KeyState::Expired => "expired",
            KeyState::Disabled => "disabled",
        },
        plan: entry.plan_name(),
        kind: match key.kind {
            KeyKind::Secret => "secret",
            KeyKind::Publishable => "publishable",
        },
        chatflows: key.chatflows.as_ref().map(|names| names.iter().map(|name| &**name).collect()),
        expires_at: key.expires_at.map(|time| time.to_string()),
        previous_until: key.previous().filter(|_| key.is_rotating(now)).map(|(_, until)| until.to_string()),
    }
}

fn table(rows: &[KeyRow<'_>]) -> String {
    let head = ["ID", "STATE", "KIND", "PLAN", "CHATFLOWS", "EXPIRES", "OLD SECRET UNTIL"].map(str::to_owned);
    let body = rows.iter().map(|row| {
        [
            printable(row.id),
            row.state.to_owned(),
            row.kind.to_owned(),
            printable(row.plan),
            row.chatflows.as_ref().map_or_else(|| "all".to_owned(), |names| printable(&names.join(","))),
            row.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
            row.previous_until.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let lines: Vec<_> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |cells: &[String; 7]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// Names come from a file that others may write; they must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if is_unprintable(character) { '\u{fffd}' } else { character }).collect()
}
