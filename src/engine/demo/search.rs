//! Finds the passages that a question is about, by BM25 over the stems of their words, or finds that there are none.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use frostem::{Algorithm, Stemmer};

use super::passages::{Passage, PassageKind};

/// How soon a word that is there again counts no more, and how much a long passage is held against it: what BM25 is
/// used with everywhere.
const SATURATION: f32 = 1.2;
const LENGTH: f32 = 0.75;
/// Passages of one answer.
const MOST_PASSAGES: usize = 3;
const MOST_OF_A_SECTION: usize = 2;
/// Of the best passage's score; what is further away is left out.
const NEAR: f32 = 0.6;
/// How much of a question its best passages must cover, rare words counting more.
const COVERED: f32 = 0.4;
const MOST_SENTENCES: usize = 2;

/// What a word weighs that is nowhere, beside one that is almost nowhere: questions are asked in words of their own.
const UNKNOWN: f32 = 0.7;

/// Words that say nothing about what a question is about.
const SAY_NOTHING: &str = "a about all am an and any are as at be been by can could did do does for from get give had has \
    have how i if in into is it its like make many may me much must my need no not of on or our please say should so some \
    support tell than that the their them then there they this to up us use want was we were what when where which who why will \
    with without would you your explain mean happen work";

/// See the module.
pub(super) struct Search {
    passages: Vec<Passage>,
    /// Of each passage with its headings: how often each stem is there.
    words: Vec<HashMap<String, f32>>,
    /// In how many passages a stem is.
    frequencies: HashMap<String, f32>,
    /// Stems of a passage, on average.
    length: f32,
    /// Of each passage: the stems of its headings.
    headings: Vec<BTreeSet<String>>,
}

impl Search {
    pub(super) fn over(passages: Vec<Passage>) -> Self {
        let words: Vec<HashMap<String, f32>> = passages.iter().map(counted).collect();
        let mut frequencies = HashMap::new();
        for word in words.iter().flat_map(HashMap::keys) {
            *frequencies.entry(word.clone()).or_default() += 1.0;
        }
        let all: f32 = words.iter().flat_map(HashMap::values).sum();
        let length = all / number(words.len()).max(1.0);
        let headings =
            passages.iter().map(|passage| stems(&passage.headings.join(" ")).into_iter().collect()).collect();
        Self { passages, words, frequencies, length, headings }
    }

    /// What stands first under the headings that say all that is asked; else the best passages, best first; none if they
    /// do not speak of what is asked.
    pub(super) fn find(&self, question: &str) -> Vec<&Passage> {
        // In an order, so that equal passages have equal scores.
        let asked: BTreeSet<String> = stems(question).into_iter().collect();
        if asked.is_empty() {
            return Vec::new();
        }
        if let Some(at) = self.headings.iter().position(|headings| asked.is_subset(headings)) {
            let headings = self.passages.get(at).map(|first| &first.headings);
            let section = self.passages.iter().skip(at).filter(|passage| passage.kind != PassageKind::Code);
            return section.take_while(|passage| Some(&passage.headings) == headings).take(MOST_OF_A_SECTION).collect();
        }
        let mut results: Vec<(f32, usize)> = self
            .words
            .iter()
            .map(|words| self.score(words, &asked))
            .zip(0..)
            .filter(|(score, _)| *score > 0.0)
            .collect();
        results.sort_by(|(one, at), (other, then)| other.total_cmp(one).then(at.cmp(then)));
        results.truncate(MOST_PASSAGES);
        let best = results.first().map_or(0.0, |(score, _)| *score);
        let near: Vec<usize> =
            results.into_iter().filter(|(score, _)| *score >= NEAR * best).map(|(_, at)| at).collect();
        let is_found =
            |word: &&String| near.iter().any(|at| self.words.get(*at).is_some_and(|words| words.contains_key(*word)));
        let weight: f32 = asked.iter().map(|word| self.weight(word)).sum();
        let found: f32 = asked.iter().filter(is_found).map(|word| self.weight(word)).sum();
        if found < COVERED * weight {
            return Vec::new();
        }
        near.into_iter().filter_map(|at| self.passages.get(at)).collect()
    }

    /// Of a passage by BM25 (Robertson and Zaragoza, 2009): how often it has the words that are asked for, rare ones
    /// counting more, for its length. A passage with some of the words, however often, is not better than one with all.
    fn score(&self, words: &HashMap<String, f32>, asked: &BTreeSet<String>) -> f32 {
        let length: f32 = words.values().sum();
        let bound = SATURATION * (1.0 - LENGTH + LENGTH * length / self.length);
        let (mut score, mut found, mut all) = (0.0, 0.0, 0.0);
        for word in asked {
            let (weight, often) = (self.weight(word), words.get(word).copied().unwrap_or(0.0));
            score += weight * often * (SATURATION + 1.0) / (often + bound);
            found += if often > 0.0 { weight } else { 0.0 };
            all += weight;
        }
        score * found / all
    }

