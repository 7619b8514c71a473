//! Images, links and code within a line, removed as remove-markdown's patterns remove them, in one reading.

fn piece(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |end| at + end)
}

/// Where an address ends that begins there, on its line.
fn address_end(text: &str, at: usize) -> Option<usize> {
    let found = text.get(at..)?.find([']', ')', '\n']).map(|found| at + found)?;
    (text.as_bytes().get(found) != Some(&b'\n')).then_some(found + 1)
}

/// `![words](address)`.
pub(super) fn without_images(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("![")).map(|at| from + at) {
        let (words, line) = (at + 2, line_end(text, at));
        let bytes = text.as_bytes();
        let is_between = |end: &usize| matches!(bytes.get(*end + 1), Some(b'[' | b'('));
        let closes = memchr::memchr_iter(b']', bytes.get(words..line).unwrap_or_default()).map(|end| words + end);
        let between = closes.into_iter().find(is_between);
        match between.and_then(|end| Some((end, address_end(text, end + 2)?))) {
            Some((end, behind)) => {
                out.push_str(piece(text, copied, at));
                out.push_str(piece(text, words, end));
                (copied, from) = (behind, behind);
            }
            // Nothing on this line makes one, wherever it begins.
            None => from = line,
        }
    }
    out + piece(text, copied, text.len())
}

/// `[words](address)`, `[words][name]`.
pub(super) fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    while let Some(at) = text.get(copied..).and_then(|rest| rest.find('[')).map(|at| copied + at) {
        let closes = memchr::memchr_iter(b']', text.as_bytes().get(at + 1..).unwrap_or_default());
        let address = |end: usize| {
            let behind = text.get(end + 1..)?.trim_start();
            let address = behind.starts_with(['(', '[']).then_some(text.len() - behind.len() + 1)?;
            Some((end, address_end(text, address)?))
        };
        // If nothing closes this one, nothing closes a later one.
        let Some((end, behind)) = closes.map(|end| at + 1 + end).find_map(address) else { break };
        out.push_str(piece(text, copied, at));
        out.push_str(piece(text, at + 1, end));
        copied = behind;
    }
    out + piece(text, copied, text.len())
}

/// Code between two backticks.
pub(super) fn without_backticks(text: &str) -> String {
    without_couples(text, b'`', true)
}

/// What is between two tildes.
pub(super) fn without_tildes(text: &str) -> String {
    without_couples(text, b'~', false)
}

/// Without the next two marks on each line, and so on. `has_letter`: something stands between them, if only a mark.
fn without_couples(text: &str, mark: u8, has_letter: bool) -> String {
    let bytes = text.as_bytes();
    let next = |from: usize| memchr::memchr2(mark, b'\n', bytes.get(from..)?).map(|at| from + at);
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(open) = memchr::memchr(mark, bytes.get(from..).unwrap_or_default()).map(|at| from + at) {
        let is_letter = has_letter && bytes.get(open + 1).is_some_and(|letter| *letter != b'\n');
        let Some(close) = next(open + 1 + usize::from(is_letter)) else { break };
        if bytes.get(close) == Some(&b'\n') {
            from = close;
            continue;
        }
        out.push_str(piece(text, copied, open));
        out.push_str(piece(text, open + 1, close));
        (copied, from) = (close + 1, close + 1);
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
        fn images_go_as_by_the_pattern(text in r"(!\[|!|\[|\]|\]\(|\)|a|é|\n| ){0,14}") {
            let pattern = r"\!\[(.*?)\][\[\(].*?[\]\)]";
            prop_assert_eq!(without_images(&text), by_pattern(pattern, "$1", &text));
        }

        #[test]
        fn links_go_as_by_the_pattern(text in r"(\[|\]|\]\(|\]\[|\(|\)|a|é|\n| ){0,14}") {
            let pattern = r"\[([\s\S]*?)\]\s*[\(\[](.*?)[\)\]]";
            prop_assert_eq!(without_links(&text), by_pattern(pattern, "$1", &text));
        }

        #[test]
        fn backticks_go_as_by_the_pattern(text in r"(`|``|a|é|\n| ){0,14}") {
            prop_assert_eq!(without_backticks(&text), by_pattern("`(.+?)`", "$1", &text));
        }

        #[test]
        fn tildes_go_as_by_the_pattern(text in r"(~|~~|a|é|\n| ){0,14}") {
            prop_assert_eq!(without_tildes(&text), by_pattern("~(.*?)~", "$1", &text));
        }
    }
}
