//! What `flowgate top` shows, as lines that fit.

use serde_json::Value;

use super::member;
use crate::keys::command::printable;

/// Rows of a screen below which parts are left out.
const FEW_ROWS: usize = 12;

/// What was seen.
pub(super) struct TopView {
    pub(super) status: Value,
    pub(super) chatflows: Value,
    pub(super) refusals: Value,
    pub(super) keys: Value,
    /// Why nothing newer can be seen.
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TopStyle {
    Plain,
    Quiet,
    Head,
    Good,
    Warning,
    Bad,
}

/// A line that is no longer than the screen is wide.
#[derive(Debug)]
pub(super) struct TopLine {
    style: TopStyle,
    text: String,
}

impl TopLine {
    pub(super) fn plain(&self) -> String {
        format!("{}\n", self.text.trim_end())
    }

    /// With the terminal's own colours, and told by words as well.
    pub(super) fn coloured(&self) -> String {
        let code = match self.style {
            TopStyle::Plain => return self.text.clone(),
            TopStyle::Quiet => "2",
            TopStyle::Head => "1;7",
            TopStyle::Good => "1;32",
            TopStyle::Warning => "1;33",
            TopStyle::Bad => "1;31",
        };
        format!("\x1b[{code}m{}\x1b[0m", self.text)
    }
}

/// All that fits.
pub(super) fn lines(view: &TopView, width: usize, height: usize) -> Vec<TopLine> {
    let mut lines = Vec::new();
    let mut add = |style, text: String| lines.push(TopLine { style, text: fit(&text, width) });
    head(view, width, &mut add);
    let left = height.saturating_sub(lines.len() + 1);
    let mut add = |style, text: String| lines.push(TopLine { style, text: fit(&text, width) });
    let (chatflows, keys, refusals) = (chatflow_rows(view), key_rows(view), refusal_rows(view));
    // Each part has a head; who has few rows leaves room for the others.
    let room = left.saturating_sub(if left < FEW_ROWS { 1 } else { 3 });
    let of_chatflows = chatflows
        .len()
        .min(room.div_ceil(3))
        .max(room.saturating_sub(keys.len() + refusals.len()).min(chatflows.len()));
    let rest = room - of_chatflows.min(room);
    let of_keys = if left < FEW_ROWS { 0 } else { keys.len().min(rest / 2) };
    let of_refusals = if left < FEW_ROWS { 0 } else { rest - of_keys };
    let title = format!(
        "{:<20} {:<14} {:>7} {:>6} {:>6} {:>6} {:>6} {:>7}",
        "CHATFLOW", "GOES TO", "/MIN", "OK", "NO", "LIMIT", "FAIL", "TOKEN"
    );
    part(&mut add, width, &title, chatflows, of_chatflows);
    if left >= FEW_ROWS {
        let title =
            format!("{:<20} {:<9} {:<12} {:>10} {:>9}  {}", "KEY", "STATE", "PLAN", "LEFT", "IN FLIGHT", "LAST USED");
        part(&mut add, width, &title, keys, of_keys);
        let title = format!("{:<9} {:<4} {:<22} {:<20} {}", "TIME", "NO", "RULE", "CHATFLOW, KEY", "REQUEST ID");
        part(&mut add, width, &title, refusals, of_refusals);
    }
    lines.truncate(height.saturating_sub(1));
    let hint = "q ends; of the last 5 minutes; why a request was refused: flowgate explain --request ID";
    lines.push(TopLine { style: TopStyle::Quiet, text: fit(hint, width) });
    lines
}

fn head(view: &TopView, width: usize, add: &mut impl FnMut(TopStyle, String)) {
    let status = &view.status;
    let number = |value: &Value| value.as_i64().unwrap_or_default().to_string();
    let connections = member(status, "connections");
    let seconds = member(status, "uptime_seconds").as_u64().unwrap_or_default();
    add(
        TopStyle::Plain,
        format!(
            "flowgate {} {}, up {}:{:02} h, {} of {} connections, {} streams, {} runs",
            text(status, "version"),
            text(status, "phase"),
            seconds / 3600,
            seconds / 60 % 60,
            number(member(connections, "open")),
            number(member(connections, "limit")),
            number(member(status, "streams_open")),
            number(member(status, "engine_runs")),
        ),
    );
    let style = match text(status, "state").as_str() {
        "ok" => TopStyle::Good,
        "warning" => TopStyle::Warning,
        _ => TopStyle::Bad,
    };
    let (style, sentence) = match &view.trouble {
        Some(trouble) => (TopStyle::Bad, printable(trouble)),
        None => (style, text(status, "sentence")),
    };
    for line in wrapped(&sentence, width).into_iter().take(3) {
        add(style, line);
    }
}

fn part(add: &mut impl FnMut(TopStyle, String), width: usize, title: &str, rows: Vec<(TopStyle, String)>, most: usize) {
    add(TopStyle::Head, format!("{title:<width$}"));
    for (style, row) in rows.into_iter().take(most) {
        add(style, row);
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    member(value, name).as_array().map(Vec::as_slice).unwrap_or_default()
}

fn chatflow_rows(view: &TopView) -> Vec<(TopStyle, String)> {
    let mut flows: Vec<&Value> = list(&view.chatflows, "chatflows").iter().collect();
    let count = |flow: &Value, name: &str| member(flow, name).as_u64().unwrap_or_default();
    flows.sort_by_key(|flow| std::cmp::Reverse((count(flow, "failed"), count(flow, "requests"))));
    let row = |flow: &&Value| {
        let first = member(member(flow, "first_token_ms"), "p50").as_u64();
        let failed = count(flow, "failed");
        let row = format!(
            "{:<20} {:<14} {:>7} {:>6} {:>6} {:>6} {:>6} {:>7}",
            short(&text(flow, "name"), 20),
            short(&text(flow, "upstream"), 14),
            member(flow, "per_minute").as_f64().unwrap_or_default(),
            count(flow, "answered"),
            count(flow, "refused"),
            count(flow, "limited"),
            failed,
            first.map_or_else(|| "-".to_owned(), |first| format!("{first}ms")),
        );
        (if failed > 0 { TopStyle::Warning } else { TopStyle::Plain }, row)
    };
    flows.iter().map(row).collect()
}

fn key_rows(view: &TopView) -> Vec<(TopStyle, String)> {
    let row = |key: &Value| {
        let number = |value: &Value, name: &str| member(value, name).as_u64().unwrap_or_default();
        let requests = member(key, "requests");
        let state = text(key, "state");
        let used = text(key, "last_used");
        let row = format!(
            "{:<20} {state:<9} {:<12} {:>10} {:>9}  {}",
            short(&text(key, "id"), 20),
            short(&text(key, "plan"), 12),
            format!("{}/{}", number(requests, "remaining"), number(requests, "limit")),
            format!("{}/{}", number(key, "in_flight"), number(key, "concurrent")),
            if used.is_empty() { "-" } else { &used },
        );
        (if state == "active" { TopStyle::Plain } else { TopStyle::Quiet }, row)
    };
    list(&view.keys, "keys").iter().map(row).collect()
}

fn refusal_rows(view: &TopView) -> Vec<(TopStyle, String)> {
    let row = |entry: &Value| {
        let rule = text(entry, "rule");
        let rule = if rule.is_empty() { text(entry, "code") } else { rule };
        let time = text(entry, "time");
        let clock: String = time.chars().skip(11).take(8).collect();
        let of = [text(entry, "chatflow"), text(entry, "key")].into_iter().filter(|part| !part.is_empty());
        let of = of.collect::<Vec<_>>().join(", ");
        let status = member(entry, "status").as_u64().unwrap_or_default();
        let row = format!(
            "{clock:<9} {status:<4} {:<22} {:<20} {}",
            short(&rule, 22),
            short(&of, 20),
            text(entry, "request_id")
        );
        (if (400..500).contains(&status) { TopStyle::Plain } else { TopStyle::Bad }, row)
    };
    list(&view.refusals, "refusals").iter().map(row).collect()
}

/// A text of an answer, fit for a terminal.
fn text(value: &Value, name: &str) -> String {
    member(value, name).as_str().map(printable).unwrap_or_default()
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn fit(text: &str, width: usize) -> String {
    short(text, width)
}

/// At spaces, where there are some.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(last) = lines.last_mut() else { break };
        let is_full = !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width;
        if is_full {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(many: usize) -> TopView {
        let flow = |number: usize| json!({ "name": format!("flow-{number}-with-a-name-that-is-long"), "upstream": "flowise", "per_minute": 1.5, "answered": 3, "failed": number % 2, "requests": number, "first_token_ms": { "p50": 120, "p99": 900 } });
        let key = |number: usize| json!({ "id": format!("key-{number}"), "state": "active", "plan": "default", "requests": { "remaining": 3, "limit": 60 }, "in_flight": 0, "concurrent": 4, "last_used": null });
        let no = |number: usize| json!({ "time": "2026-11-30T08:00:00.123Z", "status": 429, "code": "rate_limited", "chatflow": "support", "key": "app\u{1b}[2J", "request_id": format!("id-{number}") });
        TopView {
            status: json!({ "sentence": "The upstream flowise cannot be reached: http://127.0.0.1:3000. ".repeat(3).trim(), "state": "critical", "version": "0.1.0", "phase": "running", "uptime_seconds": 3725, "connections": { "open": 1, "limit": 2 } }),
            chatflows: json!({ "chatflows": (0..many).map(flow).collect::<Vec<_>>() }),
            refusals: json!({ "refusals": (0..many).map(no).collect::<Vec<_>>() }),
            keys: json!({ "keys": (0..many).map(key).collect::<Vec<_>>() }),
            trouble: None,
        }
    }

    #[test]
    fn it_fits_whatever_there_is() {
        for (width, height) in [(80, 24), (40, 10), (200, 60), (20, 3), (1, 1)] {
            for many in [0, 1, 5, 100] {
                let lines = lines(&view(many), width, height);
                assert!(lines.len() <= height.max(1), "{width}x{height}, {many}: {} lines", lines.len());
                assert!(lines.iter().all(|line| line.text.chars().count() <= width), "{width}x{height}: {lines:?}");
                assert!(lines.iter().all(|line| !line.text.contains('\u{1b}')), "{lines:?}");
            }
        }
    }

    #[test]
    fn the_usual_screen_has_some_of_everything() {
        let text: String = lines(&view(100), 80, 24).iter().map(TopLine::plain).collect();
        for wanted in [
            "up 1:02 h",
            "The upstream flowise cannot be reached",
            "flow-99",
            "120ms",
            "key-0",
            "3/60",
            "id-0",
            "08:00:00",
            "q ends",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
