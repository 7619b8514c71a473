//! Numbers that stand in texts.

/// The number that a text begins with, as JavaScript's `parseFloat` finds it: `8192 tokens` is 8192, and `1,000` is 1.
pub(super) fn begun(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = |from: usize| {
        let digits = text.get(from..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
        from + digits
    };
    let start = usize::from(text.starts_with(['+', '-']));
    let mut last = end(start);
    if text.get(last..).is_some_and(|rest| rest.starts_with('.')) {
        last = end(last + 1);
    }
    if let Some(power) = text.get(last..).and_then(|rest| rest.strip_prefix(['e', 'E'])) {
        let from = last + 1 + usize::from(power.starts_with(['+', '-']));
        if end(from) > from {
            last = end(from);
        }
    }
    text.get(..last)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_a_text_begins_with() {
        for (text, number) in [
            ("0.7", 0.7),
            (" 8192 ", 8192.0),
            ("8192 tokens", 8192.0),
            ("1,000", 1.0),
            ("-1", -1.0),
            ("1e3x", 1000.0),
            ("1e", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("0,9", 0.0),
        ] {
            assert_eq!(begun(text), Some(number), "{text}");
        }
        for text in ["", "many", "-", ".", "e3", "{{x}}"] {
            assert_eq!(begun(text), None, "{text}");
        }
    }
}
