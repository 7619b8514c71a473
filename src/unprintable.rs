//! Letters that show as something else than themselves: they move a terminal's cursor, turn the direction of what follows
//! them, or take no place. Whoever writes what somebody else has said into a line asks here.

/// Control characters, breaks of lines, marks of direction, and what is not seen.
pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::is_unprintable;

    #[test]
    fn what_is_seen_is_told_from_what_is_not() {
        assert!("\u{0}\n\u{1b}\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}".chars().all(is_unprintable));
        assert!(!"aß 客😀ع\u{301}".chars().any(is_unprintable));
    }
}
