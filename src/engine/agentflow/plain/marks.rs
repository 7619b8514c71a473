//! Marks of Markdown that come in pairs, as remove-markdown's patterns find them: of an opening row of marks as many as
//! possible, up to the first that close them. Those patterns try every length at every place; here each line is read
//! once, and what any later row could close is known before.

/// `[^note]`, and in the last line what it says.
pub(super) fn without_footnotes(text: &str) -> String {
    let last_line = text.rfind('\n').map_or(0, |at| at + 1);
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("[^")).map(|at| from + at) {
        let inside = at + 2;
        let first = text.get(inside..).and_then(|rest| rest.chars().next());
        let Some(first) = first.filter(|first| *first != '\n') else {
            from = inside;
            continue;
        };
        let name = inside + first.len_utf8();
        let end = text.get(name..).and_then(|rest| rest.find([']', '\n'])).map_or(text.len(), |end| name + end);
        if !text.get(end..).is_some_and(|rest| rest.starts_with(']')) {
            // Nothing on this line ends one, wherever it begins.
            from = end;
            continue;
        }
        let says = end >= last_line && text.get(end + 1..).is_some_and(|rest| rest.starts_with(": "));
        out.push_str(text.get(copied..at).unwrap_or_default());
        copied = if says { text.len() } else { end + 1 };
        from = copied;
    }
    out + text.get(copied..).unwrap_or_default()
}

/// `*word*`, `**word**` and so on.
pub(super) fn without_stars(text: &str) -> String {
    by_lines(text, |line| without_pairs(line, b'*', 1, true))
}

/// Code between three backticks or more.
pub(super) fn without_fences(text: &str) -> String {
    by_lines(text, |line| without_pairs(line, b'`', 3, false))
}

fn by_lines(text: &str, of_line: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        out.push_str(if at > 0 { "\n" } else { "" });
        out.push_str(&of_line(line));
    }
    out
}

/// Marks that stand side by side.
struct Row {
    start: usize,
    end: usize,
    line: usize,
    /// How many of its marks may close a pair.
    closes: usize,
}

impl Row {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

fn rows(text: &str, mark: u8, closes: impl Fn(usize, usize) -> usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut line = 0;
    for (at, byte) in text.bytes().enumerate() {
        line += usize::from(byte == b'\n');
        if byte != mark {
            continue;
        }
        match rows.last_mut().filter(|row| row.end == at) {
            Some(row) => row.end += 1,
            None => rows.push(Row { start: at, end: at + 1, line, closes: 0 }),
        }
    }
    for row in &mut rows {
        row.closes = closes(row.start, row.end);
    }
    rows
}

/// For each row the most that any later one on its line may close.
fn closed_later(rows: &[Row]) -> Vec<usize> {
    let mut later: Vec<usize> = Vec::with_capacity(rows.len());
    let (mut most, mut line) = (0, usize::MAX);
    for row in rows.iter().rev() {
        if row.line != line {
            (most, line) = (0, row.line);
        }
        later.push(most);
        most = most.max(row.closes);
    }
    later.reverse();
    later
}

fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

fn behind(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

fn is_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| !letter.is_whitespace())
}

/// How many marks open a pair: all of them if they can be closed and a word follows, or else fewer, the next of which
/// is then the word. `own`: as many as the same row may close.
fn opened(length: usize, word_follows: bool, later: usize, own: usize) -> usize {
    if word_follows && later >= length { length } else { later.max(own).min(length.saturating_sub(1)) }
}

/// Without the pairs of a line. `has_word`: what stands between begins and ends with a letter.
fn without_pairs(line: &str, mark: u8, least: usize, has_word: bool) -> String {
    let is_tight = |start: usize| !has_word || is_word(before(line, start));
    let rows = rows(line, mark, |start, end| end - start - usize::from(!is_tight(start)));
    let later = closed_later(&rows);
    let word = usize::from(has_word);
    let mut out = String::with_capacity(line.len());
    let (mut copied, mut number) = (0, 0);
    while let (Some(row), Some(&later)) = (rows.get(number), later.get(number)) {
        let start = row.start.max(copied);
        let length = row.end.saturating_sub(start);
        let own = length.saturating_sub(word) / 2;
        let count = if has_word {
            opened(length, is_word(behind(line, row.end)), later, own)
        } else {
            later.max(own).min(length)
        };
        if count < least {
            number += 1;
            continue;
        }
        let inside = start + count;
        let mut close = inside + word;
        if count > own {
            let closing = rows.iter().enumerate().skip(number + 1).find(|(_, row)| row.closes >= count);
            let Some((at, row)) = closing else { break };
            (close, number) = (row.end - row.closes, at);
        }
        out.push_str(line.get(copied..start).unwrap_or_default());
        out.push_str(line.get(inside..close).unwrap_or_default());
        copied = close + count;
    }
    out + line.get(copied..).unwrap_or_default()
}