    /// Of a word: how rare it is.
    fn weight(&self, word: &str) -> f32 {
        let rarity = |with: f32| (1.0 + (number(self.passages.len()) - with + 0.5) / (with + 0.5)).ln();
        self.frequencies.get(word).map_or(UNKNOWN * rarity(0.0), |with| rarity(*with))
    }
}

/// How often each stem is in a passage and its headings.
fn counted(passage: &Passage) -> HashMap<String, f32> {
    let mut words = HashMap::new();
    for word in stems(&format!("{0} {0} {1}", passage.headings.join(" "), passage.text)) {
        *words.entry(word).or_default() += 1.0;
    }
    words
}

#[expect(clippy::cast_precision_loss, reason = "some hundred passages")]
fn number(count: usize) -> f32 {
    count as f32
}

/// What of a passage speaks of the question: some sentences of prose, or the whole.
pub(super) fn quote(passage: &Passage, question: &str) -> String {
    if passage.kind != PassageKind::Prose {
        return passage.text.clone();
    }
    let asked: HashSet<String> = stems(question).into_iter().collect();
    let sentences = sentences(&passage.text);
    let shared = |sentence: &str| stems(sentence).into_iter().collect::<HashSet<_>>().intersection(&asked).count();
    let mut best: Vec<(usize, usize)> = sentences.iter().map(|sentence| shared(sentence)).enumerate().collect();
    best.sort_by_key(|(at, shared)| (std::cmp::Reverse(*shared), *at));
    let mut chosen: Vec<usize> =
        best.iter().filter(|(_, shared)| *shared > 0).take(MOST_SENTENCES).map(|(at, _)| *at).collect();
    if chosen.is_empty() {
        chosen = (0..MOST_SENTENCES).collect();
    }
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|at| sentences.get(at).copied()).collect::<Vec<_>>().join(" ")
}

/// Cut behind `.`, `?` and `!` where something begins anew.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|left| left.find([' '])).map(|at| from + at) {
        let (before, after) = rest.split_at(at);
        let next = after.trim_start().chars().next();
        let begins = next.is_some_and(|letter| letter.is_uppercase() || letter == '`');
        from = at + 1;
        if begins && before.ends_with(['.', '?', '!']) {
            sentences.push(before);
            rest = after.trim_start();
            from = 0;
        }
    }
    if !rest.is_empty() {
        sentences.push(rest);
    }
    sentences
}

/// The stems of a text's words, as the index has them.
fn stems(text: &str) -> Vec<String> {
    static NOTHING: LazyLock<HashSet<&str>> = LazyLock::new(|| SAY_NOTHING.split_whitespace().collect());
    let stemmer = Stemmer::new(Algorithm::English);
    let says_something = |word: &str| !NOTHING.contains(word);
    text.to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.chars().any(char::is_numeric) || (word.chars().count() > 1 && says_something(word)))
        .map(|word| stemmer.stem(word).to_string())
        .filter(|stem| says_something(stem))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::passages::passages;
    use super::*;

    const TEXT: &str = "# Gate\n\nThe gate is small.\n## Limits\nCallers are limited per key. The bucket refills steadily. Health is free.\n\n\
        | status | when |\n|---|---|\n| 429 | above the rate |\n| 413 | the body is too large |\n\n## Keys\n\
        Keys are created with `flowgate keys create`. A revoked key is refused.\n";

    fn answer(question: &str) -> Vec<String> {
        let search = Search::over(passages("a.md", TEXT));
        search.find(question).into_iter().map(|passage| quote(passage, question)).collect()
    }

    #[test]
    fn questions_are_answered_with_the_sentences_that_speak_of_them() {
        assert_eq!(answer("How do I limit a caller?")[0], "Callers are limited per key.");
        assert_eq!(answer("What is Gate?"), ["The gate is small."]);
        assert_eq!(answer("What does 413 mean?"), ["status: 413; when: the body is too large"]);
        assert_eq!(
            answer("What happens when keys get revoked?")[0],
            "Keys are created with `flowgate keys create`. A revoked key is refused."
        );
    }

    #[test]
    fn what_the_text_does_not_speak_of_has_no_answer() {
        for question in ["What is the capital of France?", "", "Who are you?", "Can I bake bread with a key?"] {
            assert_eq!(answer(question), Vec::<String>::new(), "{question}");
        }
    }

    #[test]
    fn sentences_end_where_the_next_begins() {
        assert_eq!(
            sentences("See a.b for it. Then `x`! `y` is 1.5 s. end"),
            ["See a.b for it.", "Then `x`!", "`y` is 1.5 s. end"]
        );
    }
}
