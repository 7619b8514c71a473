//! How many of something there are, in words.

/// `1 key`, `2 keys`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
