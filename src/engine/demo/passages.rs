//! A Markdown text as passages that can be quoted: paragraphs, list items, rows of tables, blocks of code.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    /// Of which page, as [`passages`] was told.
    pub(super) page: &'static str,
    /// The headings above it, the page's title first, the lowest last.
    pub(super) headings: Vec<String>,
    pub(super) text: String,
    pub(super) kind: PassageKind,
    /// The first and the last line, from 1.
    pub(super) lines: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassageKind {
    /// Sentences, which can be quoted one by one.
    Prose,
    /// A row of a table.
    Row,
    Code,
}

/// All passages of a page, in order.
pub(super) fn passages(page: &'static str, text: &str) -> Vec<Passage> {
    let mut reader = PassageReader { page, ..PassageReader::default() };
    for (number, line) in (1..).zip(text.lines()) {
        reader.read(number, line);
    }
    reader.close();
    reader.passages
}

#[derive(Default)]
struct PassageReader<'t> {
    page: &'static str,
    passages: Vec<Passage>,
    /// By level.
    headings: Vec<(usize, String)>,
    /// Lines of the passage under way, with the number of the first.
    held: Vec<&'t str>,
    first: usize,
    /// Inside a block of code: what ends it.
    fence: Option<&'t str>,
    /// Of the table under way.
    columns: Option<Vec<String>>,
}

impl<'t> PassageReader<'t> {
    fn read(&mut self, number: usize, line: &'t str) {
        let start = line.trim_start();
        if let Some(fence) = self.fence {
            self.hold(number, line);
            if start.starts_with(fence) {
                self.push(PassageKind::Code);
                self.fence = None;
            }
            return;
        }
        if start.starts_with("```") {
            self.close();
            self.fence = Some("```");
            self.hold(number, line);
            return;
        }
        if start.starts_with('|') {
            self.row(number, line);
            return;
        }
        self.columns = None;
        let level = line.len() - line.trim_start_matches('#').len();
        if (1..=6).contains(&level) && line.get(level..).is_some_and(|rest| rest.starts_with(' ')) {
            self.close();
            self.headings.retain(|(above, _)| *above < level);
            self.headings.push((level, plain(line.trim_start_matches('#').trim())));
        } else if start.is_empty() {
            self.close();
        } else {
            if start.starts_with("- ") || start.starts_with("* ") {
                self.close();
            }
            self.hold(number, line);
        }
    }

    /// The first row names the columns; the second only parts it from the others.
    fn row(&mut self, number: usize, line: &'t str) {
        let Some(columns) = self.columns.take() else {
            self.close();
            self.columns = Some(cells(line));
            return;
        };
        if line.chars().any(|letter| !"|-: ".contains(letter)) && !leads_away(line) {
            let mut parts = Vec::new();
            for (column, cell) in columns.iter().zip(cells(line)).filter(|(_, cell)| !cell.is_empty()) {
                parts.push(if column.is_empty() { cell } else { format!("{column}: {cell}") });
            }
            let text = parts.join("; ");
            self.add(text, PassageKind::Row, (number, number));
        }
        self.columns = Some(columns);
    }

    fn hold(&mut self, number: usize, line: &'t str) {
        if self.held.is_empty() {
            self.first = number;
        }
        self.held.push(line);
    }

    fn close(&mut self) {
        self.push(PassageKind::Prose);
    }

    fn push(&mut self, kind: PassageKind) {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() || (kind == PassageKind::Prose && is_contents(&held.join(" "))) {
            return;
        }
        let text = match kind {
            PassageKind::Code => self.lead() + &held.join("\n"),
            PassageKind::Prose | PassageKind::Row => {
                plain(&held.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
            }
        };
        let lines = (self.first, self.first + held.len() - 1);
        self.add(text, kind, lines);
    }

    /// What introduces a block of code belongs to it.
    fn lead(&mut self) -> String {
        let leads = |last: &mut Passage| {
            last.kind == PassageKind::Prose && last.text.ends_with(':') && last.lines.1 + 2 == self.first
        };
        self.passages.pop_if(leads).map(|last| last.text + "\n").unwrap_or_default()
    }

    fn add(&mut self, text: String, kind: PassageKind, lines: (usize, usize)) {
        let headings = self.headings.iter().map(|(_, heading)| heading.clone()).collect();
        self.passages.push(Passage { page: self.page, headings, text, kind, lines });
    }
}

/// Whether a text is hardly more than links. A list of contents answers nothing.
fn is_contents(text: &str) -> bool {
    let mut parts = text.split('[');
    let before = parts.next().map_or(0, str::len);
    let behind = |part: &str| part.split_once(')').map_or(part.len(), |(_, rest)| rest.len());
    3 * (before + parts.map(behind).sum::<usize>()) < text.len()
}

/// Whether a row ends with a link alone: like a list of contents, it answers nothing.
fn leads_away(row: &str) -> bool {
    let last = row.trim().trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
    last.starts_with('[') && last.ends_with(')')
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim().replace("\\|", "\u{0}");
    let row = row.strip_prefix('|').unwrap_or(&row);
    let row = row.strip_suffix('|').unwrap_or(row);
    row.split('|').map(|cell| plain(&cell.replace('\u{0}', "|"))).collect()
}

/// Without the marks of a list item, of bold text and of links.
fn plain(text: &str) -> String {
    let text = text.trim().trim_start_matches("- ").replace("**", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let link = after.split_once("](").and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        if let Some((label, after)) = link.filter(|(label, _)| !label.contains(['[', ']'])) {
            out.push_str(label);
            rest = after;
        } else {
            out.push('[');
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\nIntro.\n\n[a](#a) ·\n[b](#b) ·\n[c](#c) ·\n[d](#d)\n\n## Limits\n\nOne **rate**\nper [key](#keys).\n\n\
        | code | when |\n|---|---|\n| `a\\|b` | never |\n|  | x |\n| more | [there](b.md) |\n\n- first\n  goes on\n- second\n\n### Deep\nLike this:\n\n```sh\n\
        # no heading\n```\n## Next\nEnd [1].\n";

    #[test]
    fn blocks_become_passages_below_their_headings() {
        let found = passages("a.md", TEXT);
        let shown: Vec<_> =
            found.iter().map(|found| (found.headings.join("/"), found.text.as_str(), found.lines)).collect();
        let expected = [
            ("Title", "Intro.", (3, 3)),
            ("Title/Limits", "One rate per key.", (12, 13)),
            ("Title/Limits", "code: `a|b`; when: never", (17, 17)),
            ("Title/Limits", "when: x", (18, 18)),
            ("Title/Limits", "first goes on", (21, 22)),
            ("Title/Limits", "second", (23, 23)),
            ("Title/Limits/Deep", "Like this:\n```sh\n# no heading\n```", (28, 30)),
            ("Title/Next", "End [1].", (32, 32)),
        ];
        assert_eq!(shown, expected.map(|(headings, text, lines)| (headings.to_owned(), text, lines)));
    }
}
