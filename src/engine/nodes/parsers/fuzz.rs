//! What models answer in place of JSON, and zod as authors write it.

use super::{repair, zod};
use crate::fuzzing::fuzz;

#[test]
fn fuzz_repair() {
    let words = ["```json\n", "```", "{", "}", "[", "]", "\"", "'", ":", ",", "\\", "//", "True", "None", "..."];
    fuzz("json", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let read = repair::read(&text);
        if let Ok(strict) = serde_json::from_str::<serde_json::Value>(&text) {
            assert_eq!(read, Ok(strict));
        }
    });
}

#[test]
fn fuzz_zod() {
    let words = [
        "z.object({",
        "})",
        "z.string()",
        ".describe(\"",
        ".optional()",
        ".nullable()",
        "z.array(",
        "z.enum([",
        "z.number()",
        ".min(",
        "z.union([",
        ".default(",
        "'",
        "//",
    ];
    fuzz("zod", &words, |input| {
        if let Ok((schema, _)) = zod::parse(&String::from_utf8_lossy(input)) {
            let _ = schema.check(&schema.json());
        }
    });
}
