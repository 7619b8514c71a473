//! Texts as tokens, by the tables of `OpenAI`'s older models, as `js-tiktoken` makes them: what Flowise counts and cuts with.
//!
//! Flowise downloads its tables; these are part of the program (`tables/ORIGIN.md`), and nothing is made of them before a
//! flow needs them. Each encoding is made once, for all flows.

mod merge;
pub(crate) mod surplus;
mod table;

use std::fmt;
use std::sync::LazyLock;

use fancy_regex::Regex;

use merge::merge;
use table::Table;

use super::javascript::is_space;

/// Of one word: merging it takes fifty times its memory, and about a second.
const MOST_BYTES: usize = 1 << 20;
/// What JavaScript's `\s` matches, inside of brackets.
const SPACE: &str = r"\t-\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

static R50K_TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(include_bytes!("tables/r50k.bin")));
static P50K_TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(include_bytes!("tables/r50k.bin")).with_spaces());
static CL100K_TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(include_bytes!("tables/cl100k.bin")));

static GPT2: Encoding =
    Encoding { name: "gpt2", table: &R50K_TABLE, cut: &OLD_CUT, special: &["<|endoftext|>"], keeps_line_breaks: false };
static P50K: Encoding = Encoding { name: "p50k_base", table: &P50K_TABLE, ..GPT2 };
static P50K_EDIT: Encoding = Encoding {
    name: "p50k_edit",
    special: &["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"],
    ..P50K
};
static CL100K: Encoding = Encoding {
    name: "cl100k_base",
    table: &CL100K_TABLE,
    cut: &NEW_CUT,
    special: &["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|endofprompt|>"],
    keeps_line_breaks: true,
};

static OLD_CUT: LazyLock<Option<Regex>> =
    LazyLock::new(|| cut(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^SPACE\p{L}\p{N}]+|[SPACE]+"));
static NEW_CUT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    cut(concat!(
        r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
        r"| ?[^SPACE\p{L}\p{N}]+[\r\n]*|[SPACE]*[\r\n]+|[SPACE]+"
    ))
});

fn cut(pattern: &str) -> Option<Regex> {
    Regex::new(&pattern.replace("SPACE", SPACE)).ok()
}

/// See the module.
pub(crate) struct Encoding {
    name: &'static str,
    table: &'static LazyLock<Table>,
    /// What a word is, for every letter is in one. Without look-around, a long one takes no longer than many short ones.
    cut: &'static LazyLock<Option<Regex>>,
    /// Texts that stand for something else, and may not be in one.
    special: &'static [&'static str],
    /// Space that ends with a line break is one word, whatever comes next.
    keeps_line_breaks: bool,
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Encoding {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        Some(match name {
            "gpt2" | "r50k_base" => &GPT2,
            "p50k_base" => &P50K,
            "p50k_edit" => &P50K_EDIT,
            "cl100k_base" => &CL100K,
            _ => return None,
        })
    }

    /// # Errors
    /// As Flowise says it, if something special is in the text; or a word is too long.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let found = self.special.iter().filter_map(|special| Some((text.find(special)?, special))).min();
        if let Some((_, special)) = found {
            return Err(format!("The text contains a special token that is not allowed: {special}"));
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(word) = self.word(rest) {
            if word.len() > MOST_BYTES {
                return Err(format!("A word has more than {MOST_BYTES} bytes, too many to make tokens of it."));
            }
            merge(word.as_bytes(), self.table, &mut tokens);
            rest = rest.get(word.len()..).unwrap_or_default();
        }
        Ok(tokens)
    }

    /// What a text begins with.
    fn word<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.cut.as_ref().and_then(|cut| cut.find(text).ok().flatten());
        let word = found.map_or(text, |found| found.as_str());
        // `\s+(?!\S)`: the last space before something else belongs to that.
        let last = word.chars().next_back()?;
        let is_kept = word.len() == text.len() || self.keeps_line_breaks && matches!(last, '\r' | '\n');
        let before = word.get(..word.len() - last.len_utf8()).filter(|before| !before.is_empty());
        Some(before.filter(|_| !is_kept && is_space(last)).unwrap_or(word))
    }

    /// What is no text, for it was cut within a letter, is U+FFFD; a byte order mark at the start goes.
    pub(crate) fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| self.table.bytes(*token)).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
    }
}

#[cfg(test)]
mod tests;
