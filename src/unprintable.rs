//! Letters that show as something else than themselves: they move a terminal's cursor, turn the direction of what follows
//! them, or take no place. Whoever writes what somebody else has said into a line asks here.

use std::fmt::Write as _;

/// Control characters, breaks of lines, marks of direction, and what is not seen.
pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// JSON that says the same with such letters as escapes, so that it can be shown in a terminal as it is.
pub(crate) fn escaped(json: String) -> String {
    // What is ASCII, line breaks between values included, is its writer's own; outside of texts there is nothing else.
    let is_shown = |letter: char| letter < '\u{7f}' || !is_unprintable(letter);
    if json.chars().all(is_shown) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if is_shown(letter) {
            text.push(letter);
        } else {
            // Writing to a String cannot fail.
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| _ = write!(text, "\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{escaped, is_unprintable};

    #[test]
    fn what_is_seen_is_told_from_what_is_not() {
        assert!("\u{0}\n\u{1b}\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}".chars().all(is_unprintable));
        assert!(!"aß 客😀ع\u{301}".chars().any(is_unprintable));
    }

    #[test]
    fn json_says_the_same_and_moves_no_cursor() {
        for value in ["", "a\"b\\c", "\u{9b}31m\u{202e}\u{7f}\n\u{1b}", "Grüße 😀", "\u{e0041}"] {
            let json = serde_json::to_string_pretty(&[value, "x"]).unwrap();
            let text = escaped(json.clone());
            assert_eq!(serde_json::from_str::<[String; 2]>(&text).unwrap()[0], value);
            assert!(!text.chars().any(|letter| letter != '\n' && is_unprintable(letter)), "{text}");
            assert!(value.chars().any(|letter| letter >= '\u{7f}' && is_unprintable(letter)) || text == json);
        }
    }
}
