//! The smallest pieces of texts that look like JavaScript: signs, words, and the blanks and comments between them.

/// What is left of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    pub(crate) rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The first letter after blanks.
    pub(crate) fn next(&mut self) -> Option<char> {
        self.skip_blank();
        self.rest.chars().next()
    }

    /// A name or keyword; empty if there is none.
    pub(crate) fn word(&mut self) -> &'a str {
        self.skip_blank();
        self.until(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | '$'))
    }

    /// What comes before the first letter of a kind.
    pub(crate) fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (before, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        before
    }

    /// Whether the sign comes next, which is then left behind.
    pub(crate) fn take(&mut self, sign: &str) -> bool {
        self.skip_blank();
        let left = self.rest.strip_prefix(sign);
        self.rest = left.unwrap_or(self.rest);
        left.is_some()
    }

    /// What stands in the quotation marks that come next, letter by letter, and whether after a backslash.
    pub(crate) fn quoted(&mut self, mut letter: impl FnMut(char, bool)) -> Option<()> {
        let mut letters = self.rest.char_indices();
        let (_, mark) = letters.next()?;
        while let Some((at, next)) = letters.next() {
            if next == '\\' {
                letter(letters.next()?.1, true);
            } else if next == mark {
                self.rest = self.rest.get(at + mark.len_utf8()..)?;
                return Some(());
            } else {
                letter(next, false);
            }
        }
        None
    }

    /// Blanks and comments.
    pub(crate) fn skip_blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            self.rest = if let Some(comment) = self.rest.strip_prefix("//") {
                comment.split_once('\n').map_or("", |(_, rest)| rest)
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                comment.split_once("*/").map_or("", |(_, rest)| rest)
            } else {
                return;
            };
        }
    }
}