/// `_word_`, `__word__` and so on, where no letter or digit stands beside them. What is one, JavaScript says: of ASCII.
pub(super) fn without_underscores(text: &str) -> String {
    let is_apart = |letter: Option<char>| letter.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
    let closes = |start: usize, end: usize| {
        let length = end - start - usize::from(!is_word(before(text, start)));
        if is_apart(behind(text, end)) { length } else { 0 }
    };
    let rows = rows(text, b'_', closes);
    let later = closed_later(&rows);
    let mut out = String::with_capacity(text.len());
    // What parts two words belongs to one of them only.
    let (mut copied, mut from, mut number) = (0, 0, 0);
    while let (Some(row), Some(&later)) = (rows.get(number), later.get(number)) {
        let first = before(text, row.start);
        let begins = is_apart(first) && row.start - first.map_or(0, char::len_utf8) >= from;
        let own = if is_apart(behind(text, row.end)) { (row.len() - 1) / 2 } else { 0 };
        let count = opened(row.len(), is_word(behind(text, row.end)), later, own);
        number += 1;
        if !begins || count == 0 {
            continue;
        }
        let (start, inside, mut end) = (row.start, row.start + count, row.end);
        if count > own {
            let closing = rows.iter().enumerate().skip(number).find(|(_, row)| row.closes >= count);
            let Some((at, row)) = closing else { break };
            (end, number) = (row.end, at + 1);
        }
        out.push_str(text.get(copied..start).unwrap_or_default());
        out.push_str(text.get(inside..end - count).unwrap_or_default());
        copied = end;
        from = end + behind(text, end).map_or(0, char::len_utf8);
    }
    out + text.get(copied..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::by_pattern;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn footnotes_go_as_by_the_pattern(text in r"(\[\^|\[|\^|\]|: |a|é|\n| ){0,14}") {
            prop_assert_eq!(without_footnotes(&text), by_pattern(r"\[\^.+?\](\: .*?$)?", "", &text));
        }

        #[test]
        fn stars_go_as_by_the_pattern(text in r"(\*|\*\*|\*{3,5}|a|é|\n| |\t){0,14}") {
            prop_assert_eq!(without_stars(&text), by_pattern(r"([\*]+)(\S)(.*?\S)??\1", "$2$3", &text));
        }

        #[test]
        fn underscores_go_as_by_the_pattern(text in r"(_|__|_{3,5}|a|9|é|-|\n| ){0,14}") {
            let pattern = r"(^|[^a-zA-Z0-9_])([_]+)(\S)(.*?\S)??\2($|[^a-zA-Z0-9_])";
            prop_assert_eq!(without_underscores(&text), by_pattern(pattern, "$1$3$4$5", &text));
        }

        #[test]
        fn fences_go_as_by_the_pattern(text in r"(`|`{2,4}|`{5,9}|a|é|\n| ){0,14}") {
            prop_assert_eq!(without_fences(&text), by_pattern(r"(?m)(`{3,})(.*?)\1", "$2", &text));
        }
    }

    /// For each of these the patterns take the square of the length, or give up.
    #[test]
    fn long_texts_take_no_longer_for_each_letter() {
        const COUNT: usize = 200_000;
        assert_eq!(without_underscores(&"__a_ ".repeat(COUNT)).len(), 5 * COUNT - 2 * COUNT.div_ceil(2));
        assert_eq!(without_stars(&"**a* ".repeat(COUNT)), "*a ".repeat(COUNT));
        assert_eq!(without_stars(&"* a ".repeat(COUNT)), "* a ".repeat(COUNT));
        assert_eq!(without_stars(&"*".repeat(COUNT + 1)), "*");
        assert_eq!(without_fences(&"```a`` ".repeat(COUNT)), "a`` ".repeat(COUNT));
        assert_eq!(without_fences(&"`".repeat(COUNT)).len(), 0);
        assert_eq!(without_footnotes(&"[^".repeat(COUNT)).len(), 2 * COUNT);
        assert_eq!(without_footnotes(&("[^x]: ".repeat(COUNT) + "\n.")), ": ".repeat(COUNT) + "\n.");
    }
}
