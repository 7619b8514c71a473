//! What a database answers, whatever it is.

use super::{message, values};
use crate::fuzzing::fuzz;

#[test]
fn fuzz_postgres() {
    let words =
        ["{1,2}", "{{a,b},{c,d}}", "\\x00", "2026-01-02 03:04:05+00", "infinity", "NaN", "(1,2)", "1 year -2 days"];
    fuzz("postgres", &words, |input| {
        let _ = (message::columns(input), message::rows_field(input), message::authentication(input));
        assert!(message::fields(input).count() <= input.len());
        let text = String::from_utf8_lossy(input);
        for kind in [16, 17, 21, 25, 114, 600, 701, 1007, 1016, 1022, 1082, 1114, 1184, 1185, 1186, 3802, 9_999_999] {
            let _ = values::value(kind, &text);
        }
    });
}
