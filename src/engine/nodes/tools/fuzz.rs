//! Sums as models write them.

use super::arithmetic;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_arithmetic() {
    let words =
        ["+", "-", "*", "/", "^", "(", ")", "!", "P", "C", "mod", "sqrt(", "1e17", "0.1", "pi", "max(", ",", "==", "%"];
    fuzz("arithmetic", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let _ = arithmetic::evaluated(&text);
    });
}
