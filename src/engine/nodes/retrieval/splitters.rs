//! Text splitters.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::split::{MARKDOWN, PLAIN, SplitMethod, TextSplitter};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::text::tokens::Encoding;

/// Each is looked for in what those before it have left, and within those.
const MOST_SEPARATORS: usize = 100;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] =
    &[&Recursive, &Character, &Markdown, &Token, &HtmlToMarkdown, &CodeSplitter];

struct Recursive;

impl NodeKind for Recursive {
    fn names(&self) -> &'static [&'static str] {
        &["recursiveCharacterTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let separators = match inputs.json("separators") {
            None => Some(owned(&PLAIN)),
            Some(value) => {
                let separators: Option<Vec<String>> = serde_json::from_value(value).ok();
                separators.filter(|separators| separators.len() <= MOST_SEPARATORS).or_else(|| {
                    inputs.refuse("separators", format!("expected a list of at most {MOST_SEPARATORS} texts"));
                    None
                })
            }
        };
        splitter(inputs, separators.map(SplitMethod::Recursive))
    }
}

struct Character;

impl NodeKind for Character {
    fn names(&self) -> &'static [&'static str] {
        &["characterTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let separator = inputs.text("separator").unwrap_or_else(|| "\n\n".to_owned());
        splitter(inputs, Some(SplitMethod::Once(separator)))
    }
}

struct Markdown;

impl NodeKind for Markdown {
    fn names(&self) -> &'static [&'static str] {
        &["markdownTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let method = match inputs.text("splitByHeaders").as_deref() {
            None | Some("disabled") => Some(SplitMethod::Recursive(owned(&MARKDOWN))),
            Some(level) => {
                let level = level.strip_prefix('h').and_then(|level| level.parse().ok());
                let level = level.filter(|level| (1..=6).contains(level));
                if level.is_none() {
                    inputs.refuse("splitByHeaders", "expected h1 to h6");
                }
                level.map(SplitMethod::Headings)
            }
        };
        splitter(inputs, method)
    }
}

struct Token;

impl NodeKind for Token {
    fn names(&self) -> &'static [&'static str] {
        &["tokenTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.text("encodingName").unwrap_or_else(|| "gpt2".to_owned());
        let encoding = Encoding::named(&name);
        if encoding.is_none() {
            inputs.refuse("encodingName", "expected gpt2, r50k_base, p50k_base, p50k_edit or cl100k_base");
        }
        splitter(inputs, encoding.map(SplitMethod::Tokens))
    }
}

struct HtmlToMarkdown;

impl NodeKind for HtmlToMarkdown {
    fn names(&self) -> &'static [&'static str] {
        &["htmlToMarkdownTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        splitter(inputs, Some(SplitMethod::Html(owned(&MARKDOWN))))
    }
}

/// Separators by language, `LangChain`'s and those that Flowise adds.
static LANGUAGES: LazyLock<HashMap<String, Vec<String>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("languages.json")).unwrap_or_default());

struct CodeSplitter;

impl NodeKind for CodeSplitter {
    fn names(&self) -> &'static [&'static str] {
        &["codeTextSplitter"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let language = inputs.text("language").unwrap_or_default();
        // One that nobody knows is text.
        let separators = LANGUAGES.get(&language).cloned().unwrap_or_else(|| owned(&PLAIN));
        splitter(inputs, Some(SplitMethod::Recursive(separators)))
    }
}

fn owned(separators: &[&str]) -> Vec<String> {
    separators.iter().map(|separator| (*separator).to_owned()).collect()
}

/// `method`: `None` where a problem is told already.
fn splitter(inputs: &mut Inputs<'_, '_, '_>, method: Option<SplitMethod>) -> Option<Part> {
    let (most, overlap) = (size(inputs, "chunkSize", 1000), size(inputs, "chunkOverlap", 200));
    let (most, overlap) = (most?, overlap?);
    if overlap >= most {
        inputs.refuse(
            "chunkOverlap",
            format!("Cannot have chunkOverlap >= chunkSize (an overlap of {overlap}, a size of {most})"),
        );
        return None;
    }
    Some(Part::Splitter(Arc::new(TextSplitter { most, overlap, method: method? })))
}

/// The number 0 is as good as nothing; the text "0" is a number.
fn size(inputs: &mut Inputs<'_, '_, '_>, name: &str, default: usize) -> Option<usize> {
    match inputs.value(name) {
        None => Some(default),
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => Some(default),
        Some(_) => inputs.integer(name).and_then(|size| usize::try_from(size).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_their_separators() {
        assert_eq!(LANGUAGES.len(), 25);
        assert_eq!(LANGUAGES["python"][..3], ["\nclass ", "\ndef ", "\n\tdef "]);
        assert!(LANGUAGES.values().all(|separators| separators.len() <= MOST_SEPARATORS));
    }
}
