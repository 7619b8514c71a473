//! Documents, whatever they are.

use super::csv;
use super::json::JsonSelection;
use super::split::{PLAIN, SplitMethod, TextSplitter};
use crate::engine::contract::node::Splitter as _;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_csv() {
    let words = [",", ";", "\t", "|", "\"", "\"\"", "\r\n", "\n", "\"a\nb\"", "name,age\n"];
    fuzz("csv", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let _ = csv::texts(&text, None);
        let _ = csv::texts(&text, Some("name"));
    });
}

#[test]
fn fuzz_json_documents() {
    fuzz("json", &["[{", "}]", "\"title\":", "\"body\":"], |input| {
        let text = String::from_utf8_lossy(input);
        for by_object in [false, true] {
            let wanted = JsonSelection {
                pointers: JsonSelection::pointers_of("title, body"),
                by_object,
                metadata: vec![("t".to_owned(), "/title".to_owned())],
            };
            let _ = wanted.read(&text);
        }
    });
}

#[test]
fn fuzz_split() {
    fuzz("text", &["\n\n", "\n", " ", "# ", "## ", "\u{1f600}"], |input| {
        let text = String::from_utf8_lossy(input);
        let methods = [
            SplitMethod::Once("\n".to_owned()),
            SplitMethod::Recursive(PLAIN.iter().map(|separator| (*separator).to_owned()).collect()),
            SplitMethod::Headings(3),
        ];
        for method in methods {
            let splitter = TextSplitter { most: 50, overlap: 10, method };
            let _ = splitter.split(&text);
        }
    });
}
