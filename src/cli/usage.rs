//! `flowgate keys usage`: what keys have used in a month, from the store that replicas share, or from the file that a
//! gateway keeps which is alone. A table for people, JSON for programs.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::found;
use super::print::{print, tell};
use crate::keys::command::{has_key, printable};
use crate::state::usage::{self, UsageDay, UsageHistory, UsageTotals};

/// The id of callers without a key.
const ANONYMOUS: &str = "anonymous";

/// Letters of the longest bar.
const LONGEST_BAR: u64 = 24;

#[derive(Debug, Args)]
pub(super) struct ShowUsage {
    /// Id of a key: what it has used by chatflow and day; `anonymous`: callers without a key
    id: Option<String>,
    /// Month of UTC, e.g. 2026-11 [default: the running one]
    #[arg(long, value_name = "YYYY-MM", value_parser = month)]
    month: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was used in a month.
#[derive(Serialize)]
struct MonthUsage<'a> {
    month: &'a str,
    /// Who has asked most stands first.
    keys: Vec<KeyUsage<'a>>,
}

#[derive(Serialize)]
struct KeyUsage<'a> {
    id: &'a str,
    #[serde(flatten)]
    used: UsageTotals,
    chatflows: Vec<NamedUsage<'a>>,
    /// Those of the month that are remembered.
    days: Vec<NamedUsage<'a>>,
}

/// Of a chatflow, or of a day.
#[derive(Serialize)]
struct NamedUsage<'a> {
    name: &'a str,
    #[serde(flatten)]
    used: UsageTotals,
}

impl ShowUsage {
    /// `config`: the file of the gateway's configuration.
    pub(super) fn run(&self, config: &Path) -> ExitCode {
        let config = match found::load(config) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let now = UsageDay::of(Timestamp::now());
        let month = self.month.as_deref().unwrap_or(now.month());
        let history = match &config.valkey {
            Some(store) => usage::read_shared(store, month, self.id.as_deref()).map_err(|error| {
                tell(format_args!("what keys use cannot be read from the store (state.valkey): {error}"));
                ExitCode::FAILURE
            }),
            None => read(&config.state_dir),
        };
        let shown = history.and_then(|history| {
            self.know_key(&history, month, &config.keys_file)?;
            print(format_args!("{}", self.output(&history, month)))
        });
        shown.err().unwrap_or(ExitCode::SUCCESS)
    }

    /// An id of which nothing was counted may be none, where the keys file can tell.
    fn know_key(&self, history: &UsageHistory, month: &str, keys_file: &Path) -> Result<(), ExitCode> {
        let Some(id) = self.id.as_deref().filter(|id| *id != ANONYMOUS) else { return Ok(()) };
        let is_counted = history.of_month(month).any(|(counted, ..)| counted == id);
        if is_counted || has_key(keys_file, id) != Some(false) {
            return Ok(());
        }
        let (id, file) = (printable(id), keys_file.display());
        tell(format_args!("there is no key `{id}` in {file}, and nothing was counted of it in {month}"));
        Err(ExitCode::from(found::BAD_CONFIG))
    }

    fn output(&self, history: &UsageHistory, month: &str) -> String {
        let usage = MonthUsage::of(history, month, self.id.as_deref());
        if self.json {
            // Plain strings, numbers and lists always serialise.
            return serde_json::to_string_pretty(&usage).unwrap_or_default() + "\n";
        }
        match (&self.id, usage.keys.first()) {
            (None, Some(_)) => table("KEY", usage.keys.iter().map(|key| (key.id, key.used))),
            (Some(_), Some(key)) => {
                let rows = |named: &[NamedUsage<'_>], head: &str| {
                    table(head, named.iter().map(|named| (named.name, named.used)))
                };
                [rows(&key.chatflows, "CHATFLOW"), rows(&key.days, "DAY")].join("\n")
            }
            (Some(id), None) => format!("nothing was counted of {} in {month}\n", printable(id)),
            (None, None) => format!("nothing was counted in {month}\n"),
        }
    }
}

/// From the file of a gateway that is alone, or why that cannot be.
fn read(folder: &Path) -> Result<UsageHistory, ExitCode> {
    usage::read(folder).map_err(|error| {
        let missing = match error.kind() {
            io::ErrorKind::NotFound => "; what keys use is kept once there is that folder and a request has come",
            _ => "",
        };
        tell(format_args!("what keys use cannot be read from {} (state_dir): {error}{missing}", folder.display()));
        ExitCode::from(found::BAD_CONFIG)
    })
}

