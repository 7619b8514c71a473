use std::collections::HashMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What `js-tiktoken` 1.0.21 made of some texts.
#[derive(Deserialize)]
struct Recorded {
    texts: HashMap<String, String>,
    tokens: Vec<(String, String, Made)>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Made {
    Tokens(Vec<u32>),
    Refused(String),
}

const ALL: [&Encoding; 4] = [&GPT2, &P50K, &P50K_EDIT, &CL100K];

#[test]
fn tokens_are_those_of_flowise() {
    let recorded: Recorded = serde_json::from_str(include_str!("recorded.json")).unwrap();
    assert!(recorded.tokens.len() > 250);
    for (encoding, name, expected) in recorded.tokens {
        let made = match Encoding::named(&encoding).unwrap().encode(&recorded.texts[&name]) {
            Ok(tokens) => Made::Tokens(tokens),
            Err(refused) => Made::Refused(refused),
        };
        assert_eq!(made, expected, "{encoding} {name}");
    }
}

#[test]
fn one_long_word_is_no_worse_than_many_short_ones() {
    // Looking through all neighbours for each token would take minutes.
    for encoding in ALL {
        for word in ["ab", "a", "日", " ", "-\n"] {
            let text = word.repeat(100_000 / word.len());
            let tokens = encoding.encode(&text).unwrap();
            assert_eq!(encoding.decode(&tokens), text);
        }
    }
}

#[test]
fn a_word_that_takes_too_much_is_refused() {
    let refused = GPT2.encode(&"a".repeat(MOST_BYTES + 1)).unwrap_err();
    assert!(refused.contains("more than 1048576 bytes"), "{refused}");
}

/// The usual way: every pair is looked at each time.
fn slowly(word: &[u8], table: &Table) -> Vec<u32> {
    let mut parts: Vec<Vec<u8>> = word.iter().map(|byte| vec![*byte]).collect();
    let joined = |parts: &[Vec<u8>], at: usize| table.number(&parts[at..at + 2].concat());
    while let Some((_, at)) = (0..parts.len().saturating_sub(1)).filter_map(|at| Some((joined(&parts, at)?, at))).min()
    {
        let end = parts.remove(at + 1);
        parts[at].extend(end);
    }
    parts.iter().map(|part| table.number(part).unwrap()).collect()
}

proptest! {
    #[test]
    fn tokens_become_the_text_again(text in r"([\PC\s]|[a-z ]{2,9}|[ \r\n\t]{2,5}|'[a-zA-Z]{2}|[0-9]{3}){0,60}") {
        for encoding in ALL {
            let tokens = encoding.encode(&text).unwrap();
            let bytes: Vec<u8> = tokens.iter().flat_map(|token| encoding.table.bytes(*token)).copied().collect();
            prop_assert_eq!(&*bytes, text.as_bytes());
            prop_assert_eq!(encoding.decode(&tokens), text.strip_prefix('\u{feff}').unwrap_or(&text));
        }
    }

    #[test]
    fn the_heap_merges_as_looking_through_all_pairs(word in r"(aa|ab|[a-e]|the|ing|ä|日|😀|  |--){1,40}") {
        for encoding in ALL {
            let mut tokens = Vec::new();
            merge(word.as_bytes(), encoding.table, &mut tokens);
            let whole = encoding.table.number(word.as_bytes()).map(|token| vec![token]);
            prop_assert_eq!(tokens, whole.unwrap_or_else(|| slowly(word.as_bytes(), encoding.table)));
        }
    }
}
