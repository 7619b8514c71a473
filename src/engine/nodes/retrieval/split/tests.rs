use serde::Deserialize;

use super::*;

/// What `@langchain/textsplitters` 1.0.1 and Flowise's splitting by headings made of some texts.
#[derive(Deserialize)]
struct Recorded {
    texts: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    how: String,
    options: Options,
    text: String,
    passages: Vec<(String, Option<i64>, Option<i64>)>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(default)]
    chunk_size: usize,
    #[serde(default)]
    chunk_overlap: usize,
    separator: Option<String>,
    separators: Option<Vec<String>>,
}

fn splitter(how: &str, options: &Options) -> TextSplitter {
    let owned = |separators: &[&str]| separators.iter().map(|separator| (*separator).to_owned()).collect();
    let method = match how {
        "once" => SplitMethod::Once(options.separator.clone().unwrap_or_else(|| "\n\n".to_owned())),
        "plain" => SplitMethod::Recursive(owned(&PLAIN)),
        "markdown" => SplitMethod::Recursive(owned(&MARKDOWN)),
        "custom" => SplitMethod::Recursive(options.separators.clone().unwrap()),
        heading => SplitMethod::Headings(heading[1..].parse().unwrap()),
    };
    TextSplitter { most: options.chunk_size, overlap: options.chunk_overlap, method }
}

#[test]
fn passages_and_their_lines_are_langchains() {
    let recorded: Recorded = serde_json::from_str(include_str!("langchain.json")).unwrap();
    assert!(recorded.cases.len() > 100);
    for case in recorded.cases {
        let metadata = json!({ "source": "x", "loc": { "page": 1 } }).as_object().unwrap().clone();
        let text = recorded.texts[&case.text].as_str().unwrap().to_owned();
        let split = splitter(&case.how, &case.options).split_documents(&[Document { text, metadata }]).unwrap();
        let passage = |document: Document| {
            let lines = |name| document.metadata["loc"].pointer(&format!("/lines/{name}")).and_then(Value::as_i64);
            assert_eq!((&document.metadata["source"], &document.metadata["loc"]["page"]), (&json!("x"), &json!(1)));
            (document.text.clone(), lines("from"), lines("to"))
        };
        let passages: Vec<_> = split.into_iter().map(passage).collect();
        assert_eq!(passages, case.passages, "{} {:?} {}", case.how, case.options, case.text);
    }
}

/// What `@langchain/textsplitters` 1.0.1 made of those texts with the tables of `js-tiktoken` 1.0.21.
#[test]
fn passages_of_tokens_are_langchains() {
    type Case = (String, String, usize, usize, Value);
    let texts: Value = serde_json::from_str(include_str!("../../../text/tokens/recorded.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(include_str!("tokens.json")).unwrap();
    assert!(cases.len() > 300);
    for (encoding, text, most, overlap, expected) in cases {
        let splitter = TextSplitter { most, overlap, method: SplitMethod::Tokens(Encoding::named(&encoding).unwrap()) };
        let document = Document { text: texts["texts"][&text].as_str().unwrap().to_owned(), metadata: Map::new() };
        let made = match splitter.split_documents(&[document]) {
            Ok(passages) => passages
                .into_iter()
                .map(|passage| {
                    let lines = &passage.metadata["loc"]["lines"];
                    json!([passage.text, lines["from"], lines["to"]])
                })
                .collect(),
            Err(refused) => Value::from(refused),
        };
        assert_eq!(made, expected, "{encoding} {text} {most} {overlap}");
    }
}

#[test]
fn an_overlap_that_repeats_too_much_is_refused() {
    let encoding = Encoding::named("gpt2").unwrap();
    let splitter = TextSplitter { most: 20_000, overlap: 19_999, method: SplitMethod::Tokens(encoding) };
    let refused = splitter.split(&"word ".repeat(30_000)).unwrap_err();
    assert!(refused.contains("overlap so much"), "{refused}");
}

#[test]
fn no_character_is_cut_in_half() {
    let splitter = splitter("plain", &Options { chunk_size: 1, chunk_overlap: 0, separator: None, separators: None });
    assert_eq!(splitter.split("a😀b").unwrap(), ["a", "😀", "b"]);
}

/// Each passage has what is known of its document.
#[test]
fn little_text_of_which_much_is_known_is_not_cut_into_many_passages() {
    let splitter = splitter("plain", &Options { chunk_size: 1, chunk_overlap: 0, separator: None, separators: None });
    let document = |known: usize, text: usize| {
        let metadata = json!({ "data": "x".repeat(known) }).as_object().unwrap().clone();
        Document { text: "y".repeat(text), metadata }
    };
    let refused = splitter.split_documents(&[document(1 << 20, 1000)]).unwrap_err();
    assert_eq!(refused, "The metadata of a document is too large for so many parts.");
    assert_eq!(splitter.split_documents(&[document(1 << 20, 1)]).unwrap().len(), 1);
    assert_eq!(splitter.split_documents(&[document(100, 1000)]).unwrap().len(), 1000);
}
