//! How much of a chat a model is told in few words, when the whole has too many tokens.

use serde_json::Value;

use super::Encoding;

/// Where Flowise's nodes say nothing else.
const MOST_TOKENS: f64 = 2000.0;

/// The most tokens that a node tells word by word; a text "0" counts, the number does not. What is no number limits nothing.
pub(crate) fn most_tokens(limit: Option<&Value>) -> f64 {
    let limit = match limit {
        Some(Value::Number(number)) => number.as_f64().filter(|number| *number != 0.0),
        Some(Value::String(text)) if !text.is_empty() => Some(text.trim().parse().unwrap_or(f64::INFINITY)),
        _ => None,
    };
    limit.unwrap_or(MOST_TOKENS)
}

/// How many of the first lines must go, for the rest to have at most so many tokens.
///
/// Flowise counts the whole rest anew for each line that goes. Here each line is counted once: the next begins with a
/// role, and no token reaches from a line break into a word. How blanks before it are cut depends on there being a word.
pub(crate) fn surplus(lines: &[String], most: f64, has_table: bool) -> usize {
    let mut rest = Count { tokens: has_table.then_some(0), units: 0 };
    let mut kept = 0;
    for (number, line) in lines.iter().rev().enumerate() {
        rest.add(line, number == 0);
        // Looked at to the end: a rest whose tokens are guessed at may have fewer than a shorter one.
        if rest.total() <= most {
            kept = number + 1;
        }
    }
    lines.len() - kept
}

/// Of some lines.
struct Count {
    /// `None`: there is no table, or what stands there cannot be counted with it.
    tokens: Option<usize>,
    /// UTF-16 units, four of which are then taken for a token.
    units: usize,
}

impl Count {
    fn add(&mut self, line: &str, is_last: bool) {
        self.units += line.encode_utf16().count() + usize::from(!is_last);
        let (text, next) = if is_last { (line.to_owned(), 0) } else { (format!("{line}\nu"), 1) };
        let count = || Some(Encoding::named("gpt2")?.encode(&text).ok()?.len().saturating_sub(next));
        self.tokens = self.tokens.and_then(|tokens| Some(tokens + count()?));
    }

    #[expect(clippy::cast_precision_loss, reason = "a chat has fewer than 2^52 tokens")]
    fn total(&self) -> f64 {
        self.tokens.unwrap_or_else(|| self.units.div_ceil(4)) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn counted(text: &str, has_table: bool) -> usize {
        let tokens = Encoding::named("gpt2").unwrap().encode(text).ok().filter(|_| has_table);
        tokens.map_or_else(|| text.encode_utf16().count().div_ceil(4), |tokens| tokens.len())
    }

    /// As Flowise goes about it.
    fn slowly(lines: &[String], most: usize, has_table: bool) -> usize {
        let fits = |gone: &usize| counted(&lines[*gone..].join("\n"), has_table) <= most;
        (0..lines.len()).find(fits).unwrap_or(lines.len())
    }

    proptest! {
        #[test]
        fn as_many_lines_go_as_with_flowise(
            lines in proptest::collection::vec(r"(user|assistant): ([a-zé😀 \n\t']{0,30}|<\|endoftext\|>|[ \n]{0,3})", 0..8),
            most in 0..60_u8,
            has_table: bool,
        ) {
            prop_assert_eq!(surplus(&lines, most.into(), has_table), slowly(&lines, most.into(), has_table));
        }
    }

    #[test]
    fn limits_are_read_as_javascript_compares_them() {
        for (limit, most) in
            [(json!(5), 5.0), (json!("5"), 5.0), (json!("0"), 0.0), (json!(0), 2000.0), (json!(""), 2000.0)]
        {
            assert!((most_tokens(Some(&limit)) - most).abs() < 0.1, "{limit}");
        }
        assert!(most_tokens(Some(&json!("many"))).is_infinite());
        assert!((most_tokens(None) - 2000.0).abs() < 0.1);
    }
}
