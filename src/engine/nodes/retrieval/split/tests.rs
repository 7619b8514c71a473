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
    let how = match how {
        "once" => How::Once(options.separator.clone().unwrap_or_else(|| "\n\n".to_owned())),
        "plain" => How::Recursive(owned(&PLAIN)),
        "markdown" => How::Recursive(owned(&MARKDOWN)),
        "custom" => How::Recursive(options.separators.clone().unwrap()),
        heading => How::Headings(heading[1..].parse().unwrap()),
    };
    TextSplitter { most: options.chunk_size, overlap: options.chunk_overlap, how }
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

#[test]
fn no_character_is_cut_in_half() {
    let splitter = splitter("plain", &Options { chunk_size: 1, chunk_overlap: 0, separator: None, separators: None });
    assert_eq!(splitter.split("a😀b").unwrap(), ["a", "😀", "b"]);
}
