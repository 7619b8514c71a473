//! Documents of services, as they lie at an address or in a flow.

use super::document::OpenApiDocument;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_openapi() {
    let words = [
        "paths:",
        "  /a/{b}:",
        "get:",
        "parameters:",
        "$ref: '#/components/schemas/A'",
        "schema:",
        "allOf:",
        "&a",
        "*a",
        "<<: *a",
        "requestBody:",
        "content:",
        "properties:",
        "servers:",
        "\"paths\":{",
        "\"$ref\":\"#/paths\"",
    ];
    fuzz("openapi", &words, |input| {
        let Ok(document) = OpenApiDocument::read(&String::from_utf8_lossy(input)) else { return };
        document.server();
        let _ = document.operations(|_| true);
    });
}
