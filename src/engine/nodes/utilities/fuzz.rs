//! Conditions as authors write them.

use serde_json::{Map, Value, json};

use super::script;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_script() {
    let words = [
        "if (",
        ") {",
        "} else {",
        "return ",
        "$flow.",
        "$vars.",
        "$input",
        "===",
        "!==",
        "&&",
        "||",
        ".includes(",
        "\"",
        "'",
        "`",
        ";",
        "true",
        "undefined",
        "let x = ",
    ];
    let names = ["$input".to_owned(), "a".to_owned()];
    fuzz("script", &words, |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(script) = script::parse(&text, &names) {
            let mut scope: Map<String, Value> =
                Map::from_iter([("$input".to_owned(), json!("x")), ("a".to_owned(), json!(1))]);
            let _ = script::run(&script, &mut scope);
        }
    });
}