impl<'a> MonthUsage<'a> {
    /// `only`: of that key.
    fn of(history: &'a UsageHistory, month: &'a str, only: Option<&str>) -> Self {
        let mut keys: Vec<KeyUsage<'a>> = Vec::new();
        for (id, name, used) in history.of_month(month).filter(|(id, ..)| only.is_none_or(|only| *id == only)) {
            // Rows of one key follow each other.
            if keys.last().is_none_or(|last| last.id != id) {
                let days =
                    history.days_of(month, id).into_iter().map(|(name, used)| NamedUsage { name, used }).collect();
                keys.push(KeyUsage { id, used: UsageTotals::default(), chatflows: Vec::new(), days });
            }
            if let Some(key) = keys.last_mut() {
                key.used += used;
                key.chatflows.push(NamedUsage { name, used });
            }
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.used.requests));
        Self { month, keys }
    }
}

/// With a bar for the requests of each row.
fn table<'a>(head: &str, rows: impl Iterator<Item = (&'a str, UsageTotals)>) -> String {
    let rows: Vec<_> = rows.collect();
    let most = rows.iter().map(|(_, used)| used.requests).max().unwrap_or(0).max(1);
    let head = [head, "REQUESTS", "REFUSED", "TOKENS IN", "TOKENS OUT", ""].map(str::to_owned);
    let body = rows.iter().map(|(name, used)| {
        let UsageTotals { requests, refused, tokens_in, tokens_out } = *used;
        let letters = requests.saturating_mul(LONGEST_BAR).div_ceil(most);
        let bar = "█".repeat(usize::try_from(letters).unwrap_or(0));
        let [requests, refused, tokens_in, tokens_out] =
            [requests, refused, tokens_in, tokens_out].map(|number| number.to_string());
        [printable(name), requests, refused, tokens_in, tokens_out, bar]
    });
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let [name, requests, refused, tokens_in, tokens_out] = std::array::from_fn(width);
    let line = |[a, b, c, d, e, bar]: &[String; 6]| {
        let line = format!("{a:name$}  {b:>requests$}  {c:>refused$}  {d:>tokens_in$}  {e:>tokens_out$}  {bar}");
        line.trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// A month as it is written.
fn month(text: &str) -> Result<String, &'static str> {
    let digits = |part: &str, most: usize| part.len() == most && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-')
        .filter(|(year, month)| digits(year, 4) && digits(month, 2) && ("01"..="12").contains(month))
        .map(|_| text.to_owned())
        .ok_or("a month such as 2026-11 is needed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> UsageHistory {
        let mut history = UsageHistory::default();
        let used = |requests, refused| UsageTotals { requests, refused, tokens_in: 700, tokens_out: 30 };
        history.add(&"2026-11-28".into(), "app", "support", used(2, 1));
        history.add(&"2026-11-29".into(), "app", "sales", used(1, 0));
        history.add(&"2026-11-29".into(), "shop\u{1b}", "sales", used(48, 0));
        history.add(&"2026-12-01".into(), "app", "sales", used(9, 0));
        history
    }

    fn shown(id: Option<&str>, month: &str, json: bool) -> String {
        ShowUsage { id: id.map(str::to_owned), month: None, json }.output(&history(), month)
    }

    #[test]
    fn each_key_has_a_row_and_a_bar_and_who_asks_most_stands_first() {
        let expected = format!(
            "KEY    REQUESTS  REFUSED  TOKENS IN  TOKENS OUT\n\
             shop\u{fffd}        48        0        700          30  {}\n\
             app           3        1       1400          60  ██\n",
            "█".repeat(24)
        );
        assert_eq!(shown(None, "2026-11", false), expected);
        assert_eq!(shown(None, "2026-10", false), "nothing was counted in 2026-10\n");
    }

    #[test]
    fn a_key_is_shown_by_chatflow_and_day() {
        let text = shown(Some("app"), "2026-11", false);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        let expected: [&[&str]; 7] = [
            &["CHATFLOW", "REQUESTS", "REFUSED"],
            &["sales", "1", "0"],
            &["support", "2", "1"],
            &[],
            &["DAY", "REQUESTS", "REFUSED"],
            &["2026-11-28", "2", "1"],
            &["2026-11-29", "1", "0"],
        ];
        assert_eq!(rows, expected);
        assert_eq!(shown(Some("no"), "2026-11", false), "nothing was counted of no in 2026-11\n");
    }

    #[test]
    fn programs_get_all_of_it() {
        let json: serde_json::Value = serde_json::from_str(&shown(Some("app"), "2026-12", true)).unwrap();
        let used = |name: &str| serde_json::json!({ "name": name, "requests": 9, "refused": 0, "tokens_in": 700, "tokens_out": 30 });
        let key = serde_json::json!({
            "id": "app", "requests": 9, "refused": 0, "tokens_in": 700, "tokens_out": 30,
            "chatflows": [used("sales")], "days": [used("2026-12-01")],
        });
        assert_eq!(json, serde_json::json!({ "month": "2026-12", "keys": [key] }));
    }

    #[test]
    fn a_month_is_a_month() {
        assert_eq!(month("2026-11").as_deref(), Ok("2026-11"));
        for text in ["2026-13", "2026-00", "2026-1", "26-11", "2026-11-29", "november", "2026/11"] {
            assert!(month(text).is_err(), "{text}");
        }
    }
}
