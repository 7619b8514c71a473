//! Pieces of Markdown as `node-html-markdown` finishes them.

/// Three line breaks in a row are enough.
pub(super) fn without_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\n') {
        let (before, run) = rest.split_at(at);
        out.push_str(before);
        let end = run.len() - run.trim_start().len();
        let (run, after) = run.split_at(end);
        let breaks: Vec<usize> = run.match_indices('\n').map(|(at, _)| at).collect();
        let from = if breaks.len() > 3 { breaks.iter().rev().nth(2).copied().unwrap_or(0) } else { 0 };
        out.push_str(run.get(from..).unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Each line within marks, white space but one letter of it left out at both sides.
pub(super) fn surrounded(content: &str, mark: &str) -> String {
    let content = without_mark(content, mark);
    let lines = content.split('\n').map(|line| {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return line.to_owned();
        }
        let begin = line.len() - line.trim_start().len();
        let before = line.get(..begin).and_then(|space| space.chars().next_back()).map(String::from);
        let after = line.get(begin + trimmed.len()..).and_then(|space| space.chars().next()).map(String::from);
        format!("{}{mark}{trimmed}{mark}{}", before.unwrap_or_default(), after.unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Marks within marks go, but for those that are escaped, and one at the very beginning.
fn without_mark(content: &str, mark: &str) -> String {
    if !content.contains(mark) {
        return content.to_owned();
    }
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        out.push(letter);
        rest = match after.strip_prefix(mark).filter(|_| letter != '\\' && letter != '\n') {
            Some(without) => without,
            None => after,
        };
    }
    out
}

/// An item of a list: each further line is indented, with a line break that Markdown keeps.
pub(super) fn item(content: &str, indent: usize) -> String {
    let space = "   ".repeat(indent);
    let mut broken = String::new();
    let mut rest = content.trim();
    while let Some(at) = rest.find('\n') {
        let (line, after) = rest.split_at(at);
        let after = after.trim_start_matches('\n');
        broken.push_str(line);
        broken.push_str(if at == 0 { "\n" } else { "  \n" });
        broken.push_str(&space);
        rest = after;
    }
    broken.push_str(rest);
    let ended = broken.split('\n').map(|line| {
        let trimmed = line.trim_end();
        if trimmed.is_empty() || trimmed.len() == line.len() { line.to_owned() } else { format!("{trimmed}  ") }
    });
    ended.collect::<Vec<_>>().join("\n")
}

pub(super) fn quoted(content: &str) -> String {
    let lines = content.trim_matches('\n').split('\n').map(|line| {
        let text = line.trim_start_matches('>');
        let marks = line.get(..line.len() - text.len()).unwrap_or_default();
        let text = text.strip_prefix(|letter: char| letter.is_whitespace()).unwrap_or(text);
        format!(">{marks} {text}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Code in a line: its marks are longer than any in it.
pub(super) fn in_lines(content: &str) -> String {
    let longest = content.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let mark = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{mark}{space}{content}{space}{mark}")
}

/// A row that has cells.
pub(super) fn row_of(content: &str) -> Option<String> {
    content.trim_end().ends_with(" |").then(|| content.to_owned())
}

/// The cells of a line of a table, if it has any.
fn cells(line: &str) -> Option<impl Iterator<Item = &str>> {
    let line =
        line.strip_prefix('|').filter(|rest| rest.starts_with(char::is_whitespace)).map_or(line, str::trim_start);
    let line = line.trim_end().strip_suffix('|').unwrap_or(line);
    (!line.is_empty()).then(|| line.split(" |").map(str::trim))
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn widths(content: &str) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for (at, cell) in content.split('\n').filter_map(cells).flat_map(Iterator::enumerate) {
        match widths.get_mut(at) {
            Some(width) => *width = (*width).max(length(cell)),
            None => widths.push(length(cell)),
        }
    }
    widths
}

/// What may fill the rows of a table up.
pub(super) fn filled(content: &str) -> usize {
    let row: usize = widths(content).iter().map(|width| width + 3).sum();
    row.saturating_mul(content.split('\n').count() + 1)
}

/// Rows in columns of one width; without any, nothing is left.
pub(super) fn table(content: &str, caption: Option<String>) -> Option<String> {
    let rows: Vec<Vec<&str>> = content.split('\n').filter_map(cells).map(Iterator::collect).collect();
    if rows.is_empty() {
        return None;
    }
    let widths = widths(content);
    let mut out = caption.map(|caption| caption + "\n").unwrap_or_default();
    for (number, cells) in rows.iter().enumerate() {
        let padded = widths.iter().enumerate().map(|(at, width)| {
            let cell = cells.get(at).copied().unwrap_or_default();
            format!("{cell}{} |", " ".repeat(width.saturating_sub(length(cell))))
        });
        out.push_str("| ");
        out.push_str(&padded.collect::<Vec<_>>().join(" "));
        out.push('\n');
        if number == 0 {
            let dashes: Vec<String> = widths.iter().map(|width| format!(" {} |", "-".repeat(*width))).collect();
            out.push('|');
            out.push_str(&dashes.concat());
            out.push('\n');
        }
    }
    Some(out)
}

/// Each run of white space is a space.
pub(super) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_whitespace() || letter == '\u{feff}' {
            true if out.ends_with(' ') => {}
            true => out.push(' '),
            false => out.push(letter),
        }
    }
    out
}

/// Line breaks are spaces.
pub(super) fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.split('\n');
    out.push_str(lines.next().unwrap_or_default());
    let mut is_open = false;
    for line in lines {
        if !is_open {
            out.push(' ');
        }
        is_open = line.is_empty();
        out.push_str(line);
    }
    out
}

/// What would mean something in Markdown has a backslash before it.
pub(super) fn escaped(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\`*_~[]".contains(letter) {
            marked.push('\\');
        }
        marked.push(letter);
    }
    let mut out = String::with_capacity(marked.len());
    for (number, line) in marked.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        line_escaped(line, &mut out);
    }
    out
}

fn line_escaped(line: &str, out: &mut String) {
    let rest = line.trim_start();
    let (space, mut rest) = line.split_at(line.len() - rest.len());
    out.push_str(space);
    let level = rest.chars().take_while(|letter| *letter == '#').count();
    let has_space = |after: usize| rest.chars().nth(after).is_some_and(char::is_whitespace);
    let is_mark = rest.starts_with(['=', '>', '-'])
        || (rest.starts_with('+') && has_space(1))
        || ((1..=6).contains(&level) && has_space(level));
    if is_mark {
        let first = rest.chars().next().map_or(0, char::len_utf8);
        out.push('\\');
        out.push_str(rest.get(..first).unwrap_or_default());
        rest = rest.get(first..).unwrap_or_default();
    }
    // A number and a point, wherever it stands.
    let mut letters = rest.chars().peekable();
    let mut is_number = false;
    while let Some(letter) = letters.next() {
        if letter == '.' && is_number && letters.peek().is_some_and(|next| next.is_whitespace()) {
            out.push('\\');
        }
        is_number = letter.is_ascii_digit();
        out.push(letter);
    }
}
