//! What names something in the store. What clients choose is hashed: it neither shows nor chooses where keys lie.

use std::fmt;

use aws_lc_rs::digest;

/// See the module. It prints as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StoreTag([u8; 16]);

impl StoreTag {
    /// Of texts, in their order.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            // With its length, so that no two lists are written alike.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Self(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for StoreTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_texts_have_names_of_their_own() {
        let tags = [&["a", "b"][..], &["ab"], &["a", "b", ""], &["", "ab"]].map(StoreTag::of);
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag), "{index}");
        }
        let text = tags[0].to_string();
        assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }
}
