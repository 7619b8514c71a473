//! What begins a line in Markdown, and blocks of code, removed as remove-markdown's patterns remove them, in one reading.

/// Where a line begins, at that place or behind it.
fn line_at_or_behind(text: &str, at: usize) -> Option<usize> {
    if at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n') {
        return Some(at);
    }
    memchr::memchr(b'\n', text.as_bytes().get(at..)?).map(|end| at + end + 1)
}

/// Where the white space ends that begins there.
fn word_at(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_start().len()
}

fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |end| at + end)
}

fn piece(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

fn starts(text: &str, at: usize, with: char) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(with))
}

/// What is found at the beginning of a line.
enum FoundBlock<'t> {
    /// Up to where, and what stays of it.
    Some { end: usize, kept: [&'t str; 2] },
    /// Nothing, nor at any line that begins before that place.
    None { before: usize },
}

/// The text, where `find` says what is at the beginning of a line.
fn by_beginnings(text: &str, find: impl for<'t> Fn(&'t str, usize) -> FoundBlock<'t>) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(start) = line_at_or_behind(text, from).filter(|start| *start < text.len()) {
        match find(text, start) {
            FoundBlock::Some { end, kept } => {
                out.push_str(piece(text, copied, start));
                out.extend(kept);
                (copied, from) = (end, end);
            }
            FoundBlock::None { before } => from = before.max(start + 1),
        }
    }
    out + piece(text, copied, text.len())
}

/// `- item`, `1. item`.
pub(super) fn without_bullets(text: &str) -> String {
    by_beginnings(text, |text, start| {
        let mark = word_at(text, start);
        let rest = text.get(mark..).unwrap_or_default();
        let behind = match rest.trim_start_matches(|letter: char| letter.is_ascii_digit()) {
            digits if digits.len() < rest.len() => digits.strip_prefix('.'),
            rest => rest.strip_prefix(['*', '-', '+']),
        };
        match behind.filter(|behind| behind.starts_with(char::is_whitespace)) {
            Some(behind) => {
                let end = word_at(text, text.len() - behind.len());
                FoundBlock::Some { end, kept: [piece(text, start, mark), ""] }
            }
            None => FoundBlock::None { before: mark + 1 },
        }
    })
}

/// `> said`.
pub(super) fn without_quotes(text: &str) -> String {
    /// White space before the mark, the end of the line before it not counted.
    const MOST: usize = 3;
    by_beginnings(text, |text, start| {
        let rest = text.get(start..).unwrap_or_default();
        let spaces = rest.chars().take(MOST + 2).take_while(|letter| letter.is_whitespace()).count();
        let mark = start + rest.chars().take(spaces).map(char::len_utf8).sum::<usize>();
        let has_line = rest.starts_with('\n');
        if spaces > MOST + usize::from(has_line) || !starts(text, mark, '>') {
            return FoundBlock::None { before: start + 1 };
        }
        let behind = text.get(mark + 1..).and_then(|rest| rest.chars().next());
        let end = mark + 1 + behind.filter(|letter| letter.is_whitespace()).map_or(0, char::len_utf8);
        FoundBlock::Some { end, kept: [if has_line { "\n" } else { "" }, ""] }
    })
}

/// `# Title`, `## Title ##`.
pub(super) fn without_headings(text: &str) -> String {
    const MOST: usize = 6;
    by_beginnings(text, |text, start| {
        let line = if starts(text, start, '\n') { "\n" } else { "" };
        let mark = word_at(text, start);
        let rest = text.get(mark..).unwrap_or_default();
        let marks = rest.len() - rest.trim_start_matches('#').len();
        if marks == 0 || marks > MOST {
            return FoundBlock::None { before: mark + 1 };
        }
        let word = word_at(text, mark + marks);
        let found = |end: usize, title: usize, title_end: usize| FoundBlock::Some {
            end,
            kept: [line, piece(text, title, title_end)],
        };
        if word == text.len() {
            return found(word, word, word);
        }
        let spaces = piece(text, mark + marks, word);
        let last_line = mark + marks + spaces.rfind('\n').map_or(0, |at| at + 1);
        let Some(space) = piece(text, last_line, word).rfind(' ').map(|at| last_line + at) else {
            // What follows on a later line is no title.
            return if spaces.contains('\n') {
                found(last_line - 1, word, word)
            } else {
                FoundBlock::None { before: mark + 1 }
            };
        };
        let end = line_end(text, word);
        let written = piece(text, word, end);
        let closing = word + written.trim_end_matches('#').len();
        let is_closed = closing < end && closing > 0 && text.as_bytes().get(closing - 1) == Some(&b' ');
        match is_closed {
            true if closing == word => found(end, word, word),
            true => found(end, space + 1, closing - 1),
            false => found(end, space + 1, end),
        }
    })
}

/// Code on lines between three backticks.
pub(super) fn without_code_blocks(text: &str) -> String {
    const FENCE: &str = "```";
    let fence = |at: usize| text.get(at..).and_then(|rest| rest.find(FENCE)).map(|found| at + found);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    while let Some(open) = fence(copied) {
        let line = line_end(text, open);
        let code = word_at(text, line);
        let Some(close) = fence(code) else { break };
        out.push_str(piece(text, copied, open));
        out.push_str(piece(text, code, close).trim_end());
        copied = close + FENCE.len();
    }
    out + piece(text, copied, text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::by_pattern;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn bullets_go_as_by_the_pattern(text in r"(-|\*|\+|1|1\.|\.|a|é|\n| |\t){0,14}") {
            prop_assert_eq!(without_bullets(&text), by_pattern(r"(?m)^([\s\t]*)([\*\-\+]|\d+\.)\s+", "$1", &text));
        }

        #[test]
        fn quotes_go_as_by_the_pattern(text in r"(>|>>|a|é|\n| |\t| {3}){0,14}") {
            prop_assert_eq!(without_quotes(&text), by_pattern(r"(?m)^(\n)?\s{0,3}>\s?", "$1", &text));
        }

        #[test]
        fn headings_go_as_by_the_pattern(text in r"(#|##|#{5,7}|a|é|\n| |\t){0,14}") {
            let pattern = r"(?m)^(\n)?\s{0,}#{1,6}\s*( (.+))? +#+$|^(\n)?\s{0,}#{1,6}\s*( (.+))?$";
            prop_assert_eq!(without_headings(&text), by_pattern(pattern, "$1$3$4$6", &text));
        }

        #[test]
        fn blocks_of_code_go_as_by_the_pattern(text in r"(`|```|`{4,6}|a|é|\n| |\t){0,14}") {
            let pattern = r"```(?:.*)\n\s*([\s\S]*?)\s*```";
            prop_assert_eq!(without_code_blocks(&text), by_pattern(pattern, "$1", &text));
        }
    }
}
