//! What a database answers, whatever it is.

use super::bson::{decoded, encoded};
use crate::fuzzing::fuzz;

#[test]
fn fuzz_bson() {
    let words = ["\u{2}a\0", "\u{3}a\0", "\u{4}a\0", "\u{5}a\0", "\u{10}a\0", "\u{13}a\0", "\0\0\0\0"];
    fuzz("bson", &words, |input| {
        let Some(document) = decoded(input) else { return };
        let fields = document.as_object().expect("a document has fields");
        // What was read can be sent, unless that is no name of a field or too deep.
        let _ = encoded(fields);
    });
}
