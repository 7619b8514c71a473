//! The tokens of an encoding: as bytes by number, and the numbers by bytes.

use std::collections::HashMap;

/// Of spaces, in the tables of the models for code: two to this many.
const MOST_SPACES: usize = 25;
static SPACES: [u8; MOST_SPACES] = [b' '; MOST_SPACES];

/// See the module. The bytes stay where the program has them.
pub(super) struct Table {
    tokens: Vec<&'static [u8]>,
    numbers: HashMap<&'static [u8], u32>,
}

impl Table {
    /// Of a file: each token as its length in a byte, then itself.
    pub(super) fn of(mut file: &'static [u8]) -> Self {
        let mut table = Self { tokens: Vec::new(), numbers: HashMap::new() };
        while let Some((token, rest)) = file.split_first().and_then(|(len, rest)| rest.split_at_checked((*len).into()))
        {
            table.add(token);
            file = rest;
        }
        table
    }

    pub(super) fn with_spaces(mut self) -> Self {
        // One number is that of `<|endoftext|>`, which no text becomes.
        self.tokens.push(&[]);
        for count in 2..=MOST_SPACES {
            self.add(SPACES.get(..count).unwrap_or_default());
        }
        self
    }

    fn add(&mut self, token: &'static [u8]) {
        if let Ok(number) = self.tokens.len().try_into() {
            self.numbers.entry(token).or_insert(number);
            self.tokens.push(token);
        }
    }

    pub(super) fn number(&self, bytes: &[u8]) -> Option<u32> {
        self.numbers.get(bytes).copied()
    }

    pub(super) fn bytes(&self, number: u32) -> &'static [u8] {
        usize::try_from(number).ok().and_then(|at| self.tokens.get(at)).copied().unwrap_or_default()
    }
}
