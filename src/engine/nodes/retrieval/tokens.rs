//! Texts as sequences of tokens, by the tables of `OpenAI`'s models. A byte order mark within a text is a letter here, as
//! to those models, and a blank to JavaScript.

use tiktoken_rs::CoreBPE;

/// Bytes that are looked at as one: the patterns that find words need room for each letter of a long one.
const LONGEST_RUN: usize = 16 * 1024;

/// Which tables; they are read when a text is first split by them, and take some ten megabytes from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    R50k,
    P50k,
    P50kEdit,
    Cl100k,
}

impl Encoding {
    /// By the name that Flowise gives it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gpt2" | "r50k_base" => Self::R50k,
            "p50k_base" => Self::P50k,
            "p50k_edit" => Self::P50kEdit,
            "cl100k_base" => Self::Cl100k,
            _ => return None,
        })
    }

    /// Passages of so many tokens, each beginning with the end of the one before. What looks like a token of a model's
    /// own, such as `<|endoftext|>`, is text like any other: Flowise takes no document with one in it.
    pub(super) fn passages(self, text: &str, most: usize, overlap: usize) -> Result<Vec<String>, String> {
        let tables = self.tables();
        let tokens: Vec<_> = runs(text).flat_map(|run| tables.encode_ordinary(run)).collect();
        let mut passages = Vec::new();
        let mut start = 0;
        while start < tokens.len() {
            let from = if start > 0 { start - overlap } else { 0 };
            let end = (from + most).min(tokens.len());
            let bytes = tables.decode_bytes(tokens.get(from..end).unwrap_or_default());
            let bytes = bytes.map_err(|error| error.to_string())?;
            // A letter may be cut in half, as it is in Flowise; a byte order mark at the beginning is lost there.
            let passage = String::from_utf8_lossy(&bytes);
            passages.push(passage.strip_prefix('\u{feff}').unwrap_or(&passage).to_owned());
            start = end;
        }
        Ok(passages)
    }

    fn tables(self) -> &'static CoreBPE {
        match self {
            Self::R50k => tiktoken_rs::r50k_base_singleton(),
            Self::P50k => tiktoken_rs::p50k_base_singleton(),
            Self::P50kEdit => tiktoken_rs::p50k_edit_singleton(),
            Self::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        }
    }
}

/// The text in runs that are short enough for the tables' patterns. No token reaches over a space behind a letter; only
/// a run without such a place is cut where a token might have gone on.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let longest = rest.floor_char_boundary(LONGEST_RUN);
        let end = if longest == rest.len() { longest } else { last_place(rest.get(..longest)?).unwrap_or(longest) };
        let (run, after) = rest.split_at(end);
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// The last space that something else than a blank precedes.
fn last_place(text: &str) -> Option<usize> {
    let precedes = |at: &usize| {
        text.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(|letter| !letter.is_whitespace())
    };
    text.rmatch_indices(' ').map(|(at, _)| at).find(precedes)
}
